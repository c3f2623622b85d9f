// A log on disk, read in blocks: its end, all of it, and what is written later. The rights of the log's owner.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "dmctl/logfilter.hh"
#include "dmctl/printer.hh"
#include "lib/fd.hh"

namespace dm::dmctl {

enum class LogFault {
  none,
  missing,    // no such file, or none of its directories
  forbidden,  // the caller's rights do not reach it
  not_a_log,  // no path of a log, a symbolic link, no regular file, or another user's
  failed,     // anything else, see errno_value
};

struct OpenedLog {
  Fd file;
  LogFault fault = LogFault::none;
  int errno_value = 0;
};

// Opens a log for reading: HOME/.daemon-manager/logs/FILE, below whose HOME no symbolic link is followed, or a file that output=
// names, whose own name is none. It must be a regular file of `owner`'s, and nothing is waited for.
OpenedLog open_log(const std::string &path, uid_t owner);

// Likewise HOME/.daemon-manager/daemons/FILE.
OpenedLog open_conf(const std::string &path, uid_t owner);

// The offset at which the last `lines` lines before `size` start, found by reading backwards in blocks; -1 and errno on error. `lines`
// becomes the number of those that are not there.
off_t start_of_last(int file, off_t size, std::uint64_t &lines);

// An offset at which a line begins, before the first line that bears a time of `since_ns` (ns since 1970) or later and, where times only
// grow, hardly further before it than a block. 0 where lines bear no times.
off_t start_since(int file, off_t size, std::int64_t since_ns);

// Where the lines end that are not later than `until_ns`: before the first that is, as far as times only grow; at `size` where there is
// none.
off_t end_until(int file, off_t size, std::int64_t until_ns);

// Bytes of a log on their way to stdout: as they are, or escaped for a terminal; line by line where something is said of lines.
class LogCopy {
public:
  // `prefix` stands before each line; `filter` says which there are; `taker` gets them, where there is one, instead of the printer.
  using Taker = std::function<void(std::string_view line)>;
  LogCopy(Printer &printer, bool escaped, std::string prefix = "", const LogFilter *filter = nullptr, Taker taker = nullptr)
      : printer_(printer), escaped_(escaped), prefix_(std::move(prefix)), filter_(filter), taker_(std::move(taker)) {}
  // Copies from `at` up to `end` or the end of the file, and moves `at`. False where reading or writing failed.
  bool copy(int file, off_t &at, off_t end);
  // False where nobody reads it any more.
  bool put(std::string_view bytes);
  // What was held back of a character or a line that never became whole.
  void finish();
  // A log in which no line had a time, though lines were asked for by time.
  [[nodiscard]] bool timeless() const { return timeless_; }
  // What comes now is later than what is wanted.
  [[nodiscard]] bool ended() const { return ended_; }

private:
  void put_line(std::string_view line);
  void put_escaped(std::string_view text);
  [[nodiscard]] bool by_lines() const { return filter_ != nullptr || !prefix_.empty() || taker_; }
  Printer &printer_;
  bool escaped_;
  std::string prefix_;
  const LogFilter *filter_;
  Taker taker_;
  std::string held_;  // the start of a character cut by the end of a block, or of a line
  bool begun_ = false, timeless_ = false, ended_ = false;
};

class LogSource;

// A log that is read on as it is written, over truncation and over renaming (a new file under the same path).
class LogFollower {
public:
  LogFollower(LogSource &source, Fd file, off_t at, LogCopy &copy);
  // Copies what there is by now. False where reading or writing failed.
  bool step();
  // Becomes readable when the file has changed; -1 where the kernel cannot tell (no inotify, a network file system).
  [[nodiscard]] int changes() const { return watch_ >= 0 ? inotify_.get() : -1; }
  void heard() const;

private:
  void watch();
  LogSource &source_;
  Fd file_, inotify_;
  int watch_ = -1;
  off_t at_;
  LogCopy &copy_;
};

// Goes on until reading or writing fails (false), or nobody reads stdout any more.
bool follow_logs(std::vector<LogFollower> &logs, Printer &printer);

}  // namespace dm::dmctl
