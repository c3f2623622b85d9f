// The signs %n, %u and %h in the values of a conf. Everyone's privilege but the monitor's; nothing here acts.
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
};

// The text with each %n, %u and %h replaced, and %% by one %. A % before anything else stands for itself.
std::string expand(std::string_view text, const Meanings &meanings);

// Replaces them in dir, start, path, env_file and the values of exports.
void expand(Conf &conf, const Meanings &meanings);

}  // namespace dm
