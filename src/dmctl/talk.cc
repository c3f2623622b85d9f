// One question to the manager and what its answer means: rows kept, outcomes printed, one exit code. The caller's privilege.
#include "dmctl/talk.hh"

#include "lib/text.hh"
#include "settings.hh"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr Patience answer_patience = std::chrono::seconds(60);
constexpr Patience restart_patience = std::chrono::seconds(2);
constexpr int repeats = 5;

// An exit code as it is sent; what is none counts as failed.
Exit parse_exit(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size())
    for (Exit known : {Exit::done, Exit::failed, Exit::usage, Exit::not_running, Exit::not_permitted, Exit::no_such_daemon})
      if (static_cast<int>(known) == value) return known;
  return Exit::failed;
}

int gravity(Exit code) {
  switch (code) {
  case Exit::done: return 0;
  case Exit::not_running: return 1;
  case Exit::failed: return 2;
  case Exit::no_such_daemon: return 3;
  case Exit::not_permitted: return 4;
  case Exit::usage: return 5;
  case Exit::no_manager: return 6;
  }
  return 2;
}

// Turns the frames of one answer into rows, printed lines and a code.
class Listener {
public:
  Listener(const Question &question, Printer &printer) : question_(question), printer_(printer) {}

  // False where the frame does not hold what its kind promises.
  bool take(const Connection::Frame &frame) {
    if (!split_fields(frame.payload, fields_)) return false;
    switch (frame.kind) {
    case FrameKind::row: return take_fields(answer_.rows);
    case FrameKind::event: return take_fields(answer_.events);
    case FrameKind::reason: return take_fields(answer_.reasons);
    case FrameKind::outcome: return take_outcome();
    case FrameKind::text:
      for (std::string_view text : fields_) take_text(text);
      return true;
    case FrameKind::end:
      if (fields_.empty()) return false;
      if (!line_.empty()) take_text("\n");
      answer_.complete = true;
      answer_.code = graver(answer_.code, parse_exit(fields_[0]));
      return true;
    case FrameKind::request: break;
    }
    return false;
  }
  [[nodiscard]] bool ended() const { return answer_.complete; }
  Answer fail(std::string_view why) {
    printer_.complain(own_words(why));
    answer_.code = graver(answer_.code, Exit::failed);
    return std::move(answer_);
  }
  Answer answer() { return std::move(answer_); }

private:
  // There may be more than we know: of a newer manager.
  template <typename Record>
  bool take_fields(std::vector<Record> &all) {
    Record record;
    if (fields_.size() < record.size()) return false;
    std::copy_n(fields_.begin(), record.size(), record.begin());
    all.push_back(std::move(record));
    return true;
  }
  // A text may be cut anywhere between two frames: only whole lines go out.
  void take_text(std::string_view text) {
    answer_.spoke = true;
    for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n')) {
      line_ += text.substr(0, end);
      const std::string safe = escape(line_) + "\n";
      if (question_.keep_text) answer_.text += safe;
      else if (printer_.collects()) printer_.keep({"", line_, Exit::done});
      else printer_.put(safe);
      line_.clear();
      text.remove_prefix(end + 1);
    }
    line_ += text;
  }
  bool take_outcome() {
    if (fields_.size() < 3) return false;
    const Exit code = parse_exit(fields_[0]);
    answer_.code = graver(answer_.code, code);
    if (fields_.size() > 3 && fields_[3] == outcome_held) answer_.held.emplace_back(fields_[1]);
    else answer_.other = graver(answer_.other, code);
    answer_.spoke = true;
    if (printer_.collects()) return printer_.keep({std::string(fields_[1]), std::string(fields_[2]), code}), true;
    const std::string text = safe_lines(fields_[2]);
    const std::string id = escape(fields_[1]);
    if (code != Exit::done) printer_.complain(fmt::format("{}: {}", id.empty() ? "dmctl" : id, text));
    else if (id.empty() || question_.bare) printer_.put(text);
    else printer_.put(fmt::format("{}: {}", id, text));
    return true;
  }

  const Question &question_;
  Printer &printer_;
  Answer answer_;
  std::string line_;  // of a text, not ended yet
  std::vector<std::string_view> fields_;
};

}  // namespace

Question question_of(const Command &command) {
  Question question;
  question.verb = command.verb->name;
  question.arguments.assign(command.words.begin(), command.words.end());
  question.user = command.user;
  question.no_wait = command.no_wait;
  question.with_dependants = command.with_dependants;
  question.waits = command.verb->waits;
  return question;
}

bool is_active(const Row &row) { return row[row_state] == "running" || row[row_state] == "listening"; }

Exit activity(std::span<const Row> rows) {
  for (const Row &row : rows)
    if (!is_active(row)) return Exit::not_running;
  return Exit::done;
}

Exit graver(Exit a, Exit b) { return gravity(a) >= gravity(b) ? a : b; }

Answer ask(Connection &connection, const Question &question, Printer &printer, Patience patience, bool may_repeat) {
  Listener listener(question, printer);
  std::string flags = question.no_wait ? "no-wait" : "";
  if (question.with_dependants) flags += flags.empty() ? "with-dependants" : ",with-dependants";
  std::vector<std::string_view> fields{question.verb, flags, question.user};
  fields.insert(fields.end(), question.arguments.begin(), question.arguments.end());
  std::string request;
  put_frame(request, FrameKind::request, fields);
  if (!connection.send(request, patience)) return listener.fail("the manager does not take the request; is it hung?");
  bool heard = false;
  while (!listener.ended()) {
    if (!connection.ready()) printer.flush();  // what is known is shown before it waits
    Connection::Frame frame{};
    switch (connection.next(frame, question.waits && !question.no_wait ? for_ever : patience)) {
    case Connection::Got::frame:
      heard = true;
      if (!listener.take(frame)) return listener.fail("the manager's answer makes no sense; do its version and dmctl's differ?");
      break;
    case Connection::Got::closed:
      if (may_repeat && !heard) {
        Answer lost;
        lost.lost = true;
        return lost;
      }
      return listener.fail("the manager went away in the middle of its answer; try again");
    case Connection::Got::silence:
      return listener.fail(fmt::format("the manager has not answered for {}; its log may say why",
                                       short_time(static_cast<std::uint64_t>(patience.count()))));
    case Connection::Got::nonsense:
      return listener.fail("the manager's answer is not one; do its version and dmctl's differ?");
    }
  }
  return listener.answer();
}

namespace {

Answer ask_once(const Question &question, Printer &printer, bool may_repeat) {
  Result<Fd> socket = connect_to(socket_paths(), DM_RUN_DIR, restart_patience);
  if (!socket) {
    printer.complain(own_words("the manager is not running") + socket.error().operation +
                     "  to start it, as root: systemctl start daemon-manager (without systemd: daemon-manager --background)\n",
                     Exit::no_manager);
    Answer answer;
    answer.code = Exit::no_manager;
    return answer;
  }
  Connection connection(std::move(*socket));
  return ask(connection, question, printer, answer_patience, may_repeat);
}

}  // namespace

Answer ask_manager(const Question &question, Printer &printer) {
  // A manager or worker that was replaced before it said a word: what may be asked twice is asked again.
  const bool harmless = question.verb != "restart" && question.verb != "try-restart" && question.verb != "reload" && question.verb != "kill";
  for (int tries = repeats; harmless && tries > 0; tries--)
    if (Answer answer = ask_once(question, printer, true); !answer.lost) return answer;
  return ask_once(question, printer, false);
}

}  // namespace dm::dmctl
