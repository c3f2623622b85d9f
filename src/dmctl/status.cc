// The verb status: a table of daemons, pages of those that were named, or JSON. The caller's privilege.
#include "dmctl/colour.hh"
#include "dmctl/page.hh"
#include "dmctl/status_json.hh"
#include "dmctl/status_text.hh"
#include "dmctl/table.hh"
#include "dmctl/verbs.hh"
#include "dmctl/watch.hh"
#include "dmctl/width.hh"
#include "lib/glob.hh"

#include <algorithm>
#include <unistd.h>

namespace dm::dmctl {
namespace {

bool looks(const Command &command) { return command.long_form || command.sort == "cpu" || command.sort == "memory"; }

// A page is for who asks for daemons by their names; of `all` and of patterns there may be hundreds.
bool names_daemons(const Command &command) {
  return !command.words.empty() && std::none_of(command.words.begin(), command.words.end(), [](const std::string &word) { return word == "all" || is_glob(word); });
}

std::string pages_of(const std::vector<Row> &rows, const std::vector<Event> &events, std::size_t columns, bool colours) {
  Processes processes;
  std::string text;
  for (const Row &row : rows) text += (text.empty() ? "" : "\n") + draw_page(gather_page(row, processes, events), columns, colours);
  return text;
}

std::vector<Sight> sights_of(const Command &command, std::vector<Row> rows) {
  std::vector<Sight> sights;
  if (looks(command)) sights = look_at(std::move(rows));
  else
    for (Row &row : rows) sights.push_back({.row = std::move(row), .memory = {}, .cpu_us = {}, .cpu_percent = {}, .hidden = false});
  sort_sights(sights, command.sort);
  return sights;
}

}  // namespace

bool wants_pages(const Command &command, bool terminal) { return names_daemons(command) && (terminal || command.long_form); }

std::string status_text(const Command &command, std::vector<Row> rows, const std::vector<Event> &events, bool terminal, std::size_t columns, bool colours) {
  if (wants_pages(command, terminal)) return pages_of(rows, events, columns, colours);
  const bool plain = !terminal && !colours && !command.long_form;
  if (plain && command.sort.empty()) return status_table(rows);
  std::vector<Sight> sights = sights_of(command, std::move(rows));
  if (plain) {
    std::vector<Row> sorted;
    for (Sight &sight : sights) sorted.push_back(std::move(sight.row));
    return status_table(sorted);
  }
  std::string text;
  const std::size_t most = columns == 0 ? any_width : columns;
  for (const std::string &line : draw_table(sights, command.long_form ? Form::with_usage : Form::brief, most, colours)) text += line + "\n";
  for (const std::string &line : draw_notes(sights, most, colours)) text += line + "\n";
  return text;
}

Exit run_status(const Command &command, Printer &printer) {
  if (command.watch) return watch_status(command, printer);
  const bool terminal = ::isatty(printer.out()) != 0;
  Question question = question_of(command);
  question.keep_text = true;
  question.long_rows = command.json ? command.long_form : wants_pages(command, terminal);
  Answer answer = ask_manager(question, printer);
  Exit code = answer.code;
  if (answer.complete && !command.words.empty()) code = graver(code, activity(answer.rows));
  if (command.json) return put_status_json(command, printer, answer, code);
  if (!answer.complete) return answer.code;
  const bool none = answer.rows.empty();
  const std::size_t columns = terminal ? terminal_size(printer.out()).columns : 0;
  if (!none || (!answer.spoke && answer.code == Exit::done))
    printer.put(status_text(command, std::move(answer.rows), answer.events, terminal, columns, use_colour(command.colour, printer.out())));
  if (none && !answer.spoke && answer.code == Exit::done && !command.quiet)
    printer.complain("  no daemons yet: dmctl new NAME makes one, see daemon.conf(5)\n");
  printer.put(answer.text);
  return code;
}

}  // namespace dm::dmctl
