// From names to rows: who may have daemons, as whom, who manages whom, and within which limits. Runs in dm-policy, as the
// worker's uid.
#pragma once

#include <vector>

#include "lib/policy.hh"
#include "worker/policy/config.hh"
#include "worker/policy/nss.hh"

namespace dm::master {

// One user of the policy; `flags` are UserFlags. Without user_resolved only the name means anything.
struct Row {
  User user;
  std::uint32_t flags = 0;
  Limits limits = default_limits;
};

// A rule for people to read.
struct RuleText {
  std::uint32_t line;
  std::string text;
};

struct Rows {
  std::vector<Row> users;
  std::vector<PolicyPair> pairs, manages;  // sorted, no doubles
  std::vector<PolicyPorts> ports;
  std::vector<RuleText> rules;               // what PolicyPair::rule counts
};

// Resolves every name of `config`; warnings and errors are appended to its faults.
Rows resolve(Config &config, NameService &names);

}  // namespace dm::master
