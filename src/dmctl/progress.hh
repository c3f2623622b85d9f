// What a person at a terminal sees and may do while a verb waits: one line that is drawn again and again, and Ctrl-C. The caller's privilege.
#pragma once

#include <chrono>
#include <csignal>
#include <set>
#include <string>

#include "dmctl/printer.hh"
#include "dmctl/talk.hh"

namespace dm::dmctl {

class Progress {
public:
  // Takes SIGINT over as long as it lives, unless it is ignored. Nothing of it happens for a question that does not wait.
  Progress(const Question &question, Printer &printer);
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  // How long to wait for a frame before the next tick.
  [[nodiscard]] Patience pause() const { return waits_ ? Patience(250) : for_ever; }
  // Nothing has come for so long; of `reported` the outcome is known. False where Ctrl-C was typed: that is said, and what goes on.
  bool tick(const std::set<std::string> &reported);
  // Takes the line away, before anything else is printed.
  void clear();

private:
  using Clock = std::chrono::steady_clock;
  // The daemons that are still on their way, as the manager tells.
  std::vector<Row> left(const std::set<std::string> &reported) const;
  void draw();
  void say_what_goes_on(const std::set<std::string> &reported);

  const Question &question_;
  Printer &printer_;
  bool waits_, shows_, drawn_ = false, handles_ = false;
  Clock::time_point begin_ = Clock::now(), look_at_ = begin_;
  std::vector<Row> left_;
  struct sigaction old_ {};
};

}  // namespace dm::dmctl
