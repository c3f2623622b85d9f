// Rows of `status` as a table for people. The caller's privilege; no I/O.
#include "dmctl/table.hh"

#include "lib/text.hh"

#include <algorithm>
#include <charconv>

namespace dm::dmctl {
namespace {

constexpr std::size_t columns = 7;
using Line = std::array<std::string, columns>;

constexpr std::array<std::string_view, columns> titles = {"daemon-id", "state", "pid", "respawns", "cooldown", "uptime", "total"};
constexpr std::size_t left_aligned = 2;  // the words; the numbers behind them end at one edge

std::string word(const std::string &field) { return field.empty() ? "-" : escape(field); }

std::string time_of(const std::string &field) {
  std::uint64_t ms = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), ms);
  return error == std::errc{} && end == field.data() + field.size() ? short_time(ms) : word(field);
}

// Characters, not bytes: escaped text is UTF-8, and continuation bytes take no room of their own.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

void put_line(std::string &out, const Line &line, const std::array<std::size_t, columns> &widths) {
  for (std::size_t i = 0; i < columns; i++) {
    const std::size_t blanks = widths[i] - width(line[i]);
    if (i != 0) out += "  ";
    if (i >= left_aligned) out.append(blanks, ' ');
    out += line[i];
    if (i < left_aligned) out.append(blanks, ' ');
  }
  out += '\n';
}

}  // namespace

std::string status_table(std::span<const Row> rows) {
  std::vector<Line> lines;
  lines.reserve(rows.size() + 1);
  lines.push_back({});
  std::copy(titles.begin(), titles.end(), lines[0].begin());
  for (const Row &row : rows)
    lines.push_back({word(row[row_id]), word(row[row_state]), word(row[row_pid]), word(row[row_respawns]),
                     time_of(row[row_cooldown_ms]), time_of(row[row_uptime_ms]), time_of(row[row_total_ms])});
  std::array<std::size_t, columns> widths{};
  for (const Line &line : lines)
    for (std::size_t i = 0; i < columns; i++) widths[i] = std::max(widths[i], width(line[i]));
  std::string out;
  for (const Line &line : lines) put_line(out, line, widths);
  for (const Row &row : rows)
    if (!row[row_note].empty()) out += "  " + escape(row[row_id]) + ": " + escape(row[row_note]) + "\n";
  return out;
}

}  // namespace dm::dmctl
