// What an owner's book says of a log. Runs as the owner; the book may be any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/conf.hh"
#include "log_orders.hh"

namespace dm {

// Of the first fault in a conf; line 0: of the file as a whole.
struct FaultPlace {
  std::uint32_t line, column;
};

struct BookLog {
  std::string name;  // of the daemon; "" where the book has no such entry
  LogTerms terms;    // `output` is discard where its conf is gone, or says so: then the log stays where it is
  std::optional<FaultPlace> fault;
};

// Of the entry and instance that `received` names in the book that came with it. A book that was read anew since the daemon's start may
// not have that entry any more.
BookLog read_book_log(const ReceivedOrder &received, const std::string &home, const std::string &owner);
// That in the conf of the daemon `name`, wherever it stands in the book by now.
std::optional<FaultPlace> find_fault(int book, const std::string &name, const std::string &home, const std::string &owner);

}  // namespace dm
