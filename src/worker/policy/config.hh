// The master config as it is written: sections, rules, limits, with the place of each name. Runs in dm-policy, as the worker's
// uid. No name is resolved here and nothing is read: text in, rules and faults out.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dm::master {

// Where something stands in the config; both count from 1, columns in bytes. Line 0: nowhere, for it is not there.
struct Place {
  std::uint32_t line = 1, column = 1;
};

// A fault with its place. `text` says what was found, what was expected and what to do. A warning does not refuse the config.
struct Fault {
  Place place;
  bool warning = false;
  std::string text;
};

// A name as root wrote it; `text` is without the @ of a group.
struct Name {
  Place place;
  std::string text;
  bool group = false;
};

// `left: right, right`. An empty right side is a rule too: in [runs_as] it lets `left` run daemons as himself.
struct Rule {
  Name left;
  std::vector<Name> right;
  std::string text;  // as it stands there, without comment and blanks around it
};

enum LimitKind : unsigned { limit_daemons, limit_book, limit_starts, limit_connections, limit_kinds };

// One line of [limits]; `everyone` is the line of `*`.
struct LimitRule {
  Name who;
  bool everyone = false;
  std::array<std::optional<std::uint32_t>, limit_kinds> value;
};

// One line of [ports]: `who: 80, 8000-8100`. Both ends of a range are of it.
struct PortRule {
  struct Range {
    std::uint32_t first, last;
  };
  Name who;
  std::vector<Range> ranges;
};

struct Config {
  std::string file;  // its path, for people
  std::vector<Rule> runs_as, manages;
  std::vector<PortRule> ports;
  std::vector<LimitRule> limits;
  bool no_cgroup = false;
  bool unresolved = false, group_unresolved = false;  // what the name service did not know: PolicySettings
  std::uint32_t shutdown_timeout_ms = 60'000;
  Place shutdown_place;       // of its value
  std::string shutdown_text;  // as root wrote it; "": he did not
  std::vector<Fault> faults;
};

// Parses the whole text and collects all faults; never fails.
Config parse_config(std::string_view text);

}  // namespace dm::master
