// Which of the caller's own confs a command names, and why a word names none. The caller's privilege; no manager is asked.
#include "dmctl/own_confs.hh"

#include "dmctl/command.hh"
#include "dmctl/printer.hh"
#include "dmctl/talk.hh"
#include "lib/book_words.hh"
#include "lib/glob.hh"
#include "lib/names.hh"
#include "lib/nearest.hh"
#include "lib/text.hh"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

bool matches(std::string_view pattern, std::string_view text) {
  std::uint64_t steps = std::numeric_limits<std::uint64_t>::max();  // what it costs the caller costs nobody else
  return glob_matches(pattern, text, steps);
}

bool is_meant(std::string_view known, std::string_view word, std::string_view name) {
  if (word == "all") return true;
  return is_glob(name) ? matches(name, known) : known == name || known == without_suffix(name);
}

Exit refuse(std::string_view word, Exit code, std::string_view why, Printer &printer) {
  printer.complain(safe_lines(fmt::format("{}: {}", word, why)));
  return code;
}

// It is somebody else's, whether or not there is such a daemon.
Exit refuse_others(const Command &command, std::string_view word, std::string_view owner, Printer &printer) {
  const std::string_view verb = command.verb->name;
  const std::string as_him = ::geteuid() != 0 ? "" : fmt::format("; so can you, as him: runuser -u {} -- dmctl {} ...", owner, verb);
  return refuse(word, Exit::not_permitted,
                fmt::format("not permitted: {} changes a conf with your rights alone, and this one would be {}'s. He can type: "
                            "dmctl {} {}{}",
                            verb, owner, verb, word.substr(word.rfind('/') + 1), as_him),
                printer);
}

Exit say_none(const Caller &caller, std::string_view word, std::string_view name, const std::vector<std::string> &names,
              Printer &printer) {
  if (const std::size_t colon = name.find(':'); colon != name.npos && own_name(caller, name.substr(0, colon)))
    return refuse(word, Exit::usage, fmt::format("one of several daemons of one conf; name the conf: {}", name.substr(0, colon)), printer);
  if (is_glob(word)) return refuse(word, Exit::no_such_daemon, fmt::format("no conf in {} matches that", caller.path), printer);
  Nearest nearest(name);
  for (const std::string &known : names) nearest.offer(known);
  const std::string meant = nearest.found().empty() ? std::string("dmctl list shows what daemons there are")
                                                    : fmt::format("did you mean '{}'?", nearest.found());
  return refuse(word, Exit::no_such_daemon, fmt::format("there is no {}/{}.conf; {}", caller.path, name, meant), printer);
}

}  // namespace

std::vector<std::string> choose_own(const Caller &caller, const Command &command, Printer &printer, Exit &code) {
  std::vector<std::string> names, chosen;
  std::string problem = caller.problem;
  if (problem.empty() && !list_names(caller, names)) problem = fmt::format("cannot read {}: {}", caller.path, errno_words(errno));
  for (const std::string &word : command.words) {
    const std::size_t slash = word.rfind('/');
    const std::string owner = slash != word.npos ? word.substr(0, slash) : caller.name;
    const std::string name = word.substr(slash == word.npos ? 0 : slash + 1);
    const bool pattern = is_glob(owner), others = !pattern && owner != caller.name;
    if (others || (!command.user.empty() && command.user != caller.name)) {
      code = graver(code, refuse_others(command, word, others ? owner : command.user, printer));
      continue;
    }
    if (!problem.empty()) {
      code = graver(code, refuse(word, caller.dormant ? Exit::no_such_daemon : Exit::failed, problem, printer));
      continue;
    }
    const std::size_t before = chosen.size();
    for (const std::string &known : names)
      if (valid_daemon_name(known) && (!pattern || matches(owner, caller.name)) && is_meant(known, word, name)) chosen.push_back(known);
    if (chosen.size() == before && word != "all") code = graver(code, say_none(caller, word, name, names, printer));
  }
  std::vector<std::string> once;
  for (const std::string &name : chosen)
    if (std::find(once.begin(), once.end(), name) == once.end()) once.push_back(name);
  return once;
}

}  // namespace dm::dmctl
