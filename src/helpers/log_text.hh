// The words of a log between and around the daemon's own lines. Owner's privilege.
#pragma once

#include <string>

#include "log_stage.hh"

namespace dm {

// Sets `out` to the text of the plan on record. It depends on the record and the bytes it names alone, so that a successor
// finds the same.
void compose_plan(LogStage &stage, std::string &out);

}  // namespace dm
