// Judges the text of one conf. The caller's privilege; no manager is asked.
#include "dmctl/judge.hh"

#include "dmctl/excerpt.hh"
#include "dmctl/grid.hh"
#include "dmctl/lint.hh"
#include "dmctl/printer.hh"
#include "dmctl/width.hh"
#include "lib/book_words.hh"
#include "lib/conf.hh"
#include "lib/conf_expand.hh"
#include "lib/names.hh"

#include <algorithm>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

std::string wrapped(std::string_view words, std::size_t columns) { return fold(safe_lines(words), columns); }

std::string with_excerpt(const std::string &words, std::string_view text, std::uint32_t line, std::uint32_t column, std::size_t columns) {
  const std::string shown = excerpt(text, line, column);
  std::string out = wrapped(words, columns);
  if (shown.empty()) return out;
  return out + safe_lines("\n" + shown).substr(1);
}

std::string place_of(const std::string &path, std::uint32_t line, std::uint32_t column) {
  return line == 0 ? path : fmt::format("{}:{}:{}", path, line, column);
}

}  // namespace

Judgement judge_conf(const Caller &caller, OwnFile read, const std::string &path, const std::string &name, int err) {
  const std::size_t columns = ::isatty(err) != 0 ? terminal_size(err).columns : any_width;
  const auto refuse = [columns](const std::string &text) { return Judgement{false, wrapped(text, columns), {{0, 0, false, text}}}; };
  if (!valid_daemon_name(name))
    return refuse(fmt::format("{}: this is no name for a daemon: it takes letters, digits, _ and (not first) . and -, "
                                          "at most {}. Rename the file", path, max_name));
  if (read.problem != BookProblem::none) return refuse(describe_book_problem(read.problem, read.detail, path, caller.name));
  const Meanings meanings{name, caller.name, caller.home};
  const std::string text = read.text;
  Conf conf = parse_conf(text, false);
  judge_expanded(conf, text, meanings);
  Judgement judgement{conf.usable(), {}, {}};
  BookEntry entry{};
  add_env_file(entry, read.text, meanings, most_conf_bytes, most_conf_bytes);
  if (entry.problem == BookProblem::none) {
    Conf whole = parse_conf(read.text, false);  // with the exports of env_file=
    for (ConfFault &warning : lint(whole, text, meanings)) conf.faults.push_back(std::move(warning));
  }
  // Those of the whole file come last.
  std::stable_sort(conf.faults.begin(), conf.faults.end(),
                   [](const auto &a, const auto &b) { return a.line - 1 < b.line - 1; });
  for (const ConfFault &fault : conf.faults)
    judgement.text += with_excerpt(place_of(path, fault.line, fault.column) + (fault.warning ? ": warning: " : ": ") + fault.text, text,
                                   fault.line, fault.column, columns);
  judgement.faults = conf.faults;
  if (entry.problem == BookProblem::none) return judgement;
  judgement.usable = false;
  const std::string place = place_of(path, entry.line, entry.column);
  const std::string why = describe_book_problem(entry.problem, entry.detail, place, caller.name);
  judgement.text += with_excerpt(why, text, entry.line, entry.column, columns);
  judgement.faults.push_back({entry.line, entry.column, false, why});
  return judgement;
}

}  // namespace dm::dmctl
