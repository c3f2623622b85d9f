// Puts a book together and seals it: dm-scan's output. Runs as the owner.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/book.hh"

namespace dm {

// What dm-scan found. `texts` are parallel to `entries`, sorted by name; an entry with a problem has an empty text.
struct Shelf {
  BookProblem problem = BookProblem::none;
  std::uint32_t detail = 0, where = 0;
  std::vector<BookEntry> entries;
  std::vector<std::string> texts;
};

// Writes the book into an empty memfd and seals it against any change; with `redacted` without the values of exports.
[[nodiscard]] bool write_book(int memfd, const Shelf &shelf, bool redacted);

}  // namespace dm
