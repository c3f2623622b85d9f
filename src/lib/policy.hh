// The policy: root's master config after dm-policy has read it and resolved its names; fixed rows in one sealed memfd.
// Written by dm-policy (the worker's uid), checked and mapped read-only by the monitor (root) and by the worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dm {

inline constexpr std::uint32_t policy_magic = 0x33504d44;  // "DMP3"
inline constexpr std::uint32_t max_users = 16384;          // rows; dm-policy refuses a config that needs more
inline constexpr std::uint32_t no_user = 0xffffffff;       // an index that names nobody

// What root grants one owner of; [limits] in the master config.
struct Limits {
  std::uint32_t daemons;      // default 100
  std::uint32_t book_bytes;   // default 1 MiB: all confs of one owner together
  std::uint32_t starts;       // helpers per second, default 20
  std::uint32_t connections;  // at a time to the command socket, default 16
};
inline constexpr Limits default_limits{100, 1U << 20, 20, 16};

enum UserFlags : std::uint32_t {
  user_runs = 1,      // is on the left of a line in [runs_as]: may have daemons
  user_manages = 2,   // is on the left of a line in [manages]: has a command socket
  user_resolved = 4,  // the name service knows him; without it uid, gid, home, shell mean nothing
};

// One user that the master config names on either side (or a member of a group it names). Offsets are into the string pool.
// Rows that are resolved come first, by ascending uid, so that a uid is found without looking at every row.
struct PolicyUser {
  std::uint32_t uid, gid;
  std::uint32_t flags;
  std::uint32_t name, home, shell;        // offsets of NUL-terminated strings
  std::uint32_t groups_at, groups_count;  // his supplementary groups (his gid among them), in the group array
  Limits limits;
};

// Index pairs into the user rows, sorted by (first, second), no doubles.
struct PolicyPair {
  std::uint32_t first;   // pairs: owner;  manages: manager
  std::uint32_t second;  // pairs: target; manages: whom he manages
  std::uint32_t rule = 0;  // of the rules the first that says so, counted from 1; 0: not known. Only to explain
};

// A line of [runs_as] or [manages], as root wrote it, for people to read.
struct PolicyRule {
  std::uint32_t line;  // counted from 1
  std::uint32_t text;  // offset; may be cut short
};
inline constexpr std::size_t max_rule_text = 200;

// Ports first … last, of 1 … 65535, that `owner` (an index) may bind though they are below first_free_port. Sorted, no doubles.
struct PolicyPorts {
  std::uint32_t owner, first, last;
};

enum PolicySettings : std::uint32_t {
  setting_no_cgroup = 1,         // [settings] cgroup=no
  setting_unresolved = 2,        // the name service did not know some name: the config is read again from time to time
  setting_group_unresolved = 4,  // nor some group: who is missing may be in it, so nobody is stopped for being missing
};

// Header of the memfd. Then, each right behind the other: PolicyUser[users], PolicyPair[pairs], PolicyPair[manages],
// PolicyPorts[ports], PolicyRule[rules], uint32_t groups[groups], char strings[strings] (its last byte is NUL). The file has exactly
// that size.
struct PolicyHeader {
  std::uint32_t magic;
  std::uint32_t settings;             // PolicySettings
  std::uint32_t shutdown_timeout_ms;  // [settings] shutdown_timeout, default 60 s
  std::uint32_t config;               // offset of the master config's path
  std::uint32_t users, pairs, manages, ports, rules, groups, strings;
};

// A checked policy: pointers into the mapping. No part of it is trusted before `check_policy` said yes.
struct Policy {
  const PolicyHeader *header = nullptr;
  const PolicyUser *users = nullptr;
  const PolicyPair *pairs = nullptr;
  const PolicyPair *manages = nullptr;
  const PolicyPorts *ports = nullptr;
  const PolicyRule *rules = nullptr;
  const std::uint32_t *groups = nullptr;
  const char *strings = nullptr;

  [[nodiscard]] std::uint32_t count() const { return header == nullptr ? 0 : header->users; }
  [[nodiscard]] const char *text(std::uint32_t offset) const { return strings + offset; }
  // True where root allows `owner` (an index) to run daemons as `target` (an index). Either may be unresolved just now.
  [[nodiscard]] bool may_run(std::uint32_t owner, std::uint32_t target) const;
  // True where root allows `manager` to control the daemons of `managed`; everyone manages himself.
  [[nodiscard]] bool may_manage(std::uint32_t manager, std::uint32_t managed) const;
  // The line that says so; nullptr where none does, or it is not known.
  [[nodiscard]] const PolicyRule *why_run(std::uint32_t owner, std::uint32_t target) const;
  [[nodiscard]] const PolicyRule *why_manage(std::uint32_t manager, std::uint32_t managed) const;
  // True where root grants `owner` that port.
  [[nodiscard]] bool may_bind(std::uint32_t owner, std::uint32_t port) const;
  // True where root grants anybody a port for which a privilege is needed.
  [[nodiscard]] bool low_ports() const;
  // The row of a resolved uid, or no_user.
  [[nodiscard]] std::uint32_t find_uid(std::uint32_t uid) const;
  // The row of a name, or no_user.
  [[nodiscard]] std::uint32_t find_name(std::string_view name) const;
};

// Bounds-checks `size` bytes at `data` (4-byte aligned). False when any offset, count, order or flag is off: then `out` is
// empty. Also refused: rows out of their order, so two resolved ones with one uid; a pair that makes anyone but root run as uid 0.
bool check_policy(const void *data, std::size_t size, Policy &out);

}  // namespace dm
