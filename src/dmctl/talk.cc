// One question to the manager and what its answer means: rows kept, outcomes printed, one exit code. The caller's privilege.
#include "dmctl/talk.hh"

#include "dmctl/home.hh"
#include "dmctl/progress.hh"
#include "dmctl/reach.hh"

#include "lib/text.hh"
#include "settings.hh"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <optional>
#include <set>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr Patience answer_patience = std::chrono::seconds(60);
constexpr Patience quick_patience = std::chrono::seconds(1);
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
  case Exit::interrupted: return 7;
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
    case FrameKind::row: return take_fields(answer_.rows, row_fields);
    case FrameKind::event: return take_fields(answer_.events, event_fields);
    case FrameKind::reason: return take_fields(answer_.reasons, reason_fields);
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
  Answer fail(std::string_view lines, Exit code = Exit::failed) {
    if (!lines.empty()) printer_.complain(lines, code);
    answer_.code = graver(answer_.code, code);
    return std::move(answer_);
  }
  // What came is no answer.
  Answer stumble() {
    answer_.senseless = true;
    return fail(own_words("the manager's answer makes no sense to dmctl " DM_VERSION));
  }
  // Of which the outcome has come.
  [[nodiscard]] const std::set<std::string> &reported() const { return reported_; }
  Answer answer() { return std::move(answer_); }

private:
  // There may be more than we know: of a newer manager. Of those from `least` on there may be fewer.
  template <typename Record>
  bool take_fields(std::vector<Record> &all, std::size_t least) {
    Record record;
    if (fields_.size() < least) return false;
    std::copy_n(fields_.begin(), std::min(fields_.size(), record.size()), record.begin());
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
    std::string unread;
    if (code == Exit::no_such_daemon) unread = unread_words(fields_[1]);
    if (code == Exit::no_such_daemon && unread.empty()) answer_.unknown.emplace_back(fields_[1]);
    if (!unread.empty()) fields_[2] = unread;
    if (question_.waits) reported_.emplace(fields_[1]);
    answer_.senseless = answer_.senseless || (fields_.size() > 3 && fields_[3] == outcome_unknown);
    if (fields_.size() > 3 && fields_[3] == outcome_held) answer_.held.emplace_back(fields_[1]);
    else answer_.other = graver(answer_.other, code);
    answer_.spoke = true;
    if (printer_.collects()) return printer_.keep({std::string(fields_[1]), std::string(fields_[2]), code}), true;
    const std::string text = safe_lines(fields_[2]);
    const std::string id = escape(fields_[1]);
    if (code != Exit::done) printer_.complain(fmt::format("{}: {}", id.empty() ? "dmctl" : id, text));
    else if (id.empty() || question_.bare) printer_.say(text);
    else printer_.say(fmt::format("{}: {}", id, text));
    return true;
  }

  // Of a daemon that the manager does not know and of which the caller has a conf: what reads it; "" where he has none.
  std::string unread_words(std::string_view id) {
    if (question_.verb == "start") return {};  // it has read them
    if (!caller_) caller_ = find_caller();
    if (!question_.user.empty() && question_.user != caller_->name) return {};
    const std::optional<std::string> name = own_name(*caller_, id);
    if (!name) return {};
    return fmt::format("there is a conf {0}.conf that was not read yet; dmctl start {0} reads it and starts it, dmctl rescan reads all", *name);
  }

  const Question &question_;
  Printer &printer_;
  Answer answer_;
  std::optional<Caller> caller_;  // found where he is asked about
  std::string line_;  // of a text, not ended yet
  std::set<std::string> reported_;
  std::vector<std::string_view> fields_;
};

std::string list_of(const std::vector<std::string> &ids) {
  constexpr std::size_t named = 8;
  std::string list;
  for (std::size_t i = 0; i < ids.size() && i < named; i++) list += (i == 0 ? "" : ", ") + escape(ids[i]);
  return ids.size() > named ? fmt::format("{} and {} more", list, ids.size() - named) : list;
}

// That the manager went away, and which daemons of the request had their answer by then: which it means the next one tells.
std::string describe_cut(const Question &question, const std::set<std::string> &reported) {
  std::string text = "the manager went away in the middle of its answer; ";
  if (!question.waits || question.arguments.empty()) return text + "try again";
  Printer nobody(-1, -1);
  Question status{.verb = "status", .arguments = question.arguments, .user = question.user, .keep_text = true, .may_be_down = true};
  if (question.verb == "scale") status.arguments.erase(status.arguments.begin());
  std::vector<std::string> with, without;
  for (const Row &row : ask_manager(status, nobody).rows) (reported.contains(row[row_id]) ? with : without).push_back(row[row_id]);
  if (without.empty() && with.empty()) with.assign(reported.begin(), reported.end());
  if (!without.empty()) text += fmt::format("without one are: {}; ", list_of(without));
  if (!with.empty()) text += fmt::format("with one: {}; ", list_of(with));
  return text + (without.empty() && with.empty() ? "try again" : "dmctl status shows how they are; try again");
}

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
  std::string flags;
  const auto add_flag = [&flags](bool set, std::string_view name) { if (set) flags += (flags.empty() ? "" : ",") + std::string(name); };
  add_flag(question.no_wait, "no-wait");
  add_flag(question.with_dependants, "with-dependants");
  add_flag(question.long_rows, "long");
  add_flag(question.first_ms != 0, fmt::format("{}{}", flag_asked, question.first_ms));
  std::vector<std::string_view> fields{question.verb, flags, question.user};
  fields.insert(fields.end(), question.arguments.begin(), question.arguments.end());
  std::string request;
  put_frame(request, FrameKind::request, fields);
  if (!connection.send(request, patience)) return listener.fail(describe_silence(patience));
  Progress progress(question, printer);
  const bool waits = question.waits && !question.no_wait;
  bool heard = false;
  while (!listener.ended()) {
    if (!connection.ready()) printer.flush();  // what is known is shown before it waits
    Connection::Frame frame{};
    const Connection::Got got = connection.next(frame, waits ? progress.pause() : patience);
    if (got == Connection::Got::silence && waits) {
      if (!progress.tick(listener.reported())) return listener.fail("", Exit::interrupted);
      continue;
    }
    progress.clear();
    switch (got) {
    case Connection::Got::frame:
      heard = true;
      if (!listener.take(frame)) return listener.stumble();
      break;
    case Connection::Got::closed:
      if (may_repeat && !heard) {
        Answer lost;
        lost.lost = true;
        return lost;
      }
      return listener.fail(own_words(describe_cut(question, listener.reported())));
    case Connection::Got::silence: return listener.fail(describe_silence(patience));
    case Connection::Got::nonsense: return listener.stumble();
    }
  }
  return listener.answer();
}

namespace {

Answer ask_once(const Question &question, Printer &printer, bool may_repeat) {
  std::vector<Attempt> tried;
  Result<Fd> socket = connect_to(socket_paths(), DM_RUN_DIR, restart_patience, tried);
  if (!socket) {
    Answer answer;
    answer.code = Exit::no_manager;
    answer.text = describe_unreachable(tried, ::access(DM_RUN_DIR, F_OK) == 0);
    if (!question.may_be_down) printer.complain(answer.text, Exit::no_manager);
    return answer;
  }
  Connection connection(std::move(*socket));
  return ask(connection, question, printer, answer_patience, may_repeat);
}

// Milliseconds of CLOCK_BOOTTIME.
std::int64_t boot_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

Answer ask_again(const Question &asked, Printer &printer) {
  // A manager or worker that was replaced before it said a word: what may be asked twice is asked again.
  Question question = asked;
  const bool harmless = question.verb != "restart" && question.verb != "try-restart" && question.verb != "reload" && question.verb != "kill";
  const std::int64_t begin = boot_ms();
  for (int tries = repeats; harmless && tries > 0; tries--) {
    if (Answer answer = ask_once(question, printer, true); !answer.lost) return answer;
    if (question.verb == "start") question.first_ms = begin;  // what that has started, and has ended since, is not to run once more
  }
  return ask_once(question, printer, false);
}

}  // namespace

Answer ask_manager(const Question &question, Printer &printer) {
  Answer answer = ask_again(question, printer);
  if (answer.senseless) printer.complain(describe_versions(manager_version()), answer.code);
  return answer;
}

Answer ask_quickly(const Question &question) {
  Printer nobody(-1, -1);
  std::vector<Attempt> tried;
  Result<Fd> socket = connect_to(socket_paths(), DM_RUN_DIR, Patience(0), tried);
  if (!socket) return {};
  Connection connection(std::move(*socket));
  return ask(connection, question, nobody, quick_patience);
}

std::string manager_version() {
  constexpr std::string_view name = "daemon-manager ";
  std::string text = ask_quickly({.verb = "version", .keep_text = true}).text;
  while (text.ends_with('\n')) text.pop_back();
  return text.starts_with(name) ? text.substr(name.size()) : std::string();
}

}  // namespace dm::dmctl
