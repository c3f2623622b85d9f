// Cuts what a daemon wrote into stamped lines. Owner's privilege; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dm {

// A line longer than this is split; what has no newline yet waits in memory up to here.
inline constexpr std::size_t max_log_line = 16384;

// Appends "2026-11-22T12:34:56.789Z " (UTC), of nanoseconds since 1970.
void put_stamp(std::string &out, std::int64_t time_ns);

// The lines of one log. A line bears the time at which its first byte came.
class LogLines {
public:
  // Appends the lines that `data` completes.
  void take(std::string_view data, std::int64_t time_ns, std::string &out);
  // Ends a line that has begun, if any.
  void finish(std::string &out);

private:
  std::string partial_;
  std::int64_t since_ns_ = 0;
};

}  // namespace dm
