// What the completions of shells ask dmctl for: `dmctl help .verbs` and the like. The caller's privilege.
#pragma once

#include <span>
#include <string>

#include "dmctl/printer.hh"

namespace dm::dmctl {

// `.verbs`: name, what it takes (none, ids, kill, families, files, confs or verbs) and summary, a tab between; `.signals`: their names;
// `.confs`: the names of one's own; `.options`, with a verb behind it or without: options and what each does. A line each. False where the
// first word is none of these.
bool print_words(std::span<const std::string> words, Printer &printer);

}  // namespace dm::dmctl
