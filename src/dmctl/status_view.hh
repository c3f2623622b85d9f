// Rows of status for a terminal: as a table of its width, with what /proc tells where that was asked for. The caller's privilege.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dmctl/grid.hh"
#include "dmctl/talk.hh"

namespace dm::dmctl {

// A row with what the system tells of it.
struct Sight {
  Row row;
  std::optional<std::uint64_t> memory, cpu_us;
  std::optional<double> cpu_percent;  // of one CPU, between two looks
  bool hidden = false;                // it runs, and the caller may not see it
};

// Sorts by one of sort_columns(): the busiest, the biggest first; names as they come.
void sort_sights(std::vector<Sight> &sights, std::string_view column);

enum class Form { brief, with_usage, live };  // live: percent instead of time of the CPU
// The lines of the table, without notes; `lines[i + 1]` is that of `sights[i]`.
std::vector<std::string> draw_table(std::span<const Sight> sights, Form form, std::size_t columns, bool colours);
// An indented line, or several, for each row that has a note, wrapped.
std::vector<std::string> draw_notes(std::span<const Sight> sights, std::size_t columns, bool colours);

// Looks at all of them (gather.cc).
std::vector<Sight> look_at(std::vector<Row> rows);

}  // namespace dm::dmctl
