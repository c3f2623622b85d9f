// Why the manager could not be reached, or not be understood, in words: what happened, to what, and what to type next. The caller's
// privilege.
#pragma once

#include <span>
#include <string>

#include "dmctl/connection.hh"

namespace dm::dmctl {

// Nobody could be connected to. `run_dir`: the manager's own folder is there. Whole lines, safe for a terminal.
std::string describe_unreachable(std::span<const Attempt> tried, bool run_dir);
// It took the request, and then said nothing for so long.
std::string describe_silence(Patience patience);
// Its answer is not one. `manager`: its version, "" where it does not tell even that.
std::string describe_versions(std::string_view manager);
// What to do where dmctl and the manager are of two versions; "" where they are of one.
std::string differing_versions(std::string_view manager);

}  // namespace dm::dmctl
