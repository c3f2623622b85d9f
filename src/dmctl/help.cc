// The verb help. The caller's privilege; asks nobody.
#include "dmctl/options.hh"
#include "dmctl/verbs.hh"
#include "dmctl/words.hh"
#include "lib/text.hh"

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

std::string names_of(const Verb &verb) {
  std::string names;
  for (const Alias &alias : aliases())
    if (alias.verb == verb.name) names += (names.empty() ? "" : ", ") + std::string(alias.name);
  return names;
}

void put_option(Printer &printer, char letter, std::string_view name, std::string_view value, std::string_view summary) {
  const std::string shown = fmt::format("{}{}{}{}", letter == 0 ? std::string() : fmt::format("-{}, ", letter), name, value.empty() ? "" : " ", value);
  printer.put(fmt::format("  {:<24}{}\n", shown, summary));
}

// Those that change something of this verb, its own before those of many.
void put_options(const Verb &verb, Printer &printer) {
  if (verb.name == "kill") put_option(printer, 's', signal_option, "SIGNAL", "the signal, by name or number; -SIGNAL is the same");
  for (const bool own : {true, false})
    for (const Option &option : options())
      if (option.helps(verb) && own != option.verbs.empty()) put_option(printer, option.letter, option.name, option.value, option.summary_for(verb.name));
}

Exit explain(std::string_view word, Printer &printer) {
  const Verb *verb = find_verb(word);
  if (verb == nullptr) {
    const std::string meant = nearest_verb(word);
    printer.complain(own_words(fmt::format("there is no verb '{}'; {}dmctl help lists them", escape(word),
                                           meant.empty() ? "" : fmt::format("did you mean '{}'? ", meant))));
    return Exit::usage;
  }
  if (word != verb->name) printer.put(fmt::format("{} is another name of {}\n", word, verb->name));
  printer.put(fmt::format("dmctl {}: {}\n", verb->usage, verb->summary));
  if (const std::string names = names_of(*verb); !names.empty() && word == verb->name) printer.put(fmt::format("also: {}\n", names));
  put_options(*verb, printer);
  return Exit::done;
}

}  // namespace

Exit run_help(const Command &command, Printer &printer) {
  if (!command.words.empty()) return print_words(command.words, printer) ? Exit::done : explain(command.words[0], printer);
  printer.put("dmctl [VERB] [ID...] [OPTIONS]; `dmctl ID VERB` is as good\n\n");
  for (const Verb &verb : verbs()) printer.put(fmt::format("  {:<24}{}{}\n", verb.usage, verb.usage.size() < 24 ? "" : fmt::format("\n{:26}", ""), verb.summary));
  printer.put("\n  other names:");
  for (const Alias &alias : aliases()) printer.put(fmt::format(" {}={}", alias.name, alias.verb));
  printer.put("\n\n"
              "  ID is name or owner/name, a pattern like 'wp-*' or '*/web', or all\n"
              "  -u, --user USER         of this user's daemons\n"
              "  -q, --quiet             print nothing but errors; the exit code tells\n"
              "  --color WHEN            auto, always or never\n"
              "  --json                  the verbs that only read: for programs, see dmctl.schema.json\n"
              "  -l, --long              status: memory and CPU too; of each ID a page\n"
              "  -w, --watch             status: again and again, until q\n"
              "  --sort COLUMN           status, top: by name, state, cpu, memory, uptime or respawns\n"
              "  --interval SECONDS      status -w, top: between two looks (2)\n"
              "  --no-wait               do not wait for the daemon to get there\n"
              "  --with-dependants       stop: those that require it too, and first\n"
              "  -n, --lines LINES       log, tail: the last LINES lines\n"
              "  --since TIME            log, tail: from then on: 10m, 12:30, 2026-11-22T12:30\n"
              "  --until TIME            log, tail: up to then, old logs too\n"
              "  --grep RE               log, tail: lines that match this extended regular expression\n"
              "  -o, --form raw          log, tail: nothing escaped, nothing coloured\n"
              "  --no-pager              log: not in $DMCTL_PAGER, $PAGER or less, where there is a terminal\n"
              "  -f, --follow            log, tail: go on with what is written; --no-follow\n"
              "  -s SIGNAL, -SIGNAL      kill: the signal, by name or number\n"
              "  --dir DIR, --start COMMAND, --user USER, --listen ADDRESS, --output log|syslog|file:PATH|discard\n"
              "                          new: what its conf shall say; it asks for dir, start and output\n"
              "  --yes                   new: start it; edit: restart it where it runs\n"
              "  -h, --help, --version\n\n"
              "More in dmctl(1); how to write a daemon's conf is in daemon.conf(5).\n");
  return Exit::done;
}

}  // namespace dm::dmctl
