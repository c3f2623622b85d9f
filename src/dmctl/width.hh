// How many columns of a terminal text takes, and text made to fit. The caller's privilege; no I/O but the question how wide it is.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dm::dmctl {

// Columns of escaped text: combining characters take none, those of East Asia and emoji two.
std::size_t width(std::string_view text);
// At most so many columns of it; what was cut is marked by a character at the end.
std::string cut(std::string_view text, std::size_t columns);
// Lines of at most so many columns, broken at blanks where there are some. Never empty.
std::vector<std::string> wrap(std::string_view text, std::size_t columns);
// Lines, each with its newline, broken between words where they are wider than that, and indented by two more behind the first. What one
// may want to copy, a word or a command, stays in one piece, however wide it is.
std::string fold(std::string_view lines, std::size_t columns);
// True where the caller's locale says that his terminal knows UTF-8; else our own marks are ASCII.
bool knows_utf8();

struct Size {
  std::size_t columns = 80, rows = 24;
};
// Of the terminal that this is; COLUMNS and LINES, or 80x24, where it does not tell.
Size terminal_size(int fd);

}  // namespace dm::dmctl
