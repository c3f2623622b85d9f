// Finds, signals and watches a daemon's processes. Runs as root.
#include "monitor/tree.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "monitor/slots.hh"

namespace dm::monitor {
namespace {

constexpr int batch = 256;  // pids looked at in one go

Fd open_in(const Trees &trees, std::uint32_t slot, const char *format, int flags) {
  return Fd(::openat(trees.base.get(), Label(format, slot).text, flags | O_CLOEXEC));
}

// Reads at most `batch` pids, skipping the first `skip`. All are numbers that the kernel wrote.
int read_pids(const Trees &trees, std::uint32_t slot, int skip, std::int32_t *pids) {
  const Fd file = open_in(trees, slot, "s%lld/cgroup.procs", O_RDONLY);
  char text[4096];
  std::int32_t pid = 0;
  int seen = 0, count = 0;
  for (ssize_t size; file && count < batch && (size = ::read(file.get(), text, sizeof text)) > 0;)
    for (ssize_t i = 0; i < size && count < batch; i++) {
      if (text[i] != '\n') pid = pid * 10 + (text[i] - '0');
      else {
        if (seen++ >= skip && pid > 0) pids[count++] = pid;
        pid = 0;
      }
    }
  return count;
}

}  // namespace

Fd open_tree(const Trees &trees, std::uint32_t slot) {
  const Label name("s%lld", slot);
  if (::mkdirat(trees.base.get(), name.text, 0755) != 0 && errno != EEXIST) return Fd();
  return open_in(trees, slot, "s%lld", O_RDONLY | O_DIRECTORY);
}

bool tree_left(const Trees &trees, const Fd &events, std::int32_t pid) {
  if (!trees.base) return pid > 0 && (::kill(-pid, 0) == 0 || errno == EPERM);
  char text[128] = {};
  return events && ::pread(events.get(), text, sizeof text - 1, 0) > 0 && std::strstr(text, "populated 1") != nullptr;
}

Fd watch_tree(const Trees &trees, std::uint32_t slot) {
  return trees.base ? open_in(trees, slot, "s%lld/cgroup.events", O_RDONLY) : Fd();
}

void signal_tree(const Trees &trees, std::uint32_t slot, std::int32_t pid, int signal) {
  if (!trees.base) {
    // While a member is left the kernel gives the group's number to nobody else.
    if (pid > 1) ::kill(-pid, signal);
    return;
  }
  if (signal == SIGKILL) {
    const Fd file = open_in(trees, slot, "s%lld/cgroup.kill", O_WRONLY);
    if (file && ::write(file.get(), "1", 1) == 1) return;
  }
  std::int32_t pids[batch], again[batch];
  for (int skip = 0;; skip += batch) {
    const int count = read_pids(trees, slot, skip, pids);
    int pidfds[batch];
    for (int i = 0; i < count; i++) pidfds[i] = static_cast<int>(::syscall(SYS_pidfd_open, pids[i], 0));
    const int listed = read_pids(trees, slot, skip, again);
    for (int i = 0; i < count; i++) {
      if (pidfds[i] < 0) continue;
      if (std::find(again, again + listed, pids[i]) != again + listed) ::syscall(SYS_pidfd_send_signal, pidfds[i], signal, nullptr, 0);
      ::close(pidfds[i]);
    }
    if (count < batch) return;
  }
}

void remove_tree(const Trees &trees, std::uint32_t slot) {
  if (trees.base) ::unlinkat(trees.base.get(), Label("s%lld", slot).text, AT_REMOVEDIR);
}

}  // namespace dm::monitor
