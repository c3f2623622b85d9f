// Finds the very component of a path that cannot be passed, so that a person can be told which. Runs as the target.
#pragma once

#include <cstdint>
#include <string>

namespace dm {

// A step of a path that failed: `bytes` of the path up to its end, and the errno. bytes 0: none failed.
struct PathFault {
  std::uint32_t bytes = 0;
  int errno_value = 0;
};

// The first directory in `path` that the caller cannot enter: all components, or all but the last with `but_last`.
[[nodiscard]] PathFault find_blocked(const std::string &path, bool but_last);

}  // namespace dm
