// status --watch: what status prints, again and again on one screen. The caller's privilege.
#pragma once

#include "dmctl/command.hh"
#include "dmctl/printer.hh"

namespace dm::dmctl {

// Until q, or a signal. Goes on while there is no manager. Exit 2 where there is no terminal.
Exit watch_status(const Command &command, Printer &printer);

}  // namespace dm::dmctl
