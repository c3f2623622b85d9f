// Finds where the cgroups of daemons are, and those that are there. Root, at start.
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "monitor/tree.hh"

namespace dm::monitor {

bool open_trees(Trees &trees, std::uint64_t instance) {
  char path[4200], own[4096] = {};
  const Fd self(::open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC));
  const ssize_t size = self ? ::read(self.get(), own, sizeof own - 1) : -1;
  const char *line = size > 0 ? std::strstr(own, "0::/") : nullptr;
  if (line == nullptr) return false;
  const int length = static_cast<int>(std::strcspn(line + 4, "\n"));
  for (const char *mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    struct statfs where;
    if (::statfs(mount, &where) != 0 || where.f_type != CGROUP2_SUPER_MAGIC) continue;
    std::snprintf(path, sizeof path, "%s/%.*s/daemon-manager.%016llx", mount, length, line + 4,
                  static_cast<unsigned long long>(instance));
    if (::mkdir(path, 0755) != 0 && errno != EEXIST) return false;
    trees.base = Fd(::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // cgroup.kill came with Linux 5.14; without it the process group is the better way.
    if (trees.base && ::faccessat(trees.base.get(), "cgroup.kill", W_OK, 0) != 0) trees.base.reset();
    return static_cast<bool>(trees.base);
  }
  return false;
}

void each_tree(const Trees &trees, void (*visit)(void *context, std::uint32_t slot), void *context) {
  DIR *dir = trees.base ? ::fdopendir(::openat(trees.base.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) : nullptr;
  if (dir == nullptr) return;
  while (const dirent *entry = ::readdir(dir)) {
    unsigned slot;
    char rest;
    if (std::sscanf(entry->d_name, "s%u%c", &slot, &rest) == 1) visit(context, slot);
  }
  ::closedir(dir);
}

}  // namespace dm::monitor
