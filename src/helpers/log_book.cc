// Reads what a conf in a book says of its log. Runs as the owner.
#include "log_book.hh"

#include "lib/book.hh"
#include "lib/conf_expand.hh"

namespace dm {

BookLog read_book_log(const ReceivedOrder &received, const std::string &home, const std::string &owner) {
  BookLog log;
  const std::uint32_t instance = received.order.instance;
  const auto conf = read_book_conf(received.book.get(), received.order.entry);
  if (!conf || !valid_daemon_name(conf->entry.name)) return log;
  // A colon is in no conf's name: web:2.log is no other daemon's.
  log.name = std::string(conf->entry.name) + (instance != 0 ? ":" + std::to_string(instance) : "");
  if (conf->entry.problem != BookProblem::none) return log;
  log.terms = parse_conf(conf->text, false).log;
  log.terms.file = expand(log.terms.file, {conf->entry.name, owner, home, instance});
  return log;
}

}  // namespace dm
