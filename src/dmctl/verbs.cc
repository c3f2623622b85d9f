// The table of dmctl's verbs, and those that are one question to the manager. The caller's privilege.
#include "dmctl/verbs.hh"

#include "dmctl/plain_words.hh"
#include "dmctl/talk.hh"
#include "lib/nearest.hh"
#include "lib/text.hh"

#include <algorithm>
#include <csignal>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr Verb table[] = {
    {"status", Ids::any, false, false, run_status, "status [ID...] [-l] [-w]", "show daemons, or a page of each ID; without a verb too", true},
    {"top", Ids::any, false, false, run_top, "top [ID...]", "the same on a screen that goes on, with keys to act"},
    {"list", Ids::any, false, false, run_list, "list [ID...]", "print their ids, one a line", true},
    {"is-active", Ids::some, false, false, run_is_active, "is-active ID...", "print their states; exit 0 where all run or listen", true},
    {"start", Ids::some, true, false, run_change, "start ID...", "start, with its conf read again first"},
    {"stop", Ids::some, true, false, run_stop, "stop ID...", "stop, and wait until nothing of it is left"},
    {"restart", Ids::some, true, false, run_change, "restart ID...", "read the conf again, stop, start"},
    {"try-restart", Ids::some, true, false, run_change, "try-restart ID...", "restart those that run, leave the others as they are"},
    {"reload", Ids::some, true, false, run_change, "reload ID...", "make it read its files again, as reload= in its conf says"},
    {"scale", Ids::some, true, false, run_scale, "scale NAME... NUMBER", "so many of a conf with instances="},
    {"reset-failed", Ids::some, false, false, run_change, "reset-failed ID...", "forget why they are failed, and how often that was"},
    {"kill", Ids::some, false, false, run_kill, "kill [SIGNAL] ID...", "send its main process a signal (TERM)"},
    {"pid", Ids::some, false, false, run_pid, "pid ID...", "print the pid of its main process", true},
    {"history", Ids::some, false, false, run_history, "history ID...", "what happened to it, when, and on whose word", true},
    {"log", Ids::some, false, true, run_log, "log ID... [-n LINES] [-f]", "show its log", true},
    {"tail", Ids::some, false, true, run_log, "tail ID... [-n LINES]", "the last 20 lines, and on a terminal what follows", true},
    {"reopen", Ids::some, false, false, run_change, "reopen ID...", "have their logs opened anew, for one who has moved them away"},
    {"rescan", Ids::none, true, false, run_change, "rescan", "read all confs again: new ones start, gone ones stop"},
    {"enable", Ids::some, false, false, run_enable, "enable ID...", "write autostart=yes into confs of one's own"},
    {"disable", Ids::some, false, false, run_disable, "disable ID...", "write autostart=no into confs of one's own"},
    {"cat", Ids::some, false, false, run_cat, "cat ID...", "print their confs", true},
    {"check", Ids::any, false, false, run_check, "check [FILE|NAME...]", "say what is wrong with confs, without a manager", true},
    {"new", Ids::one, true, false, run_new, "new NAME [--dir DIR] [--start COMMAND] [--output OUTPUT]", "write a conf, asking for what it needs"},
    {"edit", Ids::one, true, false, run_edit, "edit NAME", "change a conf in an editor, and judge it before it counts"},
    {"explain", Ids::some, false, false, run_explain, "explain USER VERB ID...", "whether he may, and by which line of the master config", true},
    {"metrics", Ids::any, false, false, run_metrics, "metrics [ID...]", "what Prometheus reads of them", true},
    {"version", Ids::none, false, false, run_version, "version", "print dmctl's and the manager's version", true},
    {"help", Ids::any, false, false, run_help, "help [VERB]", "print this"},
};

constexpr Alias other_names[] = {
    {"ls", "list"}, {"ps", "status"}, {"show", "status"}, {"logs", "log"}, {"signal", "kill"},
    {"reread", "rescan"}, {"update", "rescan"}, {"daemon-reload", "rescan"},
};

// `kill web HUP`: HUP is the signal, unless there is a daemon of that name too, which might be meant.
bool is_daemon(std::string_view name, const Command &command) {
  Printer nobody(-1, -1);
  return !ask_manager({.verb = "status", .arguments = {name}, .user = command.user}, nobody).rows.empty();
}

// A line that begins with y or Y.
bool says_yes() {
  char bytes[256];
  const ssize_t size = ::read(0, bytes, sizeof bytes);
  return size > 0 && (bytes[0] == 'y' || bytes[0] == 'Y');
}

}  // namespace

std::span<const Verb> verbs() { return table; }
std::span<const Alias> aliases() { return other_names; }

const Verb *find_verb(std::string_view name) {
  for (const Alias &alias : other_names)
    if (alias.name == name) name = alias.verb;
  const auto at = std::find_if(std::begin(table), std::end(table), [&](const Verb &verb) { return verb.name == name; });
  return at == std::end(table) ? nullptr : at;
}

std::string nearest_verb(std::string_view word) {
  // What has only been cut short first: `stat` is no misspelt `start`.
  constexpr std::size_t enough = 3;
  const auto begins = [word](const Verb &verb) { return word.size() >= enough && verb.name.starts_with(word); };
  if (std::count_if(std::begin(table), std::end(table), begins) == 1)
    return std::string(std::find_if(std::begin(table), std::end(table), begins)->name);
  Nearest nearest(word);
  for (const Verb &verb : table) nearest.offer(verb.name);
  for (const Alias &alias : other_names) nearest.offer(alias.name);
  return nearest.found();
}

Exit run_change(const Command &command, Printer &printer) { return ask_manager(question_of(command), printer).code; }

Exit run_stop(const Command &command, Printer &printer) {
  Question question = question_of(command);
  const Answer answer = ask_manager(question, printer);
  if (answer.held.empty() || command.quiet || !printer.flush() || ::isatty(0) == 0 || ::isatty(printer.out()) == 0) return answer.code;
  printer.put(answer.held.size() == 1 && answer.complete ? "stop those that require it too? [y/N] " : "stop those that require them too? [y/N] ");
  printer.flush();
  if (!says_yes()) return answer.code;
  question.with_dependants = true;
  question.arguments.assign(answer.held.begin(), answer.held.end());
  return graver(answer.other, ask_manager(question, printer).code);
}

Exit run_scale(const Command &command, Printer &printer) {
  const std::string size = std::to_string(command.size);
  Question question = question_of(command);
  question.arguments.insert(question.arguments.begin(), size);
  return ask_manager(question, printer).code;
}

Exit run_kill(const Command &command, Printer &printer) {
  const std::string &last = command.last_signal;
  if (!last.empty() && is_daemon(last, command)) {
    const std::string id = escape(command.words.back());
    printer.complain(own_words(fmt::format("'{}' is a signal and a daemon too, so nothing was sent; for the signal: dmctl kill -{} {}; "
                                           "for the daemon: dmctl kill -TERM {} {}",
                                           last, last, id, id, last)));
    return Exit::usage;
  }
  const std::string signal = std::to_string(command.signal == 0 ? SIGTERM : command.signal);
  Question question = question_of(command);
  question.arguments.insert(question.arguments.begin(), signal);
  const Answer answer = ask_manager(question, printer);
  if (command.signal != 0) return answer.code;
  // Where no signal was named, what is no daemon may be one that was mistyped.
  for (const std::string &word : answer.unknown) {
    const std::string meant = nearest_signal(word);
    if (meant.empty()) continue;
    printer.complain(own_words(fmt::format("'{}' is no signal either; did you mean {}?", escape(word), meant)));
    return graver(answer.code, Exit::usage);
  }
  return answer.code;
}

}  // namespace dm::dmctl
