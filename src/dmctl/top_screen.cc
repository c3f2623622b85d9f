// The picture that top shows. The caller's privilege; no I/O.
#include "dmctl/top_screen.hh"

#include "dmctl/colour.hh"
#include "dmctl/width.hh"
#include "lib/text.hh"

#include <algorithm>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::size_t around = 4;  // lines that are no rows: the head, the titles, the note, the keys

constexpr std::string_view help[] = {
    "up, down, j, k, PgUp, PgDn, Home, End   choose a daemon",
    "s  start     x  stop     r  restart     K  send SIGTERM (the last three ask first)",
    "l, Enter     its log, until Ctrl-C",
    "N  S  C  M  U  R   sort by name, state, cpu, memory, uptime, respawns",
    "/  filter by a part of the id or the state; Esc clears it",
    "space        look again now",
    "q            quit",
    "",
    "any key goes back",
};

// The keys, as many as there is room for.
std::string keys_line(std::size_t columns) {
  constexpr std::string_view keys[] = {"q quit", "? help", "s start", "x stop", "r restart", "l log", "/ filter", "K kill", "NSCMUR sort"};
  std::string line;
  for (const std::string_view key : keys)
    if (width(line) + 2 + width(key) <= columns) line += (line.empty() ? "" : "  ") + std::string(key);
  return line;
}

std::string head_of(const TopModel &model, std::size_t columns) {
  std::string text = fmt::format("dmctl top: {} of {} run, by {}", model.running(), model.total(), model.sorted_by());
  if (model.types_filter()) text += fmt::format("; filter: {}_", escape(model.filter()));
  else if (!model.filter().empty()) text += fmt::format("; only '{}' ({})", escape(model.filter()), model.shown().size());
  return cut(text, columns);
}

// What there is to say: a question, an answer, or the note of the daemon that is chosen.
std::string foot_of(const TopModel &model) {
  if (const std::string question = model.question(); !question.empty()) return question;
  if (!model.message.empty()) return model.message;
  if (model.shown().empty()) return model.total() == 0 ? "no daemons; dmctl new NAME makes one" : "no daemon matches the filter";
  return escape(model.shown()[model.selected()].row[row_note]);
}

std::string bar(const std::string &text, std::size_t columns) {
  return paint(text + std::string(columns - std::min(columns, width(text)), ' '), colour::reverse);
}

}  // namespace

std::size_t rows_of_screen(Size size) { return size.rows > around ? size.rows - around : 1; }

std::vector<std::string> draw_top(const TopModel &model, const std::string &problem, Size size, bool colours) {
  const std::size_t room = rows_of_screen(size);
  std::vector<std::string> lines{bar(problem.empty() ? head_of(model, size.columns) : cut(problem + "; waiting for it, q quits", size.columns), size.columns)};
  if (model.shows_help()) {
    for (const std::string_view line : help) lines.push_back(cut(line, size.columns));
  } else {
    const std::size_t count = model.shown().size(), at = model.selected();
    // The chosen one is always in sight, in the middle where the list is longer than the screen.
    const std::size_t from = count <= room || at < room / 2 ? 0 : std::min(at - room / 2, count - room);
    const std::size_t end = std::min(count, from + room);
    // Measured over all, so that columns do not jump when one scrolls.
    const std::vector<std::string> table = draw_table(model.shown(), Form::live, size.columns, false);
    const std::vector<std::string> painted = colours ? draw_table(model.shown(), Form::live, size.columns, true) : table;
    lines.push_back(painted[0]);
    for (std::size_t i = from; i < end; i++) lines.push_back(i == at ? bar(table[i + 1], size.columns) : painted[i + 1]);
  }
  lines.resize(std::max(lines.size(), room + 2));
  lines.resize(room + 2);
  lines.push_back(cut(foot_of(model), size.columns));
  lines.push_back(colours ? paint(keys_line(size.columns), colour::faint) : keys_line(size.columns));
  if (lines.size() > size.rows) lines.resize(size.rows);
  return lines;
}

}  // namespace dm::dmctl
