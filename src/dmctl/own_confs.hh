// The caller's own confs: where they are, and which of them a word names. The caller's privilege; no manager is asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/client.hh"
#include "lib/fd.hh"

namespace dm::dmctl {

struct Command;
class Printer;

inline constexpr std::string_view conf_suffix = ".conf";
inline constexpr std::uint32_t most_conf_bytes = 1U << 28;  // above any [limits] book, which only the manager knows

// Whose confs these are, and their directory.
struct Caller {
  std::string name, home;
  Fd daemons;
  std::string path, problem;  // of the directory; why it is none of his confs
  bool missing = false;       // which is that it is not there
};

Caller find_caller();
// The names of the caller's confs, sorted; false and errno where the directory cannot be listed.
bool list_names(const Caller &caller, std::vector<std::string> &names);
std::string_view without_suffix(std::string_view word);
// The caller's daemon that a word names, as `name`, `owner/name` or `name.conf`; nothing where there is none.
std::optional<std::string> own_name(const Caller &caller, std::string_view word);

// The caller's confs that a command names, each once: names, his own owner/name, patterns, `all`. What names none of his is said, and
// why `verb` is not for those of others; `code` becomes the gravest of that.
std::vector<std::string> choose_own(const Caller &caller, const Command &command, Printer &printer, Exit &code);

}  // namespace dm::dmctl
