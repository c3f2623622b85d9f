// The last lines of a daemon's log, for status. The caller's privilege; the log of another is borrowed, as log does it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dmctl/talk.hh"

namespace dm::dmctl {

struct LastLines {
  bool shown = false;  // false: the caller may not read the log, or it is not there
  std::vector<std::string> lines;  // as they are in the log, without their newlines
};

// At most `most` of them, read from the log's end.
LastLines last_lines(const Row &row, std::size_t most);

}  // namespace dm::dmctl
