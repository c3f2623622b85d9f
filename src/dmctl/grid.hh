// Cells in columns, laid out for the width of a terminal. The caller's privilege; no I/O.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace dm::dmctl {

struct Column {
  std::string_view title;
  bool left = false;    // its words start at one edge; else its numbers end at one
  unsigned leaves = 0;  // where there is no room the highest goes first; 0 stays
};

struct Cell {
  std::string text;               // escaped
  std::string_view colour = "";
};

using Cells = std::vector<Cell>;

inline constexpr std::size_t any_width = std::numeric_limits<std::size_t>::max();

// The lines: the titles, then a line a row. Columns leave until the rest fits; where even that does not, the first is cut, and
// then the line. Colours are added where `colours` is set.
std::vector<std::string> lay_out(const std::vector<Column> &columns, const std::vector<Cells> &rows, std::size_t most, bool colours);

}  // namespace dm::dmctl
