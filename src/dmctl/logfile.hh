// A log on disk, read in blocks: its end, all of it, and what is written later. The rights of the log's owner.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "dmctl/printer.hh"
#include "lib/fd.hh"

namespace dm::dmctl {

enum class LogFault {
  none,
  missing,    // no such file, or none of its directories
  forbidden,  // the caller's rights do not reach it
  not_a_log,  // no …/.daemon-manager/logs/FILE, a symbolic link on the way, no regular file, or another user's
  failed,     // anything else, see errno_value
};

struct OpenedLog {
  Fd file;
  LogFault fault = LogFault::none;
  int errno_value = 0;
};

// Opens HOME/.daemon-manager/logs/FILE for reading. Below HOME no symbolic link is followed; the file must be a regular one
// of `owner`'s, and nothing is waited for.
OpenedLog open_log(const std::string &path, uid_t owner);

// Likewise HOME/.daemon-manager/daemons/FILE.
OpenedLog open_conf(const std::string &path, uid_t owner);

// The offset at which the last `lines` lines before `size` start, found by reading backwards in blocks; -1 and errno on error. `lines`
// becomes the number of those that are not there.
off_t start_of_last(int file, off_t size, std::uint64_t &lines);

bool same_file(int a, int b);

// Bytes of a log on their way to stdout: as they are, or escaped for a terminal.
class LogCopy {
public:
  LogCopy(Printer &printer, bool terminal) : printer_(printer), terminal_(terminal) {}
  // Copies from `at` up to `end` or the end of the file, and moves `at`. False where reading or writing failed.
  bool copy(int file, off_t &at, off_t end);
  // False where nobody reads it any more.
  bool put(std::string_view bytes);
  // What was held back of a character that never became whole.
  void finish();

private:
  Printer &printer_;
  bool terminal_;
  std::string held_;  // at most 3 bytes: the start of a character cut by the end of a block
};

// Goes on from `at` with whatever is written, over truncation and over renaming (a new file under the same path), until
// reading or writing fails or nobody reads stdout any more.
bool follow_log(const std::string &path, uid_t owner, Fd file, off_t at, LogCopy &copy, Printer &printer);

}  // namespace dm::dmctl
