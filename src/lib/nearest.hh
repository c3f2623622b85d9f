// Which of several words somebody may have meant by one that is none of them. Everyone's privilege but the monitor's; no I/O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dm {

inline constexpr std::size_t longest_compared = 40;  // bytes; nothing is guessed about longer words

// The number of letters to change, add, drop, or swap with the next, to get from one word to the other. Both at most
// longest_compared; what it costs is the product of their sizes.
std::size_t word_distance(std::string_view from, std::string_view to);

// Is offered words and keeps the nearest; one that is not near is never kept: a letter in three is wrong at most, and three in all.
class Nearest {
public:
  explicit Nearest(std::string_view word);
  // True where this word is nearer than all before.
  bool offer(std::string_view candidate);
  // "" where none was near.
  [[nodiscard]] const std::string &found() const { return found_; }

private:
  std::string_view word_;
  std::size_t best_;  // only what is nearer than so much counts
  std::string found_;
};

}  // namespace dm
