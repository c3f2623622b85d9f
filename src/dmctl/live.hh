// The same question asked again and again, with little patience, for a screen that must go on. The caller's privilege.
#pragma once

#include <string>

#include "dmctl/talk.hh"

namespace dm::dmctl {

inline constexpr unsigned preset_interval_ms = 2000;

struct Picture {
  Answer answer;        // of one that is not complete nothing counts
  std::string problem;  // why it is not, in a line; what was said of ids is here too
};

// Asks once; prints nothing.
Picture take_picture(const Question &question);

// A clock that no one sets, ms.
std::int64_t steady_ms();

}  // namespace dm::dmctl
