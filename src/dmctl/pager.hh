// Shows what goes to a terminal in a pager. The pager runs as the caller.
#pragma once

#include <csignal>
#include <string>
#include <sys/types.h>
#include <termios.h>

#include "dmctl/printer.hh"
#include "lib/fd.hh"

namespace dm::dmctl {

class Pager {
public:
  explicit Pager(Printer &printer) : printer_(printer) {}
  ~Pager() { (void)finish(); }
  Pager(const Pager &) = delete;
  Pager &operator=(const Pager &) = delete;
  // From now on standard output, and standard error where it is a terminal, go to the pager that DMCTL_PAGER or PAGER names, else to
  // less. Where they name none, or it is not there, all stays as it is.
  void start();
  // True where the person has left it before all was written: a failed write is no failure then.
  [[nodiscard]] bool left() const { return pid_ > 0 && !printer_.good(); }
  // Waits until it has ended, with all written, and puts terminal and descriptors back. What is wrong with it, or "".
  std::string finish();

private:
  bool run(const std::string &words);
  void redirect(Fd to);
  void catch_signals();
  void release_signals();

  Printer &printer_;
  pid_t pid_ = -1;
  std::string words_;
  Fd out_, err_;  // what they were
  termios modes_{};
  struct sigaction old_[4] {};
};

}  // namespace dm::dmctl
