// What /proc and the cgroup tell of a daemon's processes. The caller's rights.
#include "dmctl/processes.hh"

#include "lib/fd.hh"
#include "lib/text.hh"

#include <algorithm>
#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <set>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::size_t most_of_a_file = 1 << 20, most_of_a_command = 4096;

// A file of the kernel's, to its end; nothing where it cannot be read.
std::optional<std::string> read_text(const std::string &path, std::size_t most = most_of_a_file) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) return std::nullopt;
  std::string text;
  char bytes[4096];
  ssize_t size = 0;
  while (text.size() < most && (size = ::read(file.get(), bytes, sizeof bytes)) > 0) text.append(bytes, static_cast<std::size_t>(size));
  if (size < 0) return std::nullopt;
  return text;
}

template <typename Number> std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || (end != text.data() + text.size() && *end != '\n' && *end != ' ')) return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(at), text.size());
    if (end != 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// The value behind `key` and a blank at the start of a line.
std::optional<std::uint64_t> value_in(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n'))
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ') return number_of<std::uint64_t>(line.substr(key.size() + 1));
  return std::nullopt;
}

// proc(5), stat: the name may hold anything, ')' too, so what is behind the last one counts.
std::optional<Process> parse_stat(std::string_view text) {
  const std::size_t open = text.find('('), close = text.rfind(')');
  if (open == text.npos || close == text.npos || close < open) return std::nullopt;
  const std::vector<std::string_view> fields = split(text.substr(close + 1), ' ');
  constexpr std::size_t parent = 1, group = 2, user_time = 11, last_time = 14, pages = 21;
  if (fields.size() <= pages) return std::nullopt;
  Process process;
  process.pid = number_of<int>(text.substr(0, open)).value_or(0);
  process.name = text.substr(open + 1, close - open - 1);
  process.parent = number_of<int>(fields[parent]).value_or(0);
  process.group = number_of<int>(fields[group]).value_or(0);
  const auto ticks = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  for (std::size_t i = user_time; i <= last_time; i++)
    process.cpu_us += static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_of<std::int64_t>(fields[i]).value_or(0))) * 1'000'000 / ticks;
  process.rss = static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_of<std::int64_t>(fields[pages]).value_or(0))) *
                static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return process;
}

// A place of the monitor's own making, …/daemon-manager.N/sN, in which there is nothing but one daemon.
bool is_one_daemons(std::string_view cgroup) {
  const std::size_t slash = cgroup.rfind('/');
  if (slash == cgroup.npos || !cgroup.substr(slash + 1).starts_with('s')) return false;
  const std::string_view above = cgroup.substr(0, slash);
  return above.substr(above.rfind('/') + 1).starts_with("daemon-manager.");
}

// The members in the order of a tree: the main process, each behind its parent, those without one among them at the first level.
std::vector<Branch> tree_of(int main, const std::vector<Process> &members) {
  std::map<int, std::vector<const Process *>> children;
  std::set<int> pids;
  for (const Process &process : members) pids.insert(process.pid);
  for (const Process &process : members) children[pids.contains(process.parent) && process.pid != main ? process.parent : 0].push_back(&process);
  std::stable_sort(children[0].begin(), children[0].end(), [main](const Process *a, const Process *b) { return (a->pid == main) > (b->pid == main); });
  std::vector<Branch> tree, waiting;  // the last of those waiting is the next
  const auto wait = [&](int parent, std::size_t depth) {
    const auto at = children.find(parent);
    if (at == children.end()) return;
    for (auto child = at->second.rbegin(); child != at->second.rend(); ++child) waiting.push_back({**child, depth});
    children.erase(at);
  };
  wait(0, 0);
  while (!waiting.empty()) {
    tree.push_back(std::move(waiting.back()));
    waiting.pop_back();
    wait(tree.back().process.pid, tree.back().depth + 1);
  }
  return tree;
}

}  // namespace

Processes::Processes(std::string proc) : proc_(std::move(proc)) {
  const std::string mounts = read_text(proc_ + "/self/mountinfo").value_or("");
  for (const std::string_view line : split(mounts, '\n')) {
    const std::size_t dash = line.find(" - ");
    if (dash == line.npos || !line.substr(dash + 3).starts_with("cgroup2 ")) continue;
    const std::vector<std::string_view> fields = split(line, ' ');
    if (fields.size() < 5) continue;
    cgroup_root_ = fields[3] == "/" ? "" : fields[3];
    cgroup_mount_ = fields[4];
    return;
  }
}

const Process *Processes::find(int pid) {
  const auto at = known_.find(pid);
  if (at != known_.end()) return at->second ? &*at->second : nullptr;
  const std::optional<std::string> text = read_text(fmt::format("{}/{}/stat", proc_, pid));
  const auto added = known_.emplace(pid, text ? parse_stat(*text) : std::nullopt).first;
  return added->second ? &*added->second : nullptr;
}

void Processes::read_all() {
  if (std::exchange(all_, true)) return;
  const std::unique_ptr<DIR, int (*)(DIR *)> folder(::opendir(proc_.c_str()), ::closedir);
  while (const dirent *entry = folder ? ::readdir(folder.get()) : nullptr)
    if (const std::optional<int> pid = number_of<int>(entry->d_name)) find(*pid);
}

std::string Processes::cgroup_of(int pid) const {
  const std::string text = read_text(fmt::format("{}/{}/cgroup", proc_, pid)).value_or("");
  for (std::string_view line : split(text, '\n')) {
    if (!line.starts_with("0::")) continue;
    line.remove_prefix(3);
    if (cgroup_mount_.empty() || !is_one_daemons(line) || !line.starts_with(cgroup_root_)) return {};
    return cgroup_mount_ + std::string(line.substr(cgroup_root_.size()));
  }
  return {};
}

// Without a cgroup: its process group, and whoever descends from it.
std::vector<int> Processes::members_of(int pid, const std::string &cgroup) {
  std::vector<int> members;
  const std::optional<std::string> listed = cgroup.empty() ? std::nullopt : read_text(cgroup + "/cgroup.procs");
  if (listed) {
    for (const std::string_view line : split(*listed, '\n')) members.push_back(number_of<int>(line).value_or(0));
    return members;
  }
  read_all();
  std::set<int> in{pid};
  for (bool more = true; more;) {
    more = false;
    for (const auto &[other, process] : known_)
      if (process && (process->group == pid || in.contains(process->parent))) more = in.insert(other).second || more;
  }
  return {in.begin(), in.end()};
}

Usage Processes::of(int pid) {
  Usage usage;
  if (find(pid) == nullptr) {
    usage.hidden = 1;
    return usage;
  }
  const std::string cgroup = cgroup_of(pid);
  std::vector<Process> members;
  for (const int member : members_of(pid, cgroup)) {
    if (const Process *process = find(member)) members.push_back(*process);
    else usage.hidden++;
  }
  // One that has ended since is none that is hidden.
  if (usage.hidden != 0) {
    usage.hidden = 0;
    for (const int member : members_of(pid, cgroup)) usage.hidden += find(member) == nullptr ? 1U : 0U;
  }
  usage.tree = tree_of(pid, members);
  if (!cgroup.empty()) {
    usage.memory = number_of<std::uint64_t>(read_text(cgroup + "/memory.current").value_or(""));
    usage.cpu_us = value_in(read_text(cgroup + "/cpu.stat").value_or(""), "usage_usec");
  }
  std::uint64_t rss = 0, cpu_us = 0;
  for (const Process &process : members) rss += process.rss, cpu_us += process.cpu_us;
  if (!usage.memory && usage.hidden == 0) usage.memory = rss;
  if (!usage.cpu_us && usage.hidden == 0) usage.cpu_us = cpu_us;
  return usage;
}

std::string command_of(const Process &process) {
  std::string text = read_text(fmt::format("/proc/{}/cmdline", process.pid), most_of_a_command).value_or("");
  while (text.ends_with('\0') || text.ends_with(' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text.empty() ? "[" + process.name + "]" : text;
}

std::optional<unsigned> count_descriptors(int pid) {
  const std::unique_ptr<DIR, int (*)(DIR *)> folder(::opendir(fmt::format("/proc/{}/fd", pid).c_str()), ::closedir);
  if (!folder) return std::nullopt;
  unsigned count = 0;
  while (const dirent *entry = ::readdir(folder.get())) count += entry->d_name[0] == '.' ? 0U : 1U;
  return count;
}

std::optional<std::uint64_t> most_descriptors(int pid) {
  const std::string text = read_text(fmt::format("/proc/{}/limits", pid)).value_or("");
  for (const std::string_view line : split(text, '\n')) {
    constexpr std::string_view title = "Max open files";
    if (!line.starts_with(title)) continue;
    const std::vector<std::string_view> values = split(line.substr(title.size()), ' ');
    return values.empty() ? std::nullopt : number_of<std::uint64_t>(values[0]);
  }
  return std::nullopt;
}

std::string short_size(std::uint64_t bytes) {
  constexpr std::string_view units = "BKMGT";
  std::size_t unit = 0;
  std::uint64_t one = 1;
  const auto tenths = [&] { return (bytes * 10 + one / 2) / one; };  // of that unit, rounded
  while (tenths() >= 10'240 && unit + 1 < units.size()) one *= 1024, unit++;
  return unit == 0 ? fmt::format("{}B", bytes) : fmt::format("{}.{}{}", tenths() / 10, tenths() % 10, units[unit]);
}

std::string short_cpu(std::uint64_t us) {
  constexpr std::uint64_t second = 1'000'000;
  if (us < 10 * second) return fmt::format("{}.{:02}s", us / second, us % second / 10'000);
  if (us < 60 * second) return fmt::format("{}.{}s", us / second, us % second / 100'000);
  return short_time(us / 1000);
}

}  // namespace dm::dmctl
