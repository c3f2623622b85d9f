// Runs before= to its end. Runs as the target.
#pragma once

#include <string>
#include <vector>

#include "lib/helper.hh"

namespace dm {

// A child runs the command, whose output goes where the daemon's goes; RunStage::none where it ended well. Says on the report pipe
// that it has begun.
RunReport run_before(const std::string &command, const std::vector<std::string> &environment, int report);

// Writes it to the report pipe. False with errno set where that failed, but not where nobody reads there any more.
bool say(int report, const RunReport &what);

}  // namespace dm
