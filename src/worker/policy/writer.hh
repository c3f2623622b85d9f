// Lays the resolved rows out as the policy's one block of memory (lib/policy.hh). Runs in dm-policy, as the worker's uid.
#pragma once

#include <string>

#include "worker/policy/config.hh"
#include "worker/policy/resolve.hh"

namespace dm::master {

// The bytes of the policy; empty where check_policy would refuse them: more users, groups or text than the format holds.
std::string write_policy(const Config &config, const Rows &rows);

}  // namespace dm::master
