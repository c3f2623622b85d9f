// Cuts what a daemon wrote into lines, and makes stamps for them. Owner's privilege; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace dm {

// An offset from UTC that stands for no stamp at all.
inline constexpr std::int32_t no_stamp = std::numeric_limits<std::int32_t>::min();

// A line longer than this is split; what has no newline yet waits up to here.
inline constexpr std::size_t max_log_line = 16384;

// Appends "2026-11-22T12:34:56.789Z ", of nanoseconds since 1970; with an offset from UTC (in seconds, to the east) the time there and
// "+01:00" instead of Z; nothing with no_stamp.
void put_stamp(std::string &out, std::int64_t time_ns, std::int32_t offset);

// The first line of some bytes: its text and how many of the bytes it takes, its newline among them. used == 0: it has not
// ended yet. With `last` nothing follows, so that the bytes end it.
struct Cut {
  std::string_view text;
  std::size_t used;
};
Cut cut_line(std::string_view data, bool last);

// All that has ended: so many lines, in so many bytes.
struct Lines {
  std::uint64_t count;
  std::size_t used;
};
Lines count_lines(std::string_view data, bool last);

// Appends all lines of `data`, which ends where one does. The first bears its own time, the others that of `time_ns`.
void put_lines(std::string &out, std::string_view data, std::int64_t first_ns, std::int64_t time_ns, std::int32_t offset);

}  // namespace dm
