// Which of several words somebody may have meant by one that is none of them. Everyone's privilege but the monitor's; no I/O.
#include "lib/nearest.hh"

#include <algorithm>
#include <array>

namespace dm {

std::size_t word_distance(std::string_view from, std::string_view to) {
  using Line = std::array<std::size_t, longest_compared + 1>;
  Line before{}, last{}, now{};  // the lines of the table for the last three letters of `from`
  for (std::size_t j = 0; j <= to.size(); j++) now[j] = j;
  for (std::size_t i = 1; i <= from.size(); i++) {
    before = last, last = now;
    now[0] = i;
    for (std::size_t j = 1; j <= to.size(); j++) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (from[i - 1] == to[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
  }
  return now[to.size()];
}

Nearest::Nearest(std::string_view word) : word_(word), best_(std::min<std::size_t>(3, (word.size() + 1) / 3) + 1) {
  if (word.size() > longest_compared) best_ = 0;
}

bool Nearest::offer(std::string_view candidate) {
  const std::size_t longer = std::max(candidate.size(), word_.size()), shorter = std::min(candidate.size(), word_.size());
  if (longer > longest_compared || longer - shorter >= best_) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  const bool same_letters = std::ranges::equal(word_, candidate, {}, lower, lower);
  const std::size_t distance = same_letters ? std::min<std::size_t>(word_distance(word_, candidate), 1) : word_distance(word_, candidate);
  if (distance >= best_) return false;
  best_ = distance;
  found_ = candidate;
  return true;
}

}  // namespace dm
