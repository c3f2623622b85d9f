// Judges whether a command needs a shell, and reads times. Worker's, target's or caller's privilege.
#include <algorithm>
#include <array>

#include "lib/conf.hh"
#include "lib/conf_line.hh"

namespace dm {
namespace {

// What any shell does itself, bash's words among them, sorted. Those that are programs too (echo, kill, test …) differ
// from them in small ways: the shell's it is. `exec` alone is here for `exec exec x`.
constexpr std::array shell_words = std::to_array<std::string_view>({
    ".",        ":",       "alias",    "bg",       "bind",     "break",   "builtin", "caller",  "case",   "cd",
    "chdir",    "command", "compgen",  "complete", "compopt",  "continue", "coproc", "declare", "dirs",   "disown",
    "do",       "done",    "echo",     "elif",     "else",     "enable",  "esac",    "eval",    "exec",   "exit",
    "export",   "false",   "fc",       "fg",       "fi",       "for",     "function", "getopts", "hash",  "help",
    "history",  "if",      "in",       "jobs",     "kill",     "let",     "local",   "logout",  "mapfile", "popd",
    "printf",   "pushd",   "pwd",      "read",     "readarray", "readonly", "return", "select",  "set",    "shift",
    "shopt",    "source",  "suspend",  "test",     "then",     "time",    "times",   "trap",    "true",   "type",
    "typeset",  "ulimit",  "umask",    "unalias",  "unset",    "until",   "wait",    "while",
});
static_assert(std::is_sorted(shell_words.begin(), shell_words.end()));

// More than sh needs in places (`a~b` is plain): what goes to the shell without need still works.
bool shell_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if ((byte < ' ' && c != '\t') || byte == 0x7f) return true;
  return std::string_view("'\"$`;&|<>()*?[]~#\\{}!^").find(c) != std::string_view::npos;
}

std::string_view take_word(std::string_view &rest) {
  const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest = trim(rest.substr(end));
  return word;
}

}  // namespace

bool split_command(std::string_view start, std::vector<std::string> &words) {
  words.clear();
  std::string_view rest = trim(start);
  if (std::any_of(rest.begin(), rest.end(), shell_character)) return false;
  std::string_view first = take_word(rest);
  if (first == "exec") first = take_word(rest);
  // Of `exec -a name x` and `A=1 x` only a shell knows the meaning.
  if (first.empty() || first.front() == '-' || first.find('=') != std::string_view::npos) return false;
  if (std::binary_search(shell_words.begin(), shell_words.end(), first)) return false;
  words.emplace_back(first);
  while (!rest.empty()) words.emplace_back(take_word(rest));
  return true;
}

bool parse_duration(std::string_view text, std::uint32_t &ms) {
  constexpr std::uint64_t most = std::uint64_t{1} << 31;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > 10) return false;
  std::uint64_t number = 0;
  for (char c : text.substr(0, digits)) number = number * 10 + static_cast<std::uint64_t>(c - '0');
  const std::string_view unit = text.substr(digits);
  std::uint64_t factor = 0;
  if (unit == "ms") factor = 1;
  else if (unit.empty() || unit == "s") factor = 1000;
  else if (unit == "m") factor = 60'000;
  else if (unit == "h") factor = 3'600'000;
  else if (unit == "d") factor = 86'400'000;
  if (factor == 0 || number > most / factor) return false;
  ms = static_cast<std::uint32_t>(number * factor);
  return true;
}

}  // namespace dm
