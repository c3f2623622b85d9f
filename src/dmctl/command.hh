// What the command line of dmctl asks for, and the table of its verbs. The caller's privilege; no I/O.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/client.hh"

namespace dm::dmctl {

struct Command;
class Printer;

// Ids that a verb takes.
enum class Ids { none, any, one, some };

struct Verb {
  std::string_view name;
  Ids ids;
  bool waits;        // the worker answers when the daemon has got there, however long that takes
  bool takes_lines;  // -n, and -NUMBER for it; -f
  Exit (*run)(const Command &, Printer &);
  std::string_view usage, summary;
};

// All verbs, in the order in which help shows them.
std::span<const Verb> verbs();
const Verb *find_verb(std::string_view name);

struct Command {
  const Verb *verb = nullptr;
  std::vector<std::string> words;      // the ids; for help: the verb it is asked about
  std::string user;                    // -u
  bool no_wait = false;
  bool with_dependants = false;
  std::optional<bool> follow;          // -f, --no-follow
  std::optional<unsigned long> lines;  // -n
  int signal = 0;                      // of kill, 0 where none was named
  unsigned size = 0;                   // of scale
};

// A command, or why the words are none (then `verb` may tell whose usage helps).
struct Parsed {
  Command command;
  std::string fault;
};

// `--help` and `--version` become the verb help, and version without asking the manager (`version_only`).
inline constexpr std::string_view version_only = "--version";
Parsed parse_arguments(std::span<char *const> words);

}  // namespace dm::dmctl
