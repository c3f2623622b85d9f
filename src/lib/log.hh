// Lines to the manager's log that never block: what stderr or syslog does not take is counted and said later.
// Linked by the monitor (root) and the worker; no heap.
#pragma once

#include <cstdint>
#include <string_view>

namespace dm {

enum class LogSink : std::uint32_t {
  stream,  // a file, pipe or terminal, opened non-blocking for the manager alone: write(2)
  socket,  // stderr is a socket (the journal): send(2) with MSG_DONTWAIT
  syslog,  // /dev/log, a datagram a line, with <priority> and a name before it
};

// How root reads what went there.
constexpr const char *where_read(LogSink sink) {
  return sink == LogSink::socket ? "journalctl -u daemon-manager" : sink == LogSink::syslog ? "journalctl -t daemon-manager, or /var/log/syslog"
                                                                                            : "look above, in the file or on the terminal that is the manager's standard error";
}

class Log {
public:
  Log(int fd, LogSink sink) : fd_(fd), sink_(sink) {}
  // One line, without its newline; bytes below space and above 126 are written as '?'. At most 1,000 bytes are taken.
  // False when it was not taken.
  bool line(std::string_view text);
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] LogSink sink() const { return sink_; }

private:
  bool put(std::string_view text) const;
  int fd_;
  LogSink sink_;
  std::uint64_t lost_ = 0;
};

}  // namespace dm
