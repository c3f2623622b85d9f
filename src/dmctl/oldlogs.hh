// The logs that were rotated away, NAME.log.1 the youngest, some of them compressed. The caller's rights.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

#include "dmctl/logfile.hh"
#include "dmctl/logsource.hh"

namespace dm::dmctl {

inline constexpr std::uint64_t all_lines = ~std::uint64_t{0};

// The last `lines` lines of the old logs of `source` that are not later than `filter` says, or all where there are fewer. `newest`: the
// open log, which may have become an old one meanwhile and is not copied then. Nothing is wanted of logs that were finished before what
// `filter` says. False where reading or writing failed.
bool copy_old(LogSource &source, int newest, std::uint64_t lines, const LogFilter &filter, LogCopy &copy);

// What came after `file`, which has been renamed, and before `newest`, the log that has been opened since: whole logs, where it happened
// more than once.
bool copy_between(LogSource &source, int file, int newest, LogCopy &copy);

}  // namespace dm::dmctl
