// What each verb of dmctl does; their table is in verbs.cc. The caller's privilege.
#pragma once

#include "dmctl/command.hh"
#include "dmctl/printer.hh"

namespace dm::dmctl {

Exit run_status(const Command &command, Printer &printer);
Exit run_top(const Command &command, Printer &printer);
Exit run_list(const Command &command, Printer &printer);
Exit run_is_active(const Command &command, Printer &printer);
Exit run_pid(const Command &command, Printer &printer);
Exit run_change(const Command &command, Printer &printer);  // start restart try-restart reload reset-failed rescan
Exit run_metrics(const Command &command, Printer &printer);
Exit run_stop(const Command &command, Printer &printer);
Exit run_scale(const Command &command, Printer &printer);
Exit run_kill(const Command &command, Printer &printer);
Exit run_log(const Command &command, Printer &printer);  // log tail
Exit run_enable(const Command &command, Printer &printer);
Exit run_disable(const Command &command, Printer &printer);
Exit run_cat(const Command &command, Printer &printer);
Exit run_check(const Command &command, Printer &printer);
Exit run_new(const Command &command, Printer &printer);
Exit run_edit(const Command &command, Printer &printer);
Exit run_explain(const Command &command, Printer &printer);
Exit run_history(const Command &command, Printer &printer);
Exit run_version(const Command &command, Printer &printer);
Exit run_help(const Command &command, Printer &printer);

}  // namespace dm::dmctl
