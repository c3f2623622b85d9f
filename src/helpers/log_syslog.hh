// The lines of one daemon on their way to syslog: a datagram each to /dev/log. Runs as the owner, who may send there anyway.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lib/fd.hh"

namespace dm {

class LogSyslog {
public:
  LogSyslog() = default;
  // `tag` stands before each line: the daemon's id.
  explicit LogSyslog(std::string tag) : tag_(std::move(tag)) {}
  // Sends the first line of `text`, whose lines all have a newline, or as much of it as a syslogd takes for one; so many of the bytes,
  // 0 where it is not taken now and error() says why. Bytes that are no text are escaped. `time_ns`: of the line.
  std::size_t send_line(std::string_view text, std::int64_t time_ns);
  [[nodiscard]] int error() const { return error_; }
  // The next line goes to whoever is there then.
  void close() { socket_.reset(); }

private:
  bool send(const std::string &datagram);
  std::string tag_;
  Fd socket_;
  int error_ = 0;
};

}  // namespace dm
