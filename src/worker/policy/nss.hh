// What the system's name service says about users and groups. Runs in dm-policy, as the worker's uid: name-service modules
// are other people's code and run nowhere else in the manager.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dm::master {

struct User {
  std::string name;  // pw_name: the canonical one
  std::uint32_t uid = 0, gid = 0;
  std::string home, shell;
  std::vector<std::uint32_t> groups;  // gid among them
};

struct Group {
  std::uint32_t gid = 0;
  std::vector<std::string> members;
};

// The seam that tests replace.
class NameService {
public:
  NameService() = default;
  NameService(const NameService &) = delete;
  NameService &operator=(const NameService &) = delete;
  virtual ~NameService() = default;
  // Nothing where there is no such user, or none that can be used (no valid uid, a name of its own that is none).
  virtual std::optional<User> user(const std::string &name) = 0;
  virtual std::optional<Group> group(const std::string &name) = 0;
};

// getpwnam_r(3), getgrnam_r(3) and getgrouplist(3).
class SystemNames final : public NameService {
public:
  std::optional<User> user(const std::string &name) override;
  std::optional<Group> group(const std::string &name) override;
};

}  // namespace dm::master
