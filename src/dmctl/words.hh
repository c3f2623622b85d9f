// What the completions of shells ask dmctl for: `dmctl help .verbs` and the like. The caller's privilege.
#pragma once

#include <string_view>

#include "dmctl/printer.hh"

namespace dm::dmctl {

// `.verbs`: name, what it takes (none, ids, kill, files, confs or verbs) and summary, a tab between; `.signals`: their names;
// `.confs`: the names of one's own. A line each. False where `word` is none of these.
bool print_words(std::string_view word, Printer &printer);

}  // namespace dm::dmctl
