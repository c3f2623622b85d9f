// Lets those who manage an owner read his logs: each is handed descriptors, for reading, of one log and what was rotated away of it.
// Runs as the owner.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lib/fd.hh"
#include "lib/lend.hh"
#include "log_book.hh"

namespace dm {

class Lender {
public:
  explicit Lender(std::string home) : home_(std::move(home)) {}
  // Expects `reader` at `socket` (bound, SOCK_SEQPACKET) for `wait_ms`, and lends him the files of `log` for `lend_ms` from then
  // on. Where too many read already he is not expected.
  void lend(const BookLog &log, uid_t reader, Fd socket);
  // Becomes readable when there is something to serve; -1 before the first loan.
  [[nodiscard]] int fd() const { return epoll_.get(); }
  void serve();

private:
  struct Loan {
    std::uint64_t id;
    std::string log;   // the name of its file
    std::string path;  // of the file that output= names, or ""
    uid_t reader;
    Fd socket;
    bool connected;  // else it is the one at which he is expected
    std::int64_t until;
  };

  bool watch(int fd, std::uint64_t id);
  // False where the loan has ended.
  bool serve(Loan &loan) const;
  void meet(const Loan &loan);
  [[nodiscard]] Fd open(const Loan &loan, const LendRequest &request) const;

  std::string home_;
  Fd epoll_, timer_;
  std::vector<Loan> loans_;
  std::uint64_t last_id_ = 0;
};

}  // namespace dm
