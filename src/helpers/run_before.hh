// Runs before= to its end. Runs as the target.
#pragma once

#include <string>
#include <vector>

#include "lib/helper.hh"

namespace dm {

// A child runs the command, whose output goes where the daemon's goes; RunStage::none where it ended well. Says on the report pipe
// that it has begun.
RunReport run_before(const std::string &command, const std::vector<std::string> &environment, int report);

}  // namespace dm
