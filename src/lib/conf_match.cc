// Compares names that a conf holds. Everyone's privilege but the monitor's.
#include "lib/conf_match.hh"

#include <algorithm>
#include <string>

#include "lib/conf.hh"
#include "lib/conf_line.hh"
#include "lib/names.hh"
#include "lib/nearest.hh"

namespace dm {
namespace {

constexpr std::size_t longest_word = 32;
static_assert(longest_word <= longest_compared);
constexpr std::size_t far = 4;        // so many letters apart two words have nothing to do with each other
constexpr std::size_t max_host = 253;  // of a DNS name

// What other programs call it.
constexpr struct {
  std::string_view word, key;
} habits[] = {
    {"command", "start"},    {"exec", "start"},       {"cmd", "start"},         {"cwd", "dir"},           {"chdir", "dir"},
    {"workdir", "dir"},      {"directory", "dir"},    {"log", "output"},        {"out", "output"},        {"stdout", "output"},
    {"respawn", "restart"},  {"autorestart", "restart"}, {"depends", "requires"}, {"depends_on", "requires"}, {"needs", "requires"},
};

constexpr char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Linear in the product of the lengths at worst: the last * is the only one worth going back to.
bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') star = p++, from = t;
    else if (p < pattern.size() && (pattern[p] == '?' || small(pattern[p]) == small(text[t]))) p++, t++;
    else if (star != std::string_view::npos) p = star + 1, t = ++from;
    else return false;
  }
  while (p < pattern.size() && pattern[p] == '*') p++;
  return p == pattern.size();
}

}  // namespace

std::string_view nearest_key(std::string_view word) {
  if (word.size() > longest_word) return {};
  std::string lower(word);
  for (char &c : lower) c = c == '-' ? '_' : small(c);
  for (const auto &habit : habits)
    if (lower == habit.word) return habit.key;
  std::string_view nearest;
  std::size_t best = far;
  for (const std::string_view key : known_keys()) {
    const std::size_t d = word_distance(lower, key);
    if (d < best && d < key.size()) best = d, nearest = key;
  }
  return nearest;
}

bool host_pattern(std::string_view text) {
  return !text.empty() && text.size() <= max_host && std::all_of(text.begin(), text.end(), [](char c) {
    return (small(c) >= 'a' && small(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '*' || c == '?';
  });
}

bool user_name(std::string_view text) {
  return !text.empty() && text.size() <= max_user_name && text[0] != '@' && std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= ' ' || byte == 0x7f || c == ':' || c == ',' || c == '/' || c == '#';
  });
}

bool host_matches(const std::vector<std::string> &patterns, std::string_view host) {
  const std::string_view first = host.substr(0, host.find('.'));
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [&](const std::string &pattern) {
    return matches(pattern, host) || matches(pattern, first);
  });
}

}  // namespace dm
