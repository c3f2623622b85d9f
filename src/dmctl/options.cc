// The table of dmctl's options. The caller's privilege; no I/O.
#include "dmctl/options.hh"

#include "lib/names.hh"
#include "lib/text.hh"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <vector>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

using Value = std::string_view;

std::string set_lines(Command &command, Value value) {
  unsigned long lines = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), lines);
  if (error != std::errc{} || end != value.data() + value.size()) return fmt::format("-n '{}': expected a number of lines", escape(value));
  command.lines = lines;
  return {};
}

std::string set_form(Command &command, Value value) {
  if (value != "raw") return fmt::format("-o '{}': the one form there is beside the usual is raw", escape(value));
  command.raw = true;
  return {};
}

std::string set_user(Command &command, Value value) {
  if (value.empty() || value.size() > max_user_name) return "-u needs the name of a user";
  command.user = value;
  return {};
}

std::string set_colour(Command &command, Value value) {
  if (value == "auto") command.colour = When::fits;
  else if (value == "always") command.colour = When::always;
  else if (value == "never") command.colour = When::never;
  else return fmt::format("--color '{}': expected auto, always or never", escape(value));
  return {};
}

std::string set_sort(Command &command, Value value) {
  const auto columns = sort_columns();
  if (std::find(columns.begin(), columns.end(), value) == columns.end()) {
    std::string known;
    for (const std::string_view column : columns) known += (known.empty() ? "" : column == columns.back() ? " or " : ", ") + std::string(column);
    return fmt::format("--sort '{}': expected {}", escape(value), known);
  }
  command.sort = value;
  return {};
}

std::string set_interval(Command &command, Value value) {
  constexpr double least = 0.1, most = 3600;
  const std::string text(value);
  // (Not from_chars, which of all libm wants its rounding mode: a library more to load at every start.)
  const double seconds = text.find_first_not_of("0123456789.") == text.npos ? std::strtod(text.c_str(), nullptr) : 0;
  if (std::count(text.begin(), text.end(), '.') > 1 || !(seconds >= least && seconds <= most))
    return fmt::format("--interval '{}': expected seconds of 0.1 to 3600", escape(value));
  command.interval_ms = static_cast<unsigned>(seconds * 1000);
  return {};
}

constexpr Option table[] = {
    {"--user", 'u', "USER", "", "of this user's daemons; new: who it shall run as", set_user},
    {"--quiet", 'q', "", "", "print nothing but errors; the exit code tells", [](Command &c, Value) { c.quiet = true; return std::string(); }},
    {"--color", 0, "WHEN", "", "auto, always or never", set_colour},
    {"--json", 0, "", "", "for programs, see dmctl.schema.json", [](Command &c, Value) { c.json = true; return std::string(); }},  // which verbs: Verb::json
    {"--no-wait", 0, "", "", "do not wait for the daemon to get there", [](Command &c, Value) { c.no_wait = true; return std::string(); }},
    {"--long", 'l', "", "status", "memory and CPU too; of each ID a page", [](Command &c, Value) { c.long_form = true; return std::string(); }},
    {"--watch", 'w', "", "status", "again and again, until q", [](Command &c, Value) { c.watch = true; return std::string(); }},
    {"--sort", 0, "COLUMN", "status top", "by name, state, cpu, memory, uptime or respawns", set_sort},
    {"--interval", 0, "SECONDS", "status top", "top: between two looks (2); status: between two pictures of --watch (2)", set_interval},
    {"--with-dependants", 0, "", "stop", "those that require it too, and first", [](Command &c, Value) { c.with_dependants = true; return std::string(); }},
    {"--lines", 'n', "LINES", "log tail", "the last LINES lines", set_lines},
    {"--follow", 'f', "", "log tail", "go on with what is written", [](Command &c, Value) { c.follow = true; return std::string(); }},
    {"--no-follow", 0, "", "log tail", "show what there is, and end", [](Command &c, Value) { c.follow = false; return std::string(); }},
    {"--since", 0, "TIME", "log tail", "from then on: 10m, 12:30, 2026-11-22T12:30", [](Command &c, Value value) { c.since = value; return std::string(); }},
    {"--until", 0, "TIME", "log tail", "up to then, old logs too; as --since", [](Command &c, Value value) { c.until = value; return std::string(); }},
    {"--grep", 0, "RE", "log tail", "lines that match this extended regular expression", [](Command &c, Value value) { c.grep = value; return std::string(); }},
    {"--form", 'o', "raw", "log tail", "nothing escaped, nothing coloured", set_form},
    {"--no-pager", 0, "", "log tail", "not in $DMCTL_PAGER, $PAGER or less, where there is a terminal", [](Command &c, Value) { c.no_pager = true; return std::string(); }},
    {"--dir", 0, "DIR", "new", "the directory that it starts in", [](Command &c, Value value) { c.draft.dir = value; return std::string(); }},
    {"--start", 0, "COMMAND", "new", "the command, which stays", [](Command &c, Value value) { c.draft.start = value; return std::string(); }},
    {"--output", 0, "OUTPUT", "new", "log (where nothing is said), syslog, file:PATH or discard", [](Command &c, Value value) { c.draft.output = value; return std::string(); }},
    {"--listen", 0, "ADDRESS", "new", "a socket that the manager holds for it; as often as one likes", [](Command &c, Value value) { c.draft.listen.emplace_back(value); return std::string(); }},
    {"--yes", 0, "", "new edit", "new: start it; edit: restart it where it runs", [](Command &c, Value) { c.draft.yes = true; return std::string(); }},
};

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    words.push_back(text.substr(0, text.find(' ')));
    text.remove_prefix(std::min(text.size(), words.back().size() + 1));
  }
  return words;
}

}  // namespace

std::span<const Option> options() { return table; }

std::span<const std::string_view> sort_columns() {
  static constexpr std::string_view columns[] = {"name", "state", "cpu", "memory", "uptime", "respawns"};
  return columns;
}

bool Option::is_for(std::string_view verb) const {
  const std::vector<std::string_view> takers = words_of(verbs);
  return takers.empty() || std::find(takers.begin(), takers.end(), verb) != takers.end();
}

bool Option::helps(const Verb &verb) const {
  if (name == "--json") return verb.json;
  if (name == "--no-wait") return verb.waits;
  if (name == "--user" && (verb.name == "edit" || verb.name == "check")) return false;  // they refuse it
  if (name == "--color") return verb.name == "status" || verb.name == "top" || verb.name == "log" || verb.name == "tail";
  return is_for(verb.name);
}

// The parts of a summary, with a `; ` between, that begin with a verb and a colon are of that verb alone; the others are of those of
// which no part is.
std::string Option::summary_for(std::string_view verb) const {
  std::string own, others;
  for (std::string_view rest = summary; !rest.empty();) {
    const std::size_t end = std::min(rest.find("; "), rest.size()), colon = rest.substr(0, end).find(": ");
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 2, rest.size()));
    const bool of_a_verb = colon != part.npos && find_verb(part.substr(0, colon)) != nullptr;
    std::string &to = of_a_verb ? own : others;
    if (!of_a_verb || part.substr(0, colon) == verb) to += (to.empty() ? "" : "; ") + std::string(of_a_verb ? part.substr(colon + 2) : part);
  }
  return own.empty() ? others : own;
}

const Option *find_option(std::string_view name) {
  const auto at = std::find_if(std::begin(table), std::end(table), [&](const Option &option) { return option.name == name; });
  return at == std::end(table) ? nullptr : at;
}

const Option *find_option(char letter) {
  const auto at = std::find_if(std::begin(table), std::end(table), [&](const Option &option) { return letter != 0 && option.letter == letter; });
  return at == std::end(table) ? nullptr : at;
}

std::string refuse_option(const Option &option, std::string_view verb) {
  const std::vector<std::string_view> takers = words_of(option.verbs);
  std::string names;
  for (const std::string_view taker : takers) names += (names.empty() ? "" : taker == takers.back() ? " and " : ", ") + std::string(taker);
  return fmt::format("{} takes no {}; only {} {}", verb, option.name, names, takers.size() == 1 ? "does" : "do");
}

}  // namespace dm::dmctl
