// The signs %n, %u, %h and %i in the values of a conf. Everyone's privilege but the monitor's; nothing here acts.
#pragma once

#include <string>
#include <string_view>

#include "lib/conf.hh"

namespace dm {

// What they stand for.
struct Meanings {
  std::string_view name;   // %n: the daemon
  std::string_view owner;  // %u
  std::string_view home;   // %h: the owner's, whoever the daemon runs as
  std::uint32_t instance = 0;  // %i: of 1 … max_instances; 0: there are none, and %i stands for itself
};

// The text with each %n, %u, %h and %i replaced, and %% by one %. A % before anything else stands for itself.
std::string expand(std::string_view text, const Meanings &meanings);

// Replaces them in dir, start, path, the file of output=, env_file (but not %i there: it is read once for all), listen, the commands and the values of exports.
void expand(Conf &conf, const Meanings &meanings);

// Adds to conf.faults what shows only where it is known what the signs stand for: an address that has become none or too long, a
// daemon that needs itself. `text` is what `conf`, which is not expanded yet, was parsed from.
void judge_expanded(Conf &conf, std::string_view text, const Meanings &meanings);

}  // namespace dm
