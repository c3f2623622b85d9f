// Shows a line of a conf and a place in it. The caller's privilege; no I/O.
#include "dmctl/excerpt.hh"

#include "lib/conf.hh"
#include "lib/conf_line.hh"
#include "lib/text.hh"

#include <algorithm>
#include <vector>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::size_t tab_stop = 8;
constexpr std::size_t most_cells = 100;   // of a line, so that the caret stands where the terminal does not wrap
constexpr std::size_t before_caret = 60;  // of them

// What one character of the line becomes on a terminal.
struct Cell {
  std::string text;
  std::size_t width;
};

struct Range {
  char32_t first, last;
};
// Unicode 15: General_Category Mn and joiners, the blocks that occur; and East_Asian_Width W and F.
constexpr Range marks[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},   {0x1ab0, 0x1aff},
                           {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}};
constexpr Range wide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf}, {0x4e00, 0xa4cf}, {0xa960, 0xa97f},
                          {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f},
                          {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd}};

constexpr bool follows(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; }

// Columns of one character that escape() left as it was, so it is well-formed.
std::size_t width_of(std::string_view one) {
  const auto lead = static_cast<unsigned char>(one[0]);
  char32_t point = one.size() == 1 ? lead : one.size() == 2 ? lead & 0x1fU : one.size() == 3 ? lead & 0x0fU : lead & 0x07U;
  for (char c : one.substr(1)) point = point << 6 | (static_cast<unsigned char>(c) & 0x3fU);
  const auto holds = [point](const auto &range) { return point >= range.first && point <= range.last; };
  if (std::any_of(std::begin(marks), std::end(marks), holds)) return 0;
  return std::any_of(std::begin(wide), std::end(wide), holds) ? 2 : 1;
}

// The line as cells, and the index of the one at byte `at`.
std::vector<Cell> cells_of(std::string_view line, std::size_t at, std::size_t &caret) {
  std::vector<Cell> cells;
  std::size_t column = 0;
  caret = std::string_view::npos;
  for (std::size_t from = 0; from < line.size();) {
    std::size_t end = from + 1;
    while (end < line.size() && end - from < 4 && follows(line[end])) end++;
    const std::string_view one = line.substr(from, end - from);
    Cell cell{escape(one), 0};
    if (one == "\t") cell.text.assign(tab_stop - column % tab_stop, ' ');
    cell.width = cell.text == one ? width_of(one) : cell.text.size();
    if (caret == std::string_view::npos && at < end) caret = cells.size();
    column += cell.width;
    cells.push_back(std::move(cell));
    from = end;
  }
  caret = std::min(caret, cells.size());
  return cells;
}

// The line as far as it may be shown: what stays of it without what may be a secret. False where that is nothing.
bool harmless(std::string_view &line) {
  const std::string redacted = redact_conf(line);
  if (!line.starts_with(redacted) || redacted.empty() || redacted.front() == '#') return false;
  line = line.substr(0, redacted.size());
  return true;
}

}  // namespace

std::string excerpt(std::string_view text, std::uint32_t line, std::uint32_t column) {
  if (text.starts_with(utf8_mark)) text.remove_prefix(utf8_mark.size());
  std::string_view shown;
  for (std::uint32_t number = 0; number < line; number++) {
    if (text.empty()) return {};
    shown = take_line(text);
  }
  while (shown.ends_with('\r')) shown.remove_suffix(1);
  const std::size_t whole = shown.size();
  if (line == 0 || column == 0 || !harmless(shown) || column - 1 > shown.size()) return {};
  std::size_t caret = 0;
  std::vector<Cell> cells = cells_of(shown, column - 1, caret);
  std::size_t from = 0, width = 0, before = 0;
  for (std::size_t i = 0; i < caret; i++) before += cells[i].width;
  const bool cut = before > before_caret;
  for (; before > before_caret; from++) before -= cells[from].width;
  std::string out = fmt::format("{:>4} | {}", line, cut ? "..." : ""), below = fmt::format("{:>4} | {}", "", cut ? "   " : "");
  std::size_t i = from;
  for (; i < cells.size() && width < most_cells; i++) {
    out += cells[i].text;
    width += cells[i].width;
  }
  if (i < cells.size() || shown.size() < whole) out += "...";
  return out + "\n" + below + std::string(before, ' ') + "^";
}

}  // namespace dm::dmctl
