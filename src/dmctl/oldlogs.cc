// Reads logs that were rotated away, packed or not, in blocks. The caller's rights.
#include "dmctl/oldlogs.hh"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "helpers/own.hh"
#include "lib/conf.hh"

namespace dm::dmctl {
namespace {

constexpr std::size_t block = 64 * 1024;
constexpr off_t unlimited = std::numeric_limits<off_t>::max();

struct OldLog {
  Fd file;
  bool packed = false;
  std::uint64_t skip = 0;  // packed: so many lines are before those that are wanted
  off_t at = 0;            // not packed: where these begin
};

// Number `number`; where there is none, `file` is empty.
OldLog open_old(LogSource &source, std::uint32_t number) {
  OldLog log;
  log.file = source.open(number).file;
  if (log.file) return log;
  log.file = source.open(number, true).file;
  log.packed = true;
  return log;
}

// Hands the old logs to `take` from the youngest on, until it returns false. They may be renamed meanwhile: for a moment a number is
// missing, and one that was seen comes again.
template <typename Take>
void each_old(LogSource &source, Take take) {
  unsigned missing = 0;
  for (std::uint32_t number = 1; number <= most_logs_kept && missing < 2; number++) {
    OldLog log = open_old(source, number);
    missing = log.file ? 0 : missing + 1;
    if (log.file && !take(std::move(log))) return;
  }
}

bool known(const std::vector<OldLog> &all, const OldLog &log) {
  return std::any_of(all.begin(), all.end(), [&](const OldLog &one) { return same_file(one.file.get(), log.file.get()); });
}

// Hands the unpacked bytes on, in blocks, until `take` has enough; false where they cannot be read.
template <typename Take>
bool unpack(int file, Take take) {
  const int own = ::dup(file);
  const gzFile packed = own < 0 || ::lseek(own, 0, SEEK_SET) != 0 ? nullptr : ::gzdopen(own, "rb");
  if (packed == nullptr) {
    ::close(own);
    return false;
  }
  std::string buffer(block, '\0');
  int size = 0;
  while ((size = ::gzread(packed, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0)
    if (!take(std::string_view(buffer).substr(0, static_cast<std::size_t>(size)))) break;
  ::gzclose(packed);
  return size >= 0;
}

// Counts the lines of a log that comes in blocks, up to the first that is later than `until_ns`.
class Counter {
public:
  explicit Counter(std::int64_t until_ns) : until_ns_(until_ns) {}
  // False where the rest is later.
  bool take(std::string_view bytes) {
    const bool endless = until_ns_ == std::numeric_limits<std::int64_t>::max();
    if (endless) count_ += static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    while (!endless && !bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      begin_ += bytes.substr(0, std::min(end, enough - std::min(enough, begin_.size())));
      if (end == bytes.npos) return true;
      std::int64_t time_ns = 0;
      if (read_stamp(begin_, time_ns) && time_ns > until_ns_) return false;
      begin_.clear();
      count_++;
      bytes.remove_prefix(end + 1);
    }
    return true;
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }

private:
  static constexpr std::size_t enough = 64;  // of a line, for its stamp
  std::int64_t until_ns_;
  std::string begin_;  // of the line that is not whole yet
  std::uint64_t count_ = 0;
};

// How many of `lines` lines are still to be found before this one; sets where its own begin.
std::uint64_t look(OldLog &log, std::uint64_t lines, std::int64_t until_ns) {
  if (log.packed) {
    Counter counter(until_ns);
    if (!unpack(log.file.get(), [&](std::string_view bytes) { return counter.take(bytes); })) return lines;
    const std::uint64_t count = counter.count();
    log.skip = count > lines ? count - lines : 0;
    return lines - std::min(lines, count);
  }
  struct stat info;
  if (::fstat(log.file.get(), &info) != 0) return lines;
  const off_t at = start_of_last(log.file.get(), end_until(log.file.get(), info.st_size, until_ns), lines);
  log.at = std::max<off_t>(at, 0);
  return lines;
}

bool copy_one(OldLog &log, LogCopy &copy) {
  if (!log.packed) return copy.copy(log.file.get(), log.at, unlimited);
  std::uint64_t skip = log.skip;
  return unpack(log.file.get(), [&](std::string_view bytes) {
    while (skip > 0) {
      const std::size_t end = bytes.find('\n');
      if (end == bytes.npos) return true;
      bytes.remove_prefix(end + 1);
      skip--;
    }
    return copy.put(bytes) && !copy.ended();
  });
}

}  // namespace

bool copy_old(LogSource &source, int newest, std::uint64_t lines, const LogFilter &filter, LogCopy &copy) {
  const std::int64_t since_ns = filter.since_ns();
  std::vector<OldLog> wanted;
  std::uint64_t left = lines;
  each_old(source, [&](OldLog log) {
    if (same_file(log.file.get(), newest)) {
      // It was rotated since: those before it here came later.
      wanted.clear();
      left = lines;
      return true;
    }
    struct stat info;
    if (known(wanted, log)) return true;
    if (::fstat(log.file.get(), &info) != 0 || info.st_mtim.tv_sec < since_ns / 1'000'000'000) return false;
    if (left != all_lines) left = look(log, left, filter.until_ns());
    else if (!log.packed) log.at = start_since(log.file.get(), info.st_size, since_ns);
    wanted.push_back(std::move(log));
    return left > 0;
  });
  return std::all_of(wanted.rbegin(), wanted.rend(), [&](OldLog &log) { return copy.ended() || copy_one(log, copy); });
}

bool copy_between(LogSource &source, int file, int newest, LogCopy &copy) {
  std::vector<OldLog> missed;
  bool found = false;
  each_old(source, [&](OldLog log) {
    if (same_file(log.file.get(), file)) return !(found = true);
    if (same_file(log.file.get(), newest)) missed.clear();  // what came later is read behind it
    else if (!known(missed, log)) missed.push_back(std::move(log));
    return true;
  });
  // Where it is not among them it was removed, or compressed: then nobody can tell what came after it.
  return !found || std::all_of(missed.rbegin(), missed.rend(), [&](OldLog &log) { return copy_one(log, copy); });
}

}  // namespace dm::dmctl
