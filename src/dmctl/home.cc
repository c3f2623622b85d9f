// Finds the caller's own confs. The caller's privilege.
#include "dmctl/home.hh"

#include "helpers/own.hh"
#include "lib/book_words.hh"
#include "lib/names.hh"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include "settings.hh"

namespace dm::dmctl {
namespace {

// The caller's daemon of that name; nothing where there is none.
std::optional<std::string> own_daemon(const Caller &caller, std::string_view word) {
  if (!caller.daemons || !valid_daemon_name(word)) return std::nullopt;
  if (::faccessat(caller.daemons.get(), conf_file(word).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return std::string(word);
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
    caller.dormant = next.problem == BookProblem::missing;
    // (No manager is asked here, so nobody knows whether he may.)
    if (caller.dormant)
      caller.problem = "there is no " + at + "; dmctl rescan makes it if you may have daemons: root lists who may under [runs_as] in " DM_CONFIG;
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
    if (file.front() != '.' && file.ends_with(conf_suffix)) names.emplace_back(without_suffix(file));
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

std::string_view conf_of(std::string_view word) {
  const std::size_t colon = word.find(':');
  const bool member = colon != word.npos && colon + 1 < word.size() && word.find_first_not_of("0123456789", colon + 1) == word.npos;
  return member ? word.substr(0, colon) : word;
}

std::optional<std::string> own_conf(const Caller &caller, std::string_view word) { return own_name(caller, conf_of(word)); }

std::string conf_file(std::string_view name) { return std::string(name) + std::string(conf_suffix); }

std::string conf_path(const Caller &caller, std::string_view name) { return caller.path + "/" + conf_file(name); }

}  // namespace dm::dmctl
