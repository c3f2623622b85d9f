// What /proc and the cgroup tell of a daemon's processes. The caller's rights: what the system hides from him stays hidden.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dm::dmctl {

struct Process {
  int pid = 0, parent = 0, group = 0;
  std::string name;                 // that it gave itself
  std::uint64_t cpu_us = 0, rss = 0;  // its own and its dead children's time; bytes
};

// One of a tree of processes, in the order in which it is drawn.
struct Branch {
  Process process;
  std::size_t depth = 0;
  std::string command{};  // command_of(), for whoever asked for it
};

struct Usage {
  std::vector<Branch> tree;             // the main process first
  std::optional<std::uint64_t> memory;  // bytes: what the cgroup is charged with, else the sum of what its processes hold (RSS)
  std::optional<std::uint64_t> cpu_us;  // since its start: of the cgroup, else of the processes that are left
  unsigned hidden = 0;                  // processes that the caller is not shown
};

// How /proc is at one moment: what was read once is not read again.
class Processes {
public:
  explicit Processes(std::string proc = "/proc");
  // Of the daemon whose main process that is. Where the caller may not see even that, `hidden` and nothing else.
  Usage of(int pid);

private:
  const Process *find(int pid);
  void read_all();
  std::vector<int> members_of(int pid, const std::string &cgroup);
  [[nodiscard]] std::string cgroup_of(int pid) const;
  std::string proc_, cgroup_mount_, cgroup_root_;
  std::map<int, std::optional<Process>> known_;
  bool all_ = false;
};

// Its command line with blanks between the words, else its name in brackets; bytes that the process chose. "" where it is not shown.
std::string command_of(const Process &process);
// Its open descriptors, and how many it may have; nothing where the caller may not know.
std::optional<unsigned> count_descriptors(int pid);
std::optional<std::uint64_t> most_descriptors(int pid);
// "12.3M", in the largest of K M G T that it fills.
std::string short_size(std::uint64_t bytes);
// "0.42s", "12.3s", then as short_time.
std::string short_cpu(std::uint64_t us);

}  // namespace dm::dmctl
