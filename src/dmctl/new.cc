// The verb new: asks for what a conf needs, and writes it. The caller's privilege; only a start needs the manager.
#include "dmctl/home.hh"
#include "dmctl/judge.hh"
#include "dmctl/place.hh"
#include "dmctl/talk.hh"
#include "dmctl/terminal.hh"
#include "dmctl/verbs.hh"
#include "lib/book_words.hh"
#include "lib/conf.hh"
#include "lib/names.hh"
#include "lib/text.hh"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::string_view usual_output = "log";
constexpr mode_t conf_mode = 0600;  // it may hold exports some day, which are secrets

// Why this is no value of that key; "" where it is one.
std::string fault_of(std::string_view key, std::string_view value) {
  // One line is one value: whatever comes behind a line break would be another key.
  if (std::any_of(value.begin(), value.end(), [](char c) { return c == '\n' || c == '\r' || c == '\0'; }))
    return fmt::format("found a line break after {}=, expected one line", key);
  const Conf conf = parse_conf(fmt::format("{}={}\n", key, value), false);
  for (const ConfFault &fault : conf.faults)
    if (fault.line == 1 && !fault.warning) return fault.text;
  return {};
}

// The directory that one stands in, as a value.
std::string here() {
  char path[4096];
  if (::getcwd(path, sizeof path) == nullptr || path[0] != '/') return "%h";
  std::string value;
  for (const char *at = path; *at != '\0'; at++) value += *at == '%' ? "%%" : std::string(1, *at);
  return fault_of("dir", value).empty() && escape(value) == value ? value : "%h";
}

// Asks until it is a value; false where nobody answers.
bool ask_value(Printer &printer, std::string_view key, std::string_view what, std::string_view preset, std::optional<std::string> &value) {
  while (!value) {
    std::optional<std::string> answer =
        ask_line(printer, preset.empty() ? fmt::format("{}: ", what) : fmt::format("{} [{}]: ", what, preset));
    if (!answer) return false;
    if (answer->empty()) *answer = preset;
    const std::string fault = fault_of(key, *answer);
    if (fault.empty()) value = std::move(answer);
    else printer.complain(safe_lines(fault));
  }
  return true;
}

// What the flags say, judged before anything is asked; false after a word of complaint.
bool judge_flags(const Command &command, bool terminal, Printer &printer) {
  const Draft &draft = command.draft;
  std::string fault;
  const auto judge = [&](std::string_view flag, std::string_view key, std::string_view value) {
    const std::string found = fault_of(key, value);
    if (fault.empty() && !found.empty()) fault = fmt::format("{}: {}", flag, found);
  };
  if (!valid_daemon_name(command.words[0]))
    fault = fmt::format("'{}' is no name for a daemon: it takes letters, digits, _ and (not first) . and -, at most {}",
                        escape(command.words[0]), max_name);
  if (draft.dir) judge("--dir", "dir", *draft.dir);
  if (draft.start) judge("--start", "start", *draft.start);
  if (draft.output) judge("--output", "output", *draft.output);
  if (!command.user.empty()) judge("--user", "user", command.user);
  for (const std::string &listen : draft.listen) judge("--listen", "listen", listen);
  if (fault.empty() && !terminal && (!draft.dir || !draft.start))
    fault = fmt::format("new needs {}{}{}, for there is no terminal to ask on", draft.dir ? "" : "--dir DIRECTORY",
                        draft.dir || draft.start ? "" : " and ", draft.start ? "" : "--start COMMAND");
  if (fault.empty()) return true;
  printer.complain("dmctl: " + safe_lines(fault));
  return false;
}

std::string text_of(const Command &command) {
  const Draft &draft = command.draft;
  std::string text = fmt::format("dir={}\n", *draft.dir);
  if (!command.user.empty()) text += fmt::format("user={}\n", command.user);
  for (const std::string &listen : draft.listen) text += fmt::format("listen={}\n", listen);
  // What it says is looked for as soon as something goes wrong; who wants it thrown away says so.
  text += fmt::format("output={}\n", draft.output.value_or(std::string(usual_output)));
  return text + fmt::format("start={}\n", *draft.start);
}

// The caller's directory, which the manager makes, as himself, where it is not there yet.
Exit find_home(Caller &caller, Printer &printer) {
  caller = find_caller();
  if (caller.dormant) {
    Question question;
    question.verb = "rescan";
    question.waits = true;
    question.keep_text = true;  // that there is nothing yet is no news
    const Answer answer = ask_manager(question, printer);
    caller = find_caller();
    if (!caller.problem.empty() && answer.code != Exit::done) return answer.code;
  }
  if (caller.problem.empty()) return Exit::done;
  printer.complain(safe_lines(caller.problem));
  return Exit::failed;
}

Exit start_it(const Command &command, const Caller &caller, bool terminal, Printer &printer) {
  const std::string &name = command.words[0], id = caller.name + "/" + name;
  if (!command.draft.yes && !(terminal && ask_yes(printer, "start it now?", true))) {
    printer.say(fmt::format("dmctl start {0} starts it, and so does the next rescan or start of the manager, unless dmctl disable {0} comes first\n", name));
    return Exit::done;
  }
  // This reads its conf, and what it says of other confs is not asked for here.
  Question question;
  question.verb = "start";
  question.no_wait = command.no_wait;
  question.waits = true;
  question.arguments = {id};
  return ask_manager(question, printer).code;
}

}  // namespace

Exit run_new(const Command &given, Printer &printer) {
  Command command = given;
  Draft &draft = command.draft;
  const std::string &name = command.words[0];
  const bool terminal = on_terminal(printer);
  if (!judge_flags(command, terminal, printer)) return Exit::usage;
  Caller caller;
  if (const Exit code = find_home(caller, printer); code != Exit::done) return code;
  const std::string path = conf_path(caller, name);
  const std::string taken = safe_lines(fmt::format("{} is there already, and left as it was: dmctl edit {}", path, name));
  if (::faccessat(caller.daemons.get(), conf_file(name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    printer.complain(taken);
    return Exit::failed;
  }
  if (!ask_value(printer, "dir", "directory to start in", here(), draft.dir) ||
      !ask_value(printer, "start", "command that stays", "", draft.start) ||
      (terminal && !draft.yes && !ask_value(printer, "output", "where its output goes: log, syslog, file:PATH or discard", usual_output, draft.output))) {
    printer.complain("nothing was written\n");
    return Exit::failed;
  }
  OwnFile file;
  file.text = text_of(command);
  const Judgement judgement = judge_conf(caller, std::move(file), path, name, printer.err());
  if (!judgement.text.empty()) printer.complain_as_it_is(judgement.text);
  if (!judgement.usable) {
    printer.complain("nothing was written\n");
    return Exit::failed;
  }
  const int error = place_file(caller.daemons.get(), conf_file(name), text_of(command), conf_mode, static_cast<gid_t>(-1), Over::nothing);
  if (error != 0) {
    printer.complain(error == EEXIST ? taken : safe_lines(fmt::format("{}: cannot be written: {}", path, errno_words(error))));
    return Exit::failed;
  }
  printer.say(safe_lines(fmt::format("wrote {}", path)));
  return start_it(command, caller, terminal, printer);
}

}  // namespace dm::dmctl
