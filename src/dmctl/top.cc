// The verb top: the daemons as they are now, and keys that act on them. The caller's privilege: who may what is the worker's judgement.
#include "dmctl/colour.hh"
#include "dmctl/live.hh"
#include "dmctl/top_screen.hh"
#include "dmctl/verbs.hh"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

// Runs `dmctl log -n 100 -f ID` on the terminal until the user ends it. An own process: as root it becomes the log's owner.
void show_log(const std::string &id) {
  const pid_t child = ::fork();
  if (child == 0) {
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH}) ::sigaction(signal, &usual, nullptr);
    ::execl("/proc/self/exe", "dmctl", "log", "-n", "100", "-f", "--", id.c_str(), nullptr);
    ::_exit(127);
  }
  // The terminal's Ctrl-C is for it, and reaches this program too.
  while (child > 0 && ::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {}
}

class Top {
public:
  Top(const Command &command, Printer &printer)
      : command_(command), screen_(0, printer.out()), colours_(use_colour(command.colour, printer.out())),
        interval_(command.interval_ms != 0 ? command.interval_ms : preset_interval_ms) {
    if (!command.sort.empty()) model_.sort_by(command.sort);
  }
  [[nodiscard]] bool good() const { return screen_.good(); }

  void run() {
    std::int64_t due = 0;
    unsigned soon = 1;  // looks that come soon, one behind the other
    while (screen_.good() && Screen::ended() == 0) {
      if (steady_ms() >= due) {
        look();
        // Percents need two looks: the second comes soon.
        due = steady_ms() + (soon > 0 ? std::min(interval_, soon_ms) : interval_);
        soon -= std::min(soon, 1U);
      }
      screen_.draw(draw_top(model_, problem_, screen_.size(), colours_));
      const std::int64_t left = std::clamp<std::int64_t>(due - steady_ms(), 0, interval_);
      const std::optional<Press> press = screen_.wait(static_cast<int>(left));
      if (!press) continue;
      const Deed deed = model_.press(*press, rows_of_screen(screen_.size()));
      if (deed.kind == Deed::Kind::quit) return;
      if (deed.kind == Deed::Kind::none) continue;
      if (deed.kind == Deed::Kind::log) watch_log(deed.id);
      if (deed.kind == Deed::Kind::verb) {
        act(deed);
        soon = soon_after_deed;  // what was asked for is seen to happen
      }
      due = 0;
    }
  }

private:
  static constexpr unsigned soon_ms = 500, soon_after_deed = 4;

  void look() {
    Question question = question_of(command_);
    question.verb = "status";
    question.keep_text = true;
    Picture picture = take_picture(question);
    problem_ = picture.answer.complete ? "" : picture.problem;
    if (!picture.answer.complete) return;  // what was known last stays, under the problem
    if (!picture.problem.empty() && model_.message.empty()) model_.message = picture.problem;
    model_.take(look_at(std::move(picture.answer.rows)), steady_ms());
  }

  void act(const Deed &deed) {
    Question question;
    const std::string signal = std::to_string(SIGTERM);
    question.verb = deed.verb;
    if (deed.verb == "kill") question.arguments.push_back(signal);
    question.arguments.push_back(deed.id);
    question.no_wait = true;  // the table shows how it goes on
    const Picture picture = take_picture(question);
    model_.message = picture.problem.empty() ? fmt::format("{}: asked for", deed.verb) : picture.problem;
  }

  void watch_log(const std::string &id) {
    screen_.suspend();
    show_log(id);
    if (Screen::ended() == SIGINT) Screen::forget_interrupt();
    screen_.resume();
  }

  const Command &command_;
  Screen screen_;
  bool colours_;
  unsigned interval_;
  TopModel model_;
  std::string problem_;
};

}  // namespace

Exit run_top(const Command &command, Printer &printer) {
  {
    Top top(command, printer);
    if (top.good()) {
      top.run();
      return Exit::done;
    }
  }
  printer.complain(own_words("top needs a terminal; dmctl status -l prints the same once"));
  return Exit::usage;
}

}  // namespace dm::dmctl
