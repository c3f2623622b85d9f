// What status says to programs. The caller's privilege.
#pragma once

#include "dmctl/talk.hh"

namespace dm::dmctl {

// The document of status; with -l what its pages tell too.
Exit put_status_json(const Command &command, Printer &printer, const Answer &answer, Exit code);

}  // namespace dm::dmctl
