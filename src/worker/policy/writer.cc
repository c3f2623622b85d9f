// Lays the resolved rows out as the policy's one block of memory. Runs in dm-policy, as the worker's uid.
#include "worker/policy/writer.hh"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace dm::master {
namespace {

template <typename T>
void append(std::string &out, const T &value) {
  static_assert(std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>);
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

// Appends `text` with its NUL and returns where it begins.
std::uint32_t intern(std::string &pool, const std::string &text) {
  const std::size_t at = pool.size();
  pool.append(text.c_str());
  pool.push_back('\0');
  return static_cast<std::uint32_t>(at);
}

// The order that PolicyUser asks for, as indices into the rows.
std::vector<std::uint32_t> order_of(const std::vector<Row> &rows) {
  std::vector<std::uint32_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto key = [&](std::uint32_t i) {
    const bool resolved = (rows[i].flags & user_resolved) != 0;
    return std::pair(!resolved, resolved ? rows[i].user.uid : i);
  };
  std::ranges::sort(order, {}, key);
  return order;
}

// The pairs under the new numbers of their rows.
std::string write_pairs(const std::vector<PolicyPair> &pairs, const std::vector<std::uint32_t> &number) {
  std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> moved;
  for (const PolicyPair &pair : pairs) moved.emplace_back(number[pair.first], number[pair.second], pair.rule);
  std::ranges::sort(moved);
  std::string out;
  for (const auto &[first, second, rule] : moved) append(out, PolicyPair{first, second, rule});
  return out;
}

std::string write_ports(const std::vector<PolicyPorts> &ports, const std::vector<std::uint32_t> &number) {
  std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> moved;
  for (const PolicyPorts &row : ports) moved.emplace(number[row.owner], row.first, row.last);
  std::string out;
  for (const auto &[owner, first, last] : moved) append(out, PolicyPorts{owner, first, last});
  return out;
}

}  // namespace

std::string write_policy(const Config &config, const Rows &rows) {
  std::string users, rules, groups, strings;
  const std::vector<std::uint32_t> order = order_of(rows.users);
  std::vector<std::uint32_t> number(order.size());
  for (std::uint32_t i = 0; i < order.size(); i++) number[order[i]] = i;
  for (const std::uint32_t index : order) {
    const Row &row = rows.users[index];
    PolicyUser out{};
    const bool resolved = (row.flags & user_resolved) != 0;
    // Whoever forgets to look at user_resolved shall at least not meet root's number.
    out.uid = resolved ? row.user.uid : 65534;
    out.gid = resolved ? row.user.gid : 65534;
    out.flags = row.flags;
    out.name = intern(strings, row.user.name);
    out.home = intern(strings, row.user.home);
    out.shell = intern(strings, row.user.shell);
    out.groups_at = static_cast<std::uint32_t>(groups.size() / sizeof(std::uint32_t));
    out.groups_count = static_cast<std::uint32_t>(row.user.groups.size());
    out.limits = row.limits;
    for (const std::uint32_t gid : row.user.groups) append(groups, gid);
    append(users, out);
  }
  for (const RuleText &rule : rows.rules)
    append(rules, PolicyRule{rule.line, intern(strings, rule.text.size() <= max_rule_text ? rule.text : rule.text.substr(0, max_rule_text - 3) + "...")});

  PolicyHeader header{};
  header.config = intern(strings, config.file);
  header.magic = policy_magic;
  header.settings = (config.no_cgroup ? std::uint32_t{setting_no_cgroup} : 0U) |
                    (config.unresolved ? std::uint32_t{setting_unresolved} : 0U) |
                    (config.group_unresolved ? std::uint32_t{setting_group_unresolved} : 0U);
  header.shutdown_timeout_ms = config.shutdown_timeout_ms;
  header.users = static_cast<std::uint32_t>(rows.users.size());
  header.pairs = static_cast<std::uint32_t>(rows.pairs.size());
  header.manages = static_cast<std::uint32_t>(rows.manages.size());
  const std::string ports = write_ports(rows.ports, number);
  header.ports = static_cast<std::uint32_t>(ports.size() / sizeof(PolicyPorts));
  header.rules = static_cast<std::uint32_t>(rows.rules.size());
  header.groups = static_cast<std::uint32_t>(groups.size() / sizeof(std::uint32_t));
  header.strings = static_cast<std::uint32_t>(strings.size());
  std::string out;
  append(out, header);
  out += users;
  out += write_pairs(rows.pairs, number);
  out += write_pairs(rows.manages, number);
  out += ports;
  out += rules;
  out += groups;
  out += strings;

  Policy checked;
  return check_policy(out.data(), out.size(), checked) ? out : std::string{};
}

}  // namespace dm::master
