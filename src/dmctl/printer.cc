// stdout and stderr of dmctl: buffered, complete or an error, never cut short in silence. The caller's privilege.
#include "dmctl/printer.hh"

#include "dmctl/width.hh"
#include "lib/text.hh"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

// 0, or the errno. A descriptor that somebody else made non-blocking is waited for: EAGAIN is not the end of a list.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n >= 0) text.remove_prefix(static_cast<std::size_t>(n));
    else if (errno == EAGAIN) {
      pollfd wait{fd, POLLOUT, 0};
      if (::poll(&wait, 1, -1) < 0 && errno != EINTR) return errno;
    } else if (errno != EINTR) return errno;
  }
  return 0;
}

std::string fit(std::string_view text, int fd) {
  return ::isatty(fd) != 0 ? fold(text, terminal_size(fd).columns) : std::string(text);
}

}  // namespace

void Printer::say(std::string_view text) { put(fit(text, out_)); }

void Printer::complain(std::string_view text, Exit code) { complain_as_it_is(collects_ ? std::string(text) : fit(text, err_), code); }

void Printer::complain_as_it_is(std::string_view text, Exit code) {
  if (collects_) {
    // The program's name is for people, who see more than one in a terminal.
    constexpr std::string_view name = "dmctl: ";
    if (text.starts_with(name)) text.remove_prefix(name.size());
    while (text.ends_with('\n')) text.remove_suffix(1);
    return keep({"", std::string(text), code});
  }
  flush();
  write_all(err_, text);  // where stderr is gone too, the exit code is all that is left to say it
}

bool Printer::flush() {
  if (good_ && !buffer_.empty()) {
    const int error = write_all(out_, buffer_);
    good_ = error == 0;
    if (!good_ && error != EPIPE) write_all(err_, own_words(fmt::format("cannot write to stdout: {}", std::strerror(error))));
  }
  buffer_.clear();
  return good_;
}

std::string own_words(std::string_view text) { return fmt::format("dmctl: {}\n", text); }

std::string safe_lines(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  std::string out;
  for (bool first = true;; first = false) {
    const std::size_t end = text.find('\n');
    if (!first) out += "  ";
    out += escape(text.substr(0, end));
    out += '\n';
    if (end == text.npos) return out;
    text.remove_prefix(end + 1);
  }
}

}  // namespace dm::dmctl
