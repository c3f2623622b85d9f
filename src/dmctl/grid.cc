// Cells in columns, laid out for the width of a terminal. The caller's privilege; no I/O.
#include "dmctl/grid.hh"

#include "dmctl/colour.hh"
#include "dmctl/width.hh"

#include <algorithm>

namespace dm::dmctl {
namespace {

constexpr std::size_t gap = 2, least_first = 8;  // columns between columns; what the first is cut to before the line is

struct Layout {
  std::vector<std::size_t> widths;
  std::vector<bool> shown;
  [[nodiscard]] std::size_t total() const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < widths.size(); i++)
      if (shown[i]) sum += widths[i] + (sum == 0 ? 0 : gap);
    return sum;
  }
};

Layout measure(const std::vector<Column> &columns, const std::vector<Cells> &rows) {
  Layout layout;
  layout.shown.assign(columns.size(), true);
  for (const Column &column : columns) layout.widths.push_back(width(column.title));
  for (const Cells &row : rows)
    for (std::size_t i = 0; i < columns.size(); i++) layout.widths[i] = std::max(layout.widths[i], width(row[i].text));
  return layout;
}

void fit(Layout &layout, const std::vector<Column> &columns, std::size_t most) {
  while (layout.total() > most) {
    std::size_t leaving = 0;
    for (std::size_t i = 0; i < columns.size(); i++)
      if (layout.shown[i] && columns[i].leaves > (layout.shown[leaving] ? columns[leaving].leaves : 0)) leaving = i;
    if (columns[leaving].leaves == 0 || !layout.shown[leaving]) break;
    layout.shown[leaving] = false;
  }
  const std::size_t total = layout.total();
  if (total > most) layout.widths[0] = std::max(least_first, layout.widths[0] - std::min(layout.widths[0], total - most));
}

std::string line_of(const std::vector<Column> &columns, const Cells &cells, const Layout &layout, std::size_t most, bool colours) {
  const bool tight = layout.total() > most;  // then the line is cut, which knows no colours
  std::string line;
  std::size_t last = 0;
  for (std::size_t i = 0; i < columns.size(); i++)
    if (layout.shown[i]) last = i;
  for (std::size_t i = 0; i < columns.size(); i++) {
    if (!layout.shown[i]) continue;
    if (!line.empty()) line.append(gap, ' ');
    const std::string text = cut(cells[i].text, layout.widths[i]);
    const std::size_t its = width(text), blanks = layout.widths[i] > its ? layout.widths[i] - its : 0;
    if (!columns[i].left) line.append(blanks, ' ');
    line += colours && !tight ? paint(text, cells[i].colour) : text;
    if (columns[i].left && i != last) line.append(blanks, ' ');
  }
  return tight ? cut(line, most) : line;
}

}  // namespace

std::vector<std::string> lay_out(const std::vector<Column> &columns, const std::vector<Cells> &rows, std::size_t most, bool colours) {
  Layout layout = measure(columns, rows);
  fit(layout, columns, most);
  std::vector<std::string> lines;
  Cells titles;
  for (const Column &column : columns) titles.push_back({std::string(column.title), colour::bold});
  lines.push_back(line_of(columns, titles, layout, most, colours));
  for (const Cells &row : rows) lines.push_back(line_of(columns, row, layout, most, colours));
  return lines;
}

}  // namespace dm::dmctl
