// The table of dmctl's verbs, and those that are one question to the manager. The caller's privilege.
#include "dmctl/verbs.hh"

#include "dmctl/table.hh"
#include "dmctl/talk.hh"
#include "lib/text.hh"
#include "settings.hh"

#include <algorithm>
#include <csignal>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr Verb table[] = {
    {"status", Ids::any, false, false, run_status, "status [ID...]", "show daemons; without a verb too"},
    {"list", Ids::any, false, false, run_list, "list [ID...]", "print their ids, one a line"},
    {"start", Ids::some, true, false, run_change, "start ID...", "start, with its conf read again first"},
    {"stop", Ids::some, true, false, run_stop, "stop ID...", "stop, and wait until nothing of it is left"},
    {"restart", Ids::some, true, false, run_change, "restart ID...", "stop, read the conf again, start"},
    {"try-restart", Ids::some, true, false, run_change, "try-restart ID...", "restart those that run, leave the others as they are"},
    {"reload", Ids::some, true, false, run_change, "reload ID...", "make it read its files again, as reload= in its conf says"},
    {"scale", Ids::some, true, false, run_scale, "scale ID... NUMBER", "so many of a conf with instances="},
    {"kill", Ids::some, false, false, run_kill, "kill [SIGNAL] ID...", "send its main process a signal (TERM)"},
    {"pid", Ids::some, false, false, run_pid, "pid ID...", "print the pid of its main process"},
    {"log", Ids::one, false, true, run_log, "log ID [-n LINES] [-f]", "show its log"},
    {"tail", Ids::one, false, true, run_log, "tail ID [-n LINES]", "the last 20 lines, and on a terminal what follows"},
    {"rescan", Ids::none, true, false, run_change, "rescan", "read all confs again: new ones start, gone ones stop"},
    {"check", Ids::any, false, false, run_check, "check [FILE|NAME...]", "say what is wrong with confs, without a manager"},
    {"version", Ids::none, false, false, run_version, "version", "print dmctl's and the manager's version"},
    {"help", Ids::any, false, false, run_help, "help [VERB]", "print this"},
};

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

// A line that begins with y or Y.
bool says_yes() {
  char bytes[256];
  const ssize_t size = ::read(0, bytes, sizeof bytes);
  return size > 0 && (bytes[0] == 'y' || bytes[0] == 'Y');
}

}  // namespace

std::span<const Verb> verbs() { return table; }

const Verb *find_verb(std::string_view name) {
  const auto at = std::find_if(std::begin(table), std::end(table), [&](const Verb &verb) { return verb.name == name; });
  return at == std::end(table) ? nullptr : at;
}

Exit run_status(const Command &command, Printer &printer) {
  Question question = question_of(command);
  question.keep_text = true;
  const Answer answer = ask_manager(question, printer);
  if (!answer.complete) return answer.code;
  Exit code = answer.code;
  if (!answer.rows.empty()) printer.put(status_table(answer.rows));
  else if (!answer.spoke && code == Exit::done) {
    printer.put(status_table(answer.rows));
    printer.complain("  no daemons yet: write ~/.daemon-manager/daemons/NAME.conf, see daemon.conf(5), then: dmctl rescan\n");
  }
  printer.put(answer.text);
  if (!command.words.empty())
    for (const Row &row : answer.rows)
      if (row[row_state] != "running" && row[row_state] != "listening") code = graver(code, Exit::not_running);
  return code;
}

Exit run_list(const Command &command, Printer &printer) {
  const Answer answer = ask_manager(question_of(command), printer);
  if (answer.complete)
    for (const Row &row : answer.rows) printer.put(escape(row[row_id]) + "\n");
  return answer.code;
}

Exit run_pid(const Command &command, Printer &printer) {
  Question question = question_of(command);
  question.bare = true;
  const Answer answer = ask_manager(question, printer);
  if (!answer.complete) return answer.code;
  Exit code = answer.code;
  for (const Row &row : answer.rows) {
    if (!row[row_pid].empty()) printer.put(escape(row[row_pid]) + "\n");
    else {
      printer.complain(fmt::format("{}: not running\n", escape(row[row_id])));
      code = graver(code, Exit::not_running);
    }
  }
  return code;
}

Exit run_change(const Command &command, Printer &printer) { return ask_manager(question_of(command), printer).code; }

Exit run_stop(const Command &command, Printer &printer) {
  Question question = question_of(command);
  const Answer answer = ask_manager(question, printer);
  if (answer.held.empty() || !printer.flush() || ::isatty(0) == 0 || ::isatty(printer.out()) == 0) return answer.code;
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
  const std::string signal = std::to_string(command.signal == 0 ? SIGTERM : command.signal);
  Question question = question_of(command);
  question.arguments.insert(question.arguments.begin(), signal);
  return ask_manager(question, printer).code;
}

Exit run_version(const Command &command, Printer &printer) {
  printer.put("dmctl " DM_VERSION "\n");
  if (!command.words.empty()) return Exit::done;  // --version
  return ask_manager(question_of(command), printer).code;
}

Exit run_help(const Command &command, Printer &printer) {
  if (!command.words.empty()) {
    const Verb *verb = find_verb(command.words[0]);
    if (verb == nullptr) {
      printer.complain(own_words(fmt::format("there is no verb '{}'; dmctl help lists them", escape(command.words[0]))));
      return Exit::usage;
    }
    printer.put(fmt::format("dmctl {}: {}\n", verb->usage, verb->summary));
    return Exit::done;
  }
  printer.put("dmctl [VERB] [ID...] [OPTIONS]; `dmctl ID VERB` is as good\n\n");
  for (const Verb &verb : verbs()) printer.put(fmt::format("  {:<24}{}\n", verb.usage, verb.summary));
  printer.put("\n"
              "  ID is name or owner/name, or `all`\n"
              "  -u, --user USER         of this user's daemons\n"
              "  --no-wait               do not wait for the daemon to get there\n"
              "  --with-dependants       stop: those that require it too, and first\n"
              "  -n, --lines LINES       log, tail: the last LINES lines\n"
              "  -f, --follow            log, tail: go on with what is written; --no-follow\n"
              "  -s SIGNAL, -SIGNAL      kill: the signal, by name or number\n"
              "  -h, --help, --version\n\n"
              "More in dmctl(1); how to write a daemon's conf is in daemon.conf(5).\n");
  return Exit::done;
}

}  // namespace dm::dmctl
