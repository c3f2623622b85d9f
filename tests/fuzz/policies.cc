// Makes the policies of the targets with dm-policy's own writer.
#include "policies.hh"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include "lib/policy.hh"
#include "worker/policy/writer.hh"

namespace dm::fuzz {
namespace {

using master::Row;
using Uids = std::pair<std::uint32_t, std::uint32_t>;

constexpr std::uint32_t uid_ghost = 65530;  // of the row that never resolves: stands for it here alone

struct Person {
  const char *name;
  std::uint32_t uid, flags;
  Limits limits;
};

constexpr Person people[] = {
    {"carl", uid_carl, user_runs | user_resolved, {2, 4096, 1, 2}},
    {"david", uid_david, user_runs | user_resolved, {3, 1U << 20, 5, 3}},
    {"ghost", uid_ghost, user_runs, default_limits},
    {"root", uid_root, user_runs | user_resolved, default_limits},
    {"bob", uid_bob, user_manages | user_resolved, default_limits},
    {"www-data", uid_www, user_resolved, default_limits},
    {"amy", uid_amy, user_runs | user_manages | user_resolved, default_limits},
};
constexpr Uids everyday[] = {{uid_root, uid_root},   {uid_david, uid_david}, {uid_david, uid_www}, {uid_amy, uid_amy},
                             {uid_amy, uid_ghost},   {uid_carl, uid_carl},   {uid_carl, uid_www},  {uid_ghost, uid_ghost}};
constexpr Uids managed[] = {{uid_amy, uid_david}, {uid_bob, uid_david}, {uid_bob, uid_amy}};

bool gone(unsigned which, std::uint32_t uid) { return which == 1 && uid == uid_david; }

std::vector<Uids> those_left(unsigned which, const Uids *from, const Uids *to) {
  std::vector<Uids> left;
  std::copy_if(from, to, std::back_inserter(left), [which](const Uids &it) { return !gone(which, it.first) && !gone(which, it.second); });
  return left;
}

std::string make(unsigned which) {
  master::Rows rows;
  for (const Person &it : people) {
    if (gone(which, it.uid)) continue;
    Row row{{it.name, it.uid, it.uid, std::string("/home/") + it.name, "/bin/sh", {it.uid, 50}}, it.flags, it.limits};
    if (which == 2 && it.uid == uid_david) row.flags &= ~static_cast<std::uint32_t>(user_resolved);
    if (which == 1 && it.uid == uid_amy) row.limits.daemons = 1;
    rows.users.push_back(row);
  }
  const auto row_of = [&](std::uint32_t uid) {
    const auto his = std::ranges::find(rows.users, uid, [](const Row &row) { return row.user.uid; });
    return static_cast<std::uint32_t>(his - rows.users.begin());
  };
  for (const auto &[owner, target] : those_left(which, std::begin(everyday), std::end(everyday)))
    rows.pairs.push_back({row_of(owner), row_of(target)});
  for (const auto &[manager, owner] : those_left(which, std::begin(managed), std::end(managed)))
    rows.manages.push_back({row_of(manager), row_of(owner)});
  // A port that nobody is likely to have on the machine of the fuzzer, and one that needs no word.
  if (which != 2 && !gone(which, uid_david)) rows.ports = {{row_of(uid_david), 871, 872}, {row_of(uid_david), 8000, 8000}};
  return write_policy({}, rows);
}

bool knows(unsigned which, std::uint32_t uid) { return uid != uid_ghost && !gone(which, uid) && !(which == 2 && uid == uid_david); }

}  // namespace

const std::string &policy_bytes(unsigned which) {
  static const std::array<std::string, policy_count> all{make(0), make(1), make(2)};
  return all.at(which);
}

bool policy_allows(unsigned which, std::uint32_t owner, std::uint32_t target) {
  return knows(which, owner) && knows(which, target) &&
         std::find(std::begin(everyday), std::end(everyday), Uids{owner, target}) != std::end(everyday);
}

bool policy_manages(unsigned which, std::uint32_t uid, std::uint32_t owner) {
  if (uid == uid_root) return true;
  if (!knows(which, uid) || uid == uid_www || gone(which, owner)) return false;
  return uid == owner || std::find(std::begin(managed), std::end(managed), Uids{uid, owner}) != std::end(managed);
}

}  // namespace dm::fuzz
