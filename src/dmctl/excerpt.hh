// A line of a conf with a caret under a column, as compilers show it. The caller's privilege; no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dm::dmctl {

// Two lines, "   3 | colour=red" and the caret below, made safe for a terminal; "" where there is no such line, or where what it
// says of the place may be a secret: values of exports and of unknown keys, comments and lines that make no sense are not shown.
// Line and column count from 1, the column in bytes. Tabs are shown as blanks, and a long line around its column only.
std::string excerpt(std::string_view text, std::uint32_t line, std::uint32_t column);

}  // namespace dm::dmctl
