// The clock of dm-log's deadlines. Runs as the owner.
#pragma once

#include <cstdint>
#include <ctime>

namespace dm {

// Milliseconds of CLOCK_MONOTONIC.
inline std::int64_t clock_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000 + now.tv_nsec / 1'000'000;
}

}  // namespace dm
