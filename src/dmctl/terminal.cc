// Asks a person. The caller's privilege.
#include "dmctl/terminal.hh"

#include "lib/conf_line.hh"

#include <cstddef>
#include <iterator>
#include <poll.h>
#include <unistd.h>

namespace dm::dmctl {
namespace {

volatile std::sig_atomic_t last_signal = 0;  // a handler reaches nothing but what is static

constexpr int interrupts[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM};
constexpr std::size_t longest_answer = 4096;  // a terminal gives no longer line

// Waits until there is something to read; false where a signal came since `last_signal` was 0: one that comes right before the
// wait is not lost, for it is blocked until the wait itself.
bool wait_for_input() {
  sigset_t block, old;
  sigemptyset(&block);
  for (int signal : interrupts) sigaddset(&block, signal);
  ::sigprocmask(SIG_BLOCK, &block, &old);
  pollfd input{0, POLLIN, 0};
  const bool good = last_signal == 0 && ::ppoll(&input, 1, nullptr, &old) > 0;
  ::sigprocmask(SIG_SETMASK, &old, nullptr);
  return good;
}

}  // namespace

bool on_terminal(const Printer &printer) { return ::isatty(0) != 0 && ::isatty(printer.out()) != 0; }

std::optional<std::string> ask_line(Printer &printer, std::string_view question) {
  last_signal = 0;
  printer.put(question);
  printer.flush();
  std::string line;
  // One byte at a time: what is typed ahead belongs to the next question.
  for (char byte = 0; line.size() < longest_answer; line += byte) {
    if (!wait_for_input() || ::read(0, &byte, 1) <= 0) {
      printer.put("\n");
      return std::nullopt;
    }
    if (byte == '\n') break;
  }
  return std::string(trim(line));
}

bool ask_yes(Printer &printer, std::string_view question, bool preset) {
  const std::optional<std::string> answer = ask_line(printer, std::string(question) + (preset ? " [Y/n] " : " [y/N] "));
  if (!answer) return false;
  return answer->empty() ? preset : (*answer)[0] == 'y' || (*answer)[0] == 'Y';
}

Interrupts::Interrupts() {
  struct sigaction action {};
  last_signal = 0;
  action.sa_handler = [](int signal) { last_signal = signal; };  // not SIG_IGN, which the editor would inherit; without SA_RESTART, so that read ends
  for (std::size_t i = 0; i < std::size(interrupts); i++) ::sigaction(interrupts[i], &action, &old_[i]);
}

int Interrupts::last() { return last_signal; }

Interrupts::~Interrupts() {
  for (std::size_t i = 0; i < std::size(interrupts); i++) ::sigaction(interrupts[i], &old_[i], nullptr);
}

}  // namespace dm::dmctl
