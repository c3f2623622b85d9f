// What ties daemons to one another: those of one conf (instances=), and those that wait for others (requires=, after=). Sandboxed.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace dm::worker {

// The row of an owner, and the name of a conf or of a daemon of his.
using Key = std::pair<std::uint32_t, std::string>;

// One name after requires= or after=.
struct Tie {
  std::string written;   // as it stands in the conf
  std::uint32_t owner;   // no_user: of nobody whose daemons the owner may control
  std::string name;      // a conf's, or a daemon's of it
  bool needed;           // requires=
};

// A restart of a whole family, one after the other.
struct Roll {
  std::deque<std::string> left;         // names of daemons
  std::string current;                  // whose outcome is awaited; "" before the first
  bool heard = false, good = false;     // its outcome has come
  std::string text;
  std::vector<std::uint64_t> clients;   // whom each outcome is told; each is counted as pending
  [[nodiscard]] bool on() const { return !left.empty() || !current.empty(); }
};

// What there is to know of a conf beside its daemons. An owner whose confs stand for one daemon each, tied to nothing, has none.
struct Kin {
  std::uint32_t instances = 0;           // as the conf says; 0: one daemon, without a number
  std::uint32_t scaled = 0;              // what dmctl scale made of it, as long as the conf says
  std::uint32_t scaled_from = 0;         // this
  std::uint32_t entry = 0;               // in the book
  std::vector<Tie> ties;
  std::set<Key> dependants;              // confs with a tie to this one
  bool cyclic = false;                   // they lead back to it
  std::string fault;                     // why its ties cannot be kept; "" when they can
  std::string warning;                   // the first name in after= that is none; "" where all are
  Roll roll;
  [[nodiscard]] std::uint32_t size() const { return scaled != 0 ? scaled : instances; }
};

// What is to be done before the worker waits again, so that no chain of daemons, however long, becomes one of calls.
struct Order {
  std::set<Key> touched;   // confs of which a daemon's state has changed: who waits for them looks again
  std::deque<Key> lifted;  // daemons that others require and that are to be started
  std::deque<Key> failed;  // daemons whose start has failed
  std::deque<std::string> reasons;  // and why, one for each
  std::int64_t ties_until = 0;      // after a takeover those who linger wait so long for confs that are not read yet; 0: for none
  std::size_t ties_read = 0;        // of so many owners, from the first on, they are
};

}  // namespace dm::worker
