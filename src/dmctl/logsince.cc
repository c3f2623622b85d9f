// Where in a log the lines of a time begin and end, found without reading all of it. The rights of the log's owner.
#include "dmctl/logfile.hh"

#include <algorithm>
#include <limits>
#include <string>
#include <unistd.h>

namespace dm::dmctl {
namespace {

constexpr std::size_t longest_stamp = 40;
constexpr off_t block = 64 * 1024;  // where fewer bytes are in question the reader looks at each line

// The first line with a time that begins behind `at`, within a block: its offset; -1 where there is none.
off_t stamped_behind(int file, off_t at, off_t end, std::string &buffer, std::int64_t &time_ns) {
  const auto size = static_cast<std::size_t>(end - at < block ? end - at : block);
  const ssize_t got = ::pread(file, buffer.data(), size, at);
  if (got <= 0) return -1;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(got));
  for (std::size_t from = text.find('\n'); from != text.npos && from + 1 < text.size(); from = text.find('\n', from + 1))
    if (read_stamp(text.substr(from + 1), time_ns)) return at + static_cast<off_t>(from) + 1;
  return -1;
}

}  // namespace

off_t start_since(int file, off_t size, std::int64_t since_ns) {
  std::string buffer(block, '\0');
  off_t low = 0, high = size;
  while (high - low > block) {
    const off_t middle = low + (high - low) / 2;
    std::int64_t time_ns = 0;
    const off_t line = stamped_behind(file, middle, high, buffer, time_ns);
    if (line < 0) return low;
    if (time_ns < since_ns) low = line;
    else high = middle;
  }
  return low;
}

off_t end_until(int file, off_t size, std::int64_t until_ns) {
  if (until_ns == std::numeric_limits<std::int64_t>::max()) return size;
  std::string buffer(block, '\0');
  bool inside = false;  // of a line that began before `at`
  for (off_t at = start_since(file, size, until_ns + 1); at < size;) {
    const ssize_t got = ::pread(file, buffer.data(), static_cast<std::size_t>(std::min<off_t>(size - at, block)), at);
    if (got <= 0) return at;
    const std::string_view text(buffer.data(), static_cast<std::size_t>(got));
    std::size_t from = 0;
    while (from < text.size()) {
      std::int64_t time_ns = 0;
      // A stamp that the end of the block may have cut is read again.
      if (!inside && from != 0 && text.size() - from < longest_stamp && at + got < size) break;
      if (!inside && read_stamp(text.substr(from), time_ns) && time_ns > until_ns) return at + static_cast<off_t>(from);
      const std::size_t end = text.find('\n', from);
      inside = end == text.npos;
      from = inside ? text.size() : end + 1;
    }
    at += static_cast<off_t>(from);
  }
  return size;
}

}  // namespace dm::dmctl
