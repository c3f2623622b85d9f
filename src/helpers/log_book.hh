// What an owner's book says of a log. Runs as the owner; the book may be any.
#pragma once

#include <string>

#include "lib/conf.hh"
#include "log_orders.hh"

namespace dm {

struct BookLog {
  std::string name;  // of the daemon; "" where the book has no such entry
  LogTerms terms;    // `output` is discard where its conf is gone, or says so: then the log stays where it is
};

// Of the entry and instance that `received` names in the book that came with it. A book that was read anew since the daemon's start may
// not have that entry any more.
BookLog read_book_log(const ReceivedOrder &received, const std::string &home, const std::string &owner);

}  // namespace dm
