// The caller's own confs: where they are and which there are. The caller's privilege; no manager is asked.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/fd.hh"

namespace dm::dmctl {

inline constexpr std::string_view conf_suffix = ".conf";

// Whose confs these are, and their directory.
struct Caller {
  std::string name, home;
  Fd daemons;
  std::string path, problem;  // of the directory; why it is none of his confs
  bool dormant = false;       // the problem is that ~/.daemon-manager, or what is in it, is not there yet
};

Caller find_caller();

// The names of the caller's confs, sorted; false where the directory cannot be listed.
bool list_names(const Caller &caller, std::vector<std::string> &names);

// The caller's daemon that a word names, as `name`, `owner/name` or `name.conf`; nothing where there is none.
std::optional<std::string> own_name(const Caller &caller, std::string_view word);

// Of `name:3`, which is one of several daemons of a conf, the conf; any other word as it is.
std::string_view conf_of(std::string_view word);

// As own_name(), and of one of several daemons of a conf the conf.
std::optional<std::string> own_conf(const Caller &caller, std::string_view word);

std::string_view without_suffix(std::string_view word);

// The file of a daemon's conf in his directory, and its whole path.
std::string conf_file(std::string_view name);
std::string conf_path(const Caller &caller, std::string_view name);

}  // namespace dm::dmctl
