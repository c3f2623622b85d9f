// Rows of status for a terminal: as a table of its width, with what /proc tells where that was asked for. The caller's privilege.
#include "dmctl/status_view.hh"

#include "dmctl/colour.hh"
#include "dmctl/fields.hh"
#include "dmctl/processes.hh"
#include "dmctl/width.hh"
#include "lib/text.hh"

#include <algorithm>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

// With one digit behind the point, without what a library of floating point would bring along.
std::string tenths_of(double value) {
  const auto tenths = static_cast<std::uint64_t>(value < 0 ? 0 : value * 10 + 0.5);
  return fmt::format("{}.{}", tenths / 10, tenths % 10);
}

std::string word(const std::string &field) { return field.empty() ? "-" : escape(field); }

std::string time_of(const std::string &field) {
  const std::optional<std::uint64_t> ms = number_of(field);
  return ms ? short_time(*ms) : word(field);
}

Cell hidden_or(const Sight &sight, bool known, const std::string &text) {
  if (known) return {text, colour::none};
  return {sight.hidden ? "?" : "-", colour::faint};
}

Cell cpu_of(const Sight &sight, Form form) {
  if (form == Form::live) return hidden_or(sight, sight.cpu_percent.has_value(), tenths_of(sight.cpu_percent.value_or(0)));
  return hidden_or(sight, sight.cpu_us.has_value(), short_cpu(sight.cpu_us.value_or(0)));
}

Cells cells_of(const Sight &sight, Form form) {
  const Row &row = sight.row;
  Cells cells{{escape(row[row_id]), colour::none}, {word(row[row_state]), colour_of_state(row[row_state])}, {word(row[row_pid]), colour::none}};
  if (form != Form::brief) {
    cells.push_back(cpu_of(sight, form));
    cells.push_back(hidden_or(sight, sight.memory.has_value(), short_size(sight.memory.value_or(0))));
  }
  const bool respawned = number_of(row[row_respawns]).value_or(0) != 0;
  cells.push_back({word(row[row_respawns]), respawned ? colour::yellow : colour::none});
  cells.push_back({time_of(row[row_cooldown_ms]), colour::none});
  cells.push_back({time_of(row[row_uptime_ms]), colour::none});
  cells.push_back({time_of(row[row_total_ms]), colour::none});
  return cells;
}

// What needs a look comes first.
int rank_of_state(const std::string &state) {
  constexpr std::string_view order[] = {"failed", "cooldown", "waiting", "starting", "stopping", "running", "listening", "stopped", "done"};
  return static_cast<int>(std::find(std::begin(order), std::end(order), state) - std::begin(order));
}

double key_of(const Sight &sight, std::string_view column) {
  if (column == "cpu") return sight.cpu_percent ? *sight.cpu_percent + 1e-3 : static_cast<double>(sight.cpu_us.value_or(0)) / 1e12;
  if (column == "memory") return static_cast<double>(sight.memory.value_or(0));
  if (column == "uptime") return static_cast<double>(number_of(sight.row[row_uptime_ms]).value_or(0));
  if (column == "respawns") return static_cast<double>(number_of(sight.row[row_respawns]).value_or(0));
  if (column == "state") return -rank_of_state(sight.row[row_state]);
  return 0;
}

}  // namespace

void sort_sights(std::vector<Sight> &sights, std::string_view column) {
  if (column.empty()) return;
  std::stable_sort(sights.begin(), sights.end(), [&](const Sight &a, const Sight &b) {
    const double first = key_of(a, column), second = key_of(b, column);
    return first != second ? first > second : a.row[row_id] < b.row[row_id];
  });
}

std::vector<std::string> draw_table(std::span<const Sight> sights, Form form, std::size_t columns, bool colours) {
  std::vector<Column> titles{{"daemon-id", true, 0}, {"state", true, 0}, {"pid", false, 3}};
  if (form != Form::brief) {
    titles.push_back({form == Form::live ? "cpu%" : "cpu", false, 1});
    titles.push_back({"memory", false, 2});
  }
  for (const Column &column : {Column{"respawns", false, 5}, Column{"cooldown", false, 6}, Column{"uptime", false, 4}, Column{"total", false, 7}}) titles.push_back(column);
  std::vector<Cells> rows;
  rows.reserve(sights.size());
  for (const Sight &sight : sights) rows.push_back(cells_of(sight, form));
  return lay_out(titles, rows, columns, colours);
}

std::vector<std::string> draw_notes(std::span<const Sight> sights, std::size_t columns, bool colours) {
  constexpr std::size_t indent = 2, deeper = 4, least = 20;
  std::vector<std::string> lines;
  for (const Sight &sight : sights) {
    if (sight.row[row_note].empty()) continue;
    const std::string id = escape(sight.row[row_id]) + ": ";
    const std::size_t room = columns == any_width ? columns : std::max(columns, least + deeper) - deeper;
    std::vector<std::string> parts = wrap(id + escape(sight.row[row_note]), room);
    // The id stands out where it fits, as it nearly always does.
    if (colours && parts[0].starts_with(id)) parts[0] = paint(id, colour_of_state(sight.row[row_state])) + parts[0].substr(id.size());
    for (std::size_t i = 0; i < parts.size(); i++) lines.push_back(std::string(i == 0 ? indent : deeper, ' ') + parts[i]);
  }
  return lines;
}

}  // namespace dm::dmctl
