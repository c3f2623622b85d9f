// Which logs the words of log and tail mean, and where they are. The caller's privilege.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "dmctl/command.hh"
#include "dmctl/printer.hh"

namespace dm::dmctl {

// The log of one daemon, and whose it is.
struct WantedLog {
  std::string id, path, owner;
  uid_t uid = 0;
};

// Asks the manager; where there is none, the caller's own confs tell of his. What has no log, or cannot be told, is said, but for what a
// pattern chose beside others. `several`: more than one daemon was asked for, whether or not they have logs.
Exit find_logs(const Command &command, Printer &printer, std::vector<WantedLog> &all, bool &several);

// Says why nothing is shown of a log, and gives that code back.
Exit refuse_log(const WantedLog &wanted, Exit code, std::string_view why, Printer &printer);

}  // namespace dm::dmctl
