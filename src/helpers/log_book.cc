// Reads what a conf in a book says of its log. Runs as the owner.
#include "log_book.hh"

#include <algorithm>

#include "lib/book.hh"
#include "lib/conf_expand.hh"

namespace dm {
namespace {

std::optional<FaultPlace> fault_of(const BookConf &read, const Conf &parsed, const std::string &home, const std::string &owner) {
  Conf conf = parsed;
  judge_expanded(conf, read.text, {read.entry.name, owner, home});
  const auto first = std::ranges::find(conf.faults, false, &ConfFault::warning);
  return first == conf.faults.end() ? std::nullopt : std::optional(FaultPlace{first->line, first->column});
}

}  // namespace

BookLog read_book_log(const ReceivedOrder &received, const std::string &home, const std::string &owner) {
  BookLog log;
  const std::uint32_t instance = received.order.instance;
  const auto read = read_book_conf(received.book.get(), received.order.entry);
  if (!read || !valid_daemon_name(read->entry.name)) return log;
  // A colon is in no conf's name: web:2.log is no other daemon's.
  log.name = std::string(read->entry.name) + (instance != 0 ? ":" + std::to_string(instance) : "");
  if (read->entry.problem != BookProblem::none) {
    log.fault = {read->entry.line, read->entry.column};
    return log;
  }
  const Conf conf = parse_conf(read->text, false);
  log.fault = fault_of(*read, conf, home, owner);
  log.terms = conf.log;
  log.terms.file = expand(log.terms.file, {read->entry.name, owner, home, instance});
  return log;
}

std::optional<FaultPlace> find_fault(int book, const std::string &name, const std::string &home, const std::string &owner) {
  const std::optional<BookHeader> header = read_book_header(book);
  if (!header) return std::nullopt;
  const BookReader reader(book, *header);
  for (std::uint32_t i = 0; i < header->entries; i++) {
    const std::optional<BookConf> read = reader.read(i);
    if (!read || name.substr(0, name.find(':')) != read->entry.name) continue;
    if (read->entry.problem != BookProblem::none) return FaultPlace{read->entry.line, read->entry.column};
    return fault_of(*read, parse_conf(read->text, false), home, owner);
  }
  return std::nullopt;
}

}  // namespace dm
