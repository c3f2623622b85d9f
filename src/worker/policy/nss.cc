// Asks the system's name service about users and groups. Runs in dm-policy, as the worker's uid.
#include "worker/policy/nss.hh"

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <limits>

#include "lib/names.hh"

namespace dm::master {
namespace {

// A group with 100,000 members needs about 1.5 MB; a name service that asks for more than this is broken.
constexpr std::size_t most_buffer = std::size_t{64} << 20;

// Calls `lookup(buffer)` with ever larger buffers while it says ERANGE. True where it returned 0.
template <typename Lookup>
bool with_buffer(std::vector<char> &buffer, Lookup lookup) {
  for (std::size_t size = 4096; size <= most_buffer; size *= 4) {
    buffer.resize(size);
    int error = lookup(buffer);
    while (error == EINTR) error = lookup(buffer);
    if (error == 0) return true;
    if (error != ERANGE) return false;
  }
  return false;
}

bool all_digits(const std::string &text) { return text.find_first_not_of("0123456789") == std::string::npos; }

// What is in the name service was not written by root alone: a canonical name must keep the rules of names too.
bool sound_name(const std::string &name) {
  if (name.empty() || name.size() > max_user_name) return false;
  for (const char c : name)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == ':' || c == ',' || c == '/' || c == '#') return false;
  return true;
}

std::vector<std::uint32_t> groups_of(const std::string &name, gid_t gid) {
  std::vector<gid_t> groups(64);
  for (;;) {
    int count = static_cast<int>(groups.size());
    if (getgrouplist(name.c_str(), gid, groups.data(), &count) >= 0) {
      groups.resize(static_cast<std::size_t>(count));
      return {groups.begin(), groups.end()};
    }
    // NGROUPS_MAX is 65536: no process can hold more.
    if (groups.size() >= 65536) return {gid};
    groups.resize(groups.size() * 4);
  }
}

}  // namespace

std::optional<User> SystemNames::user(const std::string &name) {
  std::vector<char> buffer;
  passwd entry{}, *found = nullptr;
  const bool asked = with_buffer(buffer, [&](std::vector<char> &space) {
    return getpwnam_r(name.c_str(), &entry, space.data(), space.size(), &found);
  });
  if (!asked || found == nullptr) return std::nullopt;
  User user;
  user.name = entry.pw_name;
  user.uid = entry.pw_uid;
  user.gid = entry.pw_gid;
  user.home = entry.pw_dir == nullptr || *entry.pw_dir == '\0' ? "/" : entry.pw_dir;
  user.shell = entry.pw_shell == nullptr || *entry.pw_shell == '\0' ? "/bin/sh" : entry.pw_shell;
  constexpr std::uint32_t invalid = std::numeric_limits<std::uint32_t>::max();
  if (!sound_name(user.name) || user.uid == invalid || user.gid == invalid) return std::nullopt;
  // Some modules take "1000" for the uid 1000; a name is a name.
  if (all_digits(name) && user.name != name) return std::nullopt;
  user.groups = groups_of(user.name, entry.pw_gid);
  return user;
}

std::optional<Group> SystemNames::group(const std::string &name) {
  std::vector<char> buffer;
  ::group entry{}, *found = nullptr;
  const bool asked = with_buffer(buffer, [&](std::vector<char> &space) {
    return getgrnam_r(name.c_str(), &entry, space.data(), space.size(), &found);
  });
  if (!asked || found == nullptr) return std::nullopt;
  if (all_digits(name) && name != entry.gr_name) return std::nullopt;
  Group group;
  group.gid = entry.gr_gid;
  for (char **member = entry.gr_mem; member != nullptr && *member != nullptr; member++) group.members.emplace_back(*member);
  return group;
}

}  // namespace dm::master
