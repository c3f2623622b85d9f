// Checks the policy's rows before anyone believes them. Linked by the monitor (root) and the worker.
#include "lib/policy.hh"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "lib/message.hh"

namespace dm {
namespace {

bool before(const PolicyPair &a, const PolicyPair &b) { return a.first < b.first || (a.first == b.first && a.second < b.second); }

const PolicyPair *find_pair(const PolicyPair *rows, std::uint32_t count, PolicyPair wanted) {
  const PolicyPair *end = rows + count, *found = std::lower_bound(rows, end, wanted, before);
  return found != end && !before(wanted, *found) ? found : nullptr;
}

bool good_pairs(const PolicyPair *rows, std::uint32_t count, const PolicyHeader &header) {
  for (std::uint32_t i = 0; i < count; i++)
    if (rows[i].first >= header.users || rows[i].second >= header.users || rows[i].rule > header.rules ||
        (i != 0 && !before(rows[i - 1], rows[i])))
      return false;
  return true;
}

bool good_ports(const PolicyPorts *rows, std::uint32_t count, std::uint32_t users) {
  const auto key = [](const PolicyPorts &row) { return std::tuple(row.owner, row.first, row.last); };
  for (std::uint32_t i = 0; i < count; i++)
    if (rows[i].owner >= users || rows[i].first < 1 || rows[i].first > rows[i].last || rows[i].last > 65535 ||
        (i != 0 && key(rows[i - 1]) >= key(rows[i])))
      return false;
  return true;
}

// Resolved rows come first, each with a greater uid than the one before: so none has another's.
bool in_order(const PolicyUser &a, const PolicyUser &b) {
  const bool later = (b.flags & user_resolved) == 0;
  return later || ((a.flags & user_resolved) != 0 && a.uid < b.uid);
}

bool good_user(const Policy &policy, const PolicyUser &user) {
  const PolicyHeader &header = *policy.header;
  if (user.name >= header.strings || user.home >= header.strings || user.shell >= header.strings) return false;
  if (user.groups_at > header.groups || user.groups_count > header.groups - user.groups_at) return false;
  return (user.flags & ~(user_runs | user_manages | user_resolved)) == 0 &&
         (user.uid != 0xffffffff && user.gid != 0xffffffff);
}

}  // namespace

bool Policy::may_run(std::uint32_t owner, std::uint32_t target) const {
  return header != nullptr && find_pair(pairs, header->pairs, {owner, target}) != nullptr;
}

bool Policy::may_manage(std::uint32_t manager, std::uint32_t managed) const {
  return header != nullptr && (manager == managed || find_pair(manages, header->manages, {manager, managed}) != nullptr);
}

const PolicyRule *Policy::why_run(std::uint32_t owner, std::uint32_t target) const {
  const PolicyPair *found = header != nullptr ? find_pair(pairs, header->pairs, {owner, target}) : nullptr;
  return found != nullptr && found->rule != 0 ? rules + found->rule - 1 : nullptr;
}

const PolicyRule *Policy::why_manage(std::uint32_t manager, std::uint32_t managed) const {
  const PolicyPair *found = header != nullptr ? find_pair(manages, header->manages, {manager, managed}) : nullptr;
  return found != nullptr && found->rule != 0 ? rules + found->rule - 1 : nullptr;
}

bool Policy::may_bind(std::uint32_t owner, std::uint32_t port) const {
  return header != nullptr && std::any_of(ports, ports + header->ports, [&](const PolicyPorts &row) {
    return row.owner == owner && row.first <= port && port <= row.last;
  });
}

bool Policy::low_ports() const {
  return header != nullptr && std::any_of(ports, ports + header->ports, [](const PolicyPorts &row) { return row.first < first_free_port; });
}

std::uint32_t Policy::find_uid(std::uint32_t uid) const {
  PolicyUser wanted{};
  wanted.uid = uid;
  wanted.flags = user_resolved;
  const PolicyUser *end = users + count(), *found = std::lower_bound(users, end, wanted, [](const PolicyUser &a, const PolicyUser &b) {
    return (a.flags & user_resolved) != 0 && a.uid < b.uid;
  });
  return found != end && (found->flags & user_resolved) != 0 && found->uid == uid ? static_cast<std::uint32_t>(found - users) : no_user;
}

std::uint32_t Policy::find_name(std::string_view name) const {
  for (std::uint32_t i = 0; i < count(); i++)
    if (name == text(users[i].name)) return i;
  return no_user;
}

bool check_policy(const void *data, std::size_t size, Policy &out) {
  out = Policy{};
  if (size < sizeof(PolicyHeader)) return false;
  const char *bytes = static_cast<const char *>(data);
  PolicyHeader header;
  std::memcpy(&header, bytes, sizeof header);
  constexpr std::uint32_t many = 1U << 24;  // keeps the sum below well inside 64 bits
  if (header.magic != policy_magic || header.users > max_users || header.pairs > many || header.manages > many ||
      header.ports > many || header.rules > many || header.groups > many || header.strings == 0 || header.strings > many || header.config >= header.strings)
    return false;
  const std::size_t users_at = sizeof header, pairs_at = users_at + header.users * sizeof(PolicyUser),
                    manages_at = pairs_at + header.pairs * sizeof(PolicyPair),
                    ports_at = manages_at + header.manages * sizeof(PolicyPair),
                    rules_at = ports_at + header.ports * sizeof(PolicyPorts),
                    groups_at = rules_at + header.rules * sizeof(PolicyRule),
                    strings_at = groups_at + header.groups * sizeof(std::uint32_t);
  if (strings_at + header.strings != size || bytes[size - 1] != '\0') return false;

  Policy policy;
  const void *base = data;
  policy.header = static_cast<const PolicyHeader *>(base);
  policy.users = static_cast<const PolicyUser *>(static_cast<const void *>(bytes + users_at));
  policy.pairs = static_cast<const PolicyPair *>(static_cast<const void *>(bytes + pairs_at));
  policy.manages = static_cast<const PolicyPair *>(static_cast<const void *>(bytes + manages_at));
  policy.ports = static_cast<const PolicyPorts *>(static_cast<const void *>(bytes + ports_at));
  policy.rules = static_cast<const PolicyRule *>(static_cast<const void *>(bytes + rules_at));
  policy.groups = static_cast<const std::uint32_t *>(static_cast<const void *>(bytes + groups_at));
  policy.strings = bytes + strings_at;
  for (std::uint32_t i = 0; i < header.users; i++)
    if (!good_user(policy, policy.users[i]) || (i != 0 && !in_order(policy.users[i - 1], policy.users[i]))) return false;
  for (std::uint32_t i = 0; i < header.rules; i++)
    if (policy.rules[i].text >= header.strings) return false;
  if (!good_pairs(policy.pairs, header.pairs, header) || !good_pairs(policy.manages, header.manages, header) ||
      !good_ports(policy.ports, header.ports, header.users))
    return false;
  for (std::uint32_t i = 0; i < header.pairs; i++) {
    const PolicyUser &owner = policy.users[policy.pairs[i].first], &target = policy.users[policy.pairs[i].second];
    if ((owner.flags & user_runs) == 0) return false;
    // Rows that are not resolved have no uid; nothing is started for them or as them.
    const bool known = (owner.flags & target.flags & user_resolved) != 0;
    if (known && target.uid == 0 && owner.uid != 0) return false;
  }
  out = policy;
  return true;
}

}  // namespace dm
