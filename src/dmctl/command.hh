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
  bool json = false;  // it can say so as JSON
};

// Another name for a verb, one that other programs have.
struct Alias {
  std::string_view name, verb;
};

// All verbs, in the order in which help shows them.
std::span<const Verb> verbs();
std::span<const Alias> aliases();
// By its own name, or by another.
const Verb *find_verb(std::string_view name);
// The verb or alias that somebody may have meant by this word; "" where none is near.
std::string nearest_verb(std::string_view word);

// What a conf shall say, as new was told, and the answer to what new and edit would ask at the end.
struct Draft {
  std::optional<std::string> dir, start, output;
  std::vector<std::string> listen;
  bool yes = false;
  [[nodiscard]] bool empty() const { return !dir && !start && !output && listen.empty(); }
};

// When something is done: where it fits, or as somebody said.
enum class When { fits, always, never };

// What status and top sort by.
std::span<const std::string_view> sort_columns();

struct Command {
  const Verb *verb = nullptr;
  std::vector<std::string> words;      // the ids; for help: the verb it is asked about
  std::string user;                    // -u; of new: who it shall run as
  bool no_wait = false;
  bool quiet = false;                  // -q
  bool with_dependants = false;
  bool json = false;                   // --json
  bool long_form = false;              // -l
  bool watch = false;                  // -w
  When colour = When::fits;            // --color
  std::string sort;                    // --sort: one of sort_columns(), or ""
  unsigned interval_ms = 0;            // --interval; 0: none was named
  std::optional<bool> follow;          // -f, --no-follow
  std::optional<unsigned long> lines;  // -n
  std::string since, until, grep;      // of log
  bool raw = false;                    // -o raw
  bool no_pager = false;               // of log
  int signal = 0;                      // of kill, 0 where none was named
  std::string last_signal;             // as it was typed, where it is the last word: it might be meant as a daemon too
  unsigned size = 0;                   // of scale
  Draft draft;                         // of new; of edit its `yes`
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
