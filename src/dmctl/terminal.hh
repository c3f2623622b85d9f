// Questions to a person, and how interrupts answer them. The caller's privilege.
#pragma once

#include <csignal>
#include <optional>
#include <string>
#include <string_view>

#include "dmctl/printer.hh"

namespace dm::dmctl {

// True where there is somebody to ask: standard input and output are terminals.
bool on_terminal(const Printer &printer);

// Shows a question and reads a line, without blanks around it; nothing at the end of the input or at an interrupt.
std::optional<std::string> ask_line(Printer &printer, std::string_view question);

// A question with [Y/n] or [y/N] behind it: an empty line means `preset`, the end of the input and an interrupt mean no.
bool ask_yes(Printer &printer, std::string_view question, bool preset);

// While it lives, SIGINT, SIGQUIT, SIGHUP and SIGTERM end a question as a no instead of this program, which has things to put in
// order; programs that it executes get them as ever.
class Interrupts {
public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts &) = delete;
  Interrupts &operator=(const Interrupts &) = delete;
  // The last of them that came, 0 before.
  static int last();

private:
  struct sigaction old_[4] {};
};

}  // namespace dm::dmctl
