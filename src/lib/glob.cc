// Patterns over the names of daemons and users: * ? [a-z] [!x]. The worker's and the caller's privilege; no I/O.
#include "lib/glob.hh"

#include <cstddef>

namespace dm {
namespace {

bool take_step(std::uint64_t &steps) { return steps != 0 && --steps != 0; }

// The letters of the pattern that stand for `letter`, 0 where those at its front do not.
std::size_t take_bracket(std::string_view pattern, unsigned char letter, std::uint64_t &steps) {
  std::size_t at = 1;
  const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (negated) at++;
  bool among = false;
  for (bool first = true; at < pattern.size() && (first || pattern[at] != ']'); first = false) {
    if (!take_step(steps)) return 0;
    const auto from = static_cast<unsigned char>(pattern[at++]);
    unsigned char to = from;
    if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') to = static_cast<unsigned char>(pattern[at + 1]), at += 2;
    among = among || (from <= letter && letter <= to);
  }
  if (at >= pattern.size()) return letter == '[' ? 1 : 0;
  return among != negated ? at + 1 : 0;
}

std::size_t take_letter(std::string_view pattern, char letter, std::uint64_t &steps) {
  if (pattern.empty()) return 0;
  if (pattern[0] == '[') return take_bracket(pattern, static_cast<unsigned char>(letter), steps);
  return pattern[0] == '?' || pattern[0] == letter ? 1 : 0;
}

}  // namespace

bool is_glob(std::string_view word) { return word.find_first_of("*?[") != word.npos; }

// The last * is the only one worth going back to, so that this takes at most the product of both sizes.
bool glob_matches(std::string_view pattern, std::string_view name, std::uint64_t &steps) {
  std::size_t p = 0, n = 0, star = pattern.npos, from = 0;
  while (n < name.size()) {
    if (!take_step(steps)) return false;
    const std::size_t taken = p < pattern.size() && pattern[p] != '*' ? take_letter(pattern.substr(p), name[n], steps) : 0;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++, from = n;
      if (p == pattern.size()) return true;
    } else if (taken != 0) p += taken, n++;
    else if (star != pattern.npos) p = star + 1, n = ++from;
    else return false;
  }
  while (p < pattern.size() && pattern[p] == '*') p++;
  return p == pattern.size();
}

}  // namespace dm
