// The caller's own confs: where they are, and which of them a word names. The caller's privilege; no manager is asked.
#include "dmctl/own_confs.hh"

#include "dmctl/command.hh"
#include "dmctl/printer.hh"
#include "dmctl/talk.hh"
#include "helpers/own.hh"
#include "lib/book_words.hh"
#include "lib/glob.hh"
#include "lib/names.hh"
#include "lib/nearest.hh"
#include "lib/text.hh"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <limits>
#include <pwd.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

// The caller's daemon of that name; nothing where there is none.
std::optional<std::string> own_daemon(const Caller &caller, std::string_view word) {
  if (!caller.daemons || !valid_daemon_name(word)) return std::nullopt;
  const std::string file = std::string(word) + std::string(conf_suffix);
  if (::faccessat(caller.daemons.get(), file.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return std::string(word);
}

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
  if (const std::size_t colon = name.find(':'); colon != name.npos && own_daemon(caller, name.substr(0, colon)))
    return refuse(word, Exit::usage, fmt::format("one of several daemons of one conf; name the conf: {}", name.substr(0, colon)), printer);
  if (is_glob(word)) return refuse(word, Exit::no_such_daemon, fmt::format("no conf in {} matches that", caller.path), printer);
  Nearest nearest(name);
  for (const std::string &known : names) nearest.offer(known);
  const std::string meant = nearest.found().empty() ? std::string("dmctl list shows what daemons there are")
                                                    : fmt::format("did you mean '{}'?", nearest.found());
  return refuse(word, Exit::no_such_daemon, fmt::format("there is no {}/{}.conf; {}", caller.path, name, meant), printer);
}

}  // namespace

Caller find_caller() {
  Caller caller;
  const passwd *entry = ::getpwuid(::geteuid());
  caller.name = entry != nullptr ? entry->pw_name : std::to_string(::geteuid());
  caller.home = entry != nullptr ? entry->pw_dir : "/";
  std::string at = caller.home;
  Fd here = open_home(at.c_str());
  if (!here)
    caller.problem = describe_book_problem(BookProblem::home_unreachable, static_cast<std::uint32_t>(errno), at, caller.name, "directory");
  for (const char *name : {manager_directory, "daemons"}) {
    if (!caller.problem.empty()) break;
    at += std::string("/") + name;
    OwnDirectory next = open_own_directory(here.get(), name, false);
    caller.problem = describe_book_problem(next.problem, next.detail, at, caller.name, "directory");
    caller.missing = next.problem == BookProblem::missing;
    here = std::move(next.fd);
  }
  caller.path = caller.home + "/.daemon-manager/daemons";
  if (caller.problem.empty()) caller.daemons = std::move(here);
  return caller;
}

bool list_names(const Caller &caller, std::vector<std::string> &names) {
  DIR *dir = ::fdopendir(::dup(caller.daemons.get()));
  if (dir == nullptr) return false;
  ::rewinddir(dir);  // the place in it is shared with who listed it before
  while (const dirent *entry = ::readdir(dir)) {
    const std::string_view file = entry->d_name;
    if (file.front() != '.' && file.ends_with(conf_suffix)) names.emplace_back(file.substr(0, file.size() - conf_suffix.size()));
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  return true;
}

std::string_view without_suffix(std::string_view word) {
  return word.ends_with(conf_suffix) ? word.substr(0, word.size() - conf_suffix.size()) : word;
}

std::optional<std::string> own_name(const Caller &caller, std::string_view word) {
  if (word.starts_with(caller.name + "/")) word.remove_prefix(caller.name.size() + 1);
  std::optional<std::string> name = own_daemon(caller, word);
  if (!name) name = own_daemon(caller, without_suffix(word));
  return name;
}

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
      code = graver(code, refuse(word, caller.missing ? Exit::no_such_daemon : Exit::failed, problem, printer));
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
