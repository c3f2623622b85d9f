// Executes the daemon's command: directly or by /bin/sh. Runs as the target.
#pragma once

#include <string>
#include <vector>

#include "lib/conf.hh"
#include "lib/helper.hh"

namespace dm {

// What the policy says of the target; it came as arguments from the monitor.
struct Target {
  std::string name, home, shell;
};

// HOME USER LOGNAME SHELL PATH, and the exports, which may override them; NAME=value each.
std::vector<std::string> make_environment(const Target &target, const Conf &conf);

// Becomes the command, or returns why that did not work.
RunReport run_command(const std::string &command, const std::vector<std::string> &environment);

}  // namespace dm
