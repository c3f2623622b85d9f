// Shows what a verb waits for, and lets go at Ctrl-C. The caller's privilege; what the manager tells may be hostile.
#include "dmctl/progress.hh"

#include "dmctl/width.hh"
#include "lib/text.hh"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

using namespace std::chrono_literals;

constexpr auto quick = 500ms;         // what takes no longer needs no line
constexpr auto least_pause = 500ms;   // between two looks at the manager; and ten times as long as a look takes
constexpr std::size_t named = 3;      // daemons in the line
constexpr std::size_t told = 8;       // after Ctrl-C

volatile std::sig_atomic_t interrupted = 0;  // a handler reaches nothing but what is static

bool on_its_way(const Row &row) {
  const std::string &state = row[row_state];
  return state == "starting" || state == "stopping" || state == "waiting" || state == "cooldown";
}

// Its id and its state, as one says it.
std::string spoken(const Row &row) {
  const std::string id = escape(row[row_id]);
  if (row[row_state] == "stopping") return id + " is still being stopped";
  if (row[row_state] == "starting") return id + " is still being started";
  return fmt::format("{} is {}", id, escape(row[row_state]));
}

}  // namespace

Progress::Progress(const Question &question, Printer &printer)
    : question_(question), printer_(printer), waits_(question.waits && !question.no_wait),
      shows_(waits_ && !printer.collects() && !printer.quiet() && ::isatty(printer.out()) != 0 && ::isatty(printer.err()) != 0) {
  if (!waits_) return;
  struct sigaction action {};
  interrupted = 0;
  action.sa_handler = [](int) { interrupted = 1; };
  handles_ = ::sigaction(SIGINT, nullptr, &old_) == 0 && old_.sa_handler != SIG_IGN && ::sigaction(SIGINT, &action, nullptr) == 0;
}

Progress::~Progress() {
  clear();
  if (handles_) ::sigaction(SIGINT, &old_, nullptr);
}

std::vector<Row> Progress::left(const std::set<std::string> &reported) const {
  Question question{.verb = "status", .arguments = question_.arguments, .user = question_.user, .keep_text = true};
  if (question_.verb == "scale" && !question.arguments.empty()) question.arguments.erase(question.arguments.begin());
  std::vector<Row> rows = ask_quickly(question).rows;
  std::erase_if(rows, [&reported](const Row &row) { return !on_its_way(row) || reported.contains(row[row_id]); });
  return rows;
}

void Progress::draw() {
  const auto passed = std::chrono::duration_cast<Patience>(Clock::now() - begin_);
  std::string line = passed < 1s ? std::string("waiting") : fmt::format("waiting for {}", short_time(static_cast<std::uint64_t>(passed.count())));
  for (std::size_t i = 0; i < left_.size() && i < named; i++) line += (i == 0 ? ": " : ", ") + spoken(left_[i]);
  if (left_.size() > named) line += fmt::format(" and {} more", left_.size() - named);
  if (left_.size() == 1 && !left_[0][row_note].empty()) line += "; " + escape(left_[0][row_note]);
  // In the last column a terminal would go to the next line, and that could not be taken back; nor could what is before the ^C that it
  // shows behind the line.
  constexpr std::size_t room = 3;
  const std::size_t columns = std::max(terminal_size(printer_.err()).columns, room + 1) - room;
  line = "\r" + cut(line, columns) + "\x1b[K";
  drawn_ = ::write(printer_.err(), line.data(), line.size()) > 0;
}

void Progress::clear() {
  if (!drawn_) return;
  constexpr char nothing[] = "\r\x1b[K";
  (void)!::write(printer_.err(), nothing, sizeof nothing - 1);
  drawn_ = false;
}

void Progress::say_what_goes_on(const std::set<std::string> &reported) {
  clear();
  const std::vector<Row> rows = left(reported);
  std::string text;
  for (std::size_t i = 0; i < rows.size() && i < told; i++) {
    const std::string note = escape(rows[i][row_note]);
    text += fmt::format("{}{}; dmctl status {} shows it\n", spoken(rows[i]), note.empty() ? "" : ": " + note, escape(rows[i][row_id]));
  }
  if (rows.size() > told) text += fmt::format("and {} more; dmctl status shows them\n", rows.size() - told);
  printer_.complain(own_words("interrupted; what was asked for goes on") + text, Exit::interrupted);
}

bool Progress::tick(const std::set<std::string> &reported) {
  if (!waits_) return true;
  if (interrupted != 0) return say_what_goes_on(reported), false;
  const Clock::time_point now = Clock::now();
  if (!shows_ || now - begin_ < quick) return true;
  if (now >= look_at_) {
    left_ = left(reported);
    const Clock::duration took = Clock::now() - now;
    look_at_ = Clock::now() + std::max<Clock::duration>(least_pause, took * 10);
  }
  draw();
  return true;
}

}  // namespace dm::dmctl
