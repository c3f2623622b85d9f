// Which of the caller's own confs a command names. The caller's privilege; no manager is asked.
#pragma once

#include <string>
#include <vector>

#include "dmctl/home.hh"
#include "lib/client.hh"

namespace dm::dmctl {

struct Command;
class Printer;

// The caller's confs that a command names, each once: names, his own owner/name, patterns, `all`. What names none of his is said, and
// why `verb` is not for those of others; `code` becomes the gravest of that.
std::vector<std::string> choose_own(const Caller &caller, const Command &command, Printer &printer, Exit &code);

}  // namespace dm::dmctl
