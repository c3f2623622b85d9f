// Forks a child that becomes exactly one user and execs one program. The only place where an identity is given up. Root.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "monitor/slots.hh"

namespace dm::monitor {

// All that a child needs, ready before the fork: after it only async-signal-safe calls are made.
struct Spawn {
  int program;                      // opened at start, run by execveat
  const char *const *argv;
  uid_t uid;
  gid_t gid;
  const std::uint32_t *groups;
  std::size_t group_count;
  int own[3] = {-1, -1, -1};        // become descriptors 3, 4 and 5; -1: closed
  int output = -1;                  // becomes 2; -1: /dev/null
  const char *fifo = nullptr;       // under `run_dir`, opened for reading and writing while still root, becomes 1 and 2
  int run_dir = -1;
  const char *root = nullptr;       // chroot there first: the worker
  Slot *slot = nullptr;             // a daemon: records itself there, and reports on own[0] what fails
  int cgroup = -1;                  // directory of the cgroup to be born in; -1: none
  int null = -1;                    // /dev/null
  const rlimit *files = nullptr;    // RLIMIT_NOFILE as the monitor found it
  bool sandboxed = false;           // the worker: no new privileges, no core
  pid_t parent = 0;                 // not 0: it ends with this process
  std::uint64_t file_limit = 0;     // RLIMIT_FSIZE in bytes; 0: as it is
};

// The child's pid, or -1 with errno set.
pid_t spawn(const Spawn &what);

}  // namespace dm::monitor
