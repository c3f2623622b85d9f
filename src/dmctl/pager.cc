// Runs a pager, and outlives it. The caller's privilege.
#include "dmctl/pager.hh"

#include "lib/conf.hh"
#include "lib/text.hh"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr int none_found = 127;                 // as a shell says it
constexpr const char *less_settings = "FRX";    // ends by itself where all fits, shows colours, leaves the text where it is
constexpr int caught[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM};

volatile std::sig_atomic_t pager = 0, last_signal = 0;  // a handler reaches nothing but what is static

// What a terminal sends at a key the pager gets too, and it says what that means. What ends this program must not leave it behind.
void pass_on(int signal) {
  if (signal != SIGHUP && signal != SIGTERM) return;
  last_signal = signal;
  if (pager > 0) ::kill(static_cast<pid_t>(pager), signal);
}

// The words of the caller's; "" for none.
std::string chosen() {
  const char *terminal = std::getenv("TERM");
  if (terminal == nullptr || std::strcmp(terminal, "dumb") == 0) return {};  // no pager could turn a page on that
  for (const char *name : {"DMCTL_PAGER", "PAGER"})
    if (const char *words = std::getenv(name); words != nullptr) return std::strcmp(words, "cat") == 0 ? "" : words;
  return "less";
}

// Does not return. Where it cannot be executed, that is said to `failed`.
[[noreturn]] void become_pager(const std::string &words, const Fd &input, const Fd &failed) {
  std::signal(SIGPIPE, SIG_DFL);
  ::setenv("LESS", less_settings, 0);
  ::dup2(input.get(), 0);
  std::vector<std::string> plain;
  if (split_command(words, plain)) {
    std::vector<char *> argv;
    for (std::string &word : plain) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
  } else ::execl("/bin/sh", "sh", "-c", words.c_str(), nullptr);
  (void)!::write(failed.get(), "x", 1);
  ::_exit(none_found);
}

bool make_pipe(Fd &from, Fd &to) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  from = Fd(ends[0]);
  to = Fd(ends[1]);
  return true;
}

}  // namespace

void Pager::start() {
  const std::string words = chosen();
  if (words.find_first_not_of(" \t") == words.npos || !printer_.flush() || ::tcgetattr(printer_.out(), &modes_) != 0) return;
  catch_signals();
  if (!run(words)) release_signals();
}

bool Pager::run(const std::string &words) {
  Fd input, ours, failed, its;
  if (!make_pipe(input, ours) || !make_pipe(failed, its)) return false;
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) become_pager(words, input, its);
  its.reset();
  char byte;
  ssize_t told;
  while ((told = ::read(failed.get(), &byte, 1)) < 0 && errno == EINTR) {}
  if (told != 0) {  // else its end was closed by the exec
    ::waitpid(child, nullptr, 0);
    return false;
  }
  pid_ = child;
  pager = child;
  words_ = words;
  redirect(std::move(ours));
  return true;
}

void Pager::redirect(Fd to) {
  out_ = Fd(::fcntl(printer_.out(), F_DUPFD_CLOEXEC, 3));
  ::dup2(to.get(), printer_.out());
  if (::isatty(2) == 0) return;
  err_ = Fd(::fcntl(2, F_DUPFD_CLOEXEC, 3));
  ::dup2(to.get(), 2);
}

std::string Pager::finish() {
  if (pid_ < 0) return {};
  ::dup2(out_.get(), printer_.out());  // it gets the end of its input by that
  if (err_) ::dup2(err_.get(), 2);
  if (!printer_.good()) printer_.renew();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
  pid_ = -1;
  pager = 0;
  // One that was killed leaves the terminal as it had it.
  if (WIFSIGNALED(status) && ::tcgetpgrp(out_.get()) == ::getpgrp()) ::tcsetattr(out_.get(), TCSADRAIN, &modes_);
  release_signals();
  if (last_signal != 0) ::raise(static_cast<int>(last_signal));
  if (WIFEXITED(status) && WEXITSTATUS(status) == none_found)
    return fmt::format("the pager '{}' is not there; mend DMCTL_PAGER or PAGER, or type --no-pager", escape(words_));
  return {};
}

void Pager::catch_signals() {
  struct sigaction action {};
  action.sa_handler = pass_on;
  action.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < std::size(caught); i++) {
    ::sigaction(caught[i], nullptr, &old_[i]);
    if (old_[i].sa_handler != SIG_IGN) ::sigaction(caught[i], &action, nullptr);
  }
}

void Pager::release_signals() {
  for (std::size_t i = 0; i < std::size(caught); i++) ::sigaction(caught[i], &old_[i], nullptr);
}

}  // namespace dm::dmctl
