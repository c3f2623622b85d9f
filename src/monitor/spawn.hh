// Forks a child that becomes exactly one user and execs one program. The only place where an identity is given up. Root.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "lib/fd.hh"
#include "monitor/slots.hh"

namespace dm::monitor {

inline constexpr int own_count = 2 + max_sockets;  // descriptors of a helper's own: report, book and a daemon's sockets

// All that a child needs, ready before the fork: after it only async-signal-safe calls are made.
struct Spawn {
  int program;                      // opened at start, run by execveat
  const char *const *argv;
  uid_t uid;
  gid_t gid;
  const std::uint32_t *groups = nullptr;
  std::size_t group_count = 0;
  int own[own_count] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1};  // become descriptors 3, 4 …; -1: closed
  int output = -1;                  // becomes 1 and 2; -1: /dev/null
  const char *root = nullptr;       // chroot there first: the worker
  Slot *slot = nullptr;             // a daemon: records itself there, and reports on own[0] what fails
  std::uint32_t runs = 0;           // which run of the slot's it is
  pid_t monitor = 0;                // whose child it must still be then
  int cgroup = -1;                  // directory of the cgroup to be born in; -1: none
  const rlimit *files = nullptr;    // RLIMIT_NOFILE as the monitor found it
  bool sandboxed = false;           // the worker: no new privileges, no core
  pid_t parent = 0;                 // not 0: it ends with this process
  std::uint64_t file_limit = 0;     // RLIMIT_FSIZE in bytes; 0: as it is
};

// A child shares the monitor's table of descriptors for its first moment instead of getting a copy, which would cost more the
// more descriptors there are. What it needs is put on a stage of low numbers first, that are used for nothing else. When it has
// taken these, and no others, into a table of its own, it says so, and the stage is free for the next. While none is free the
// worker's messages wait, for they may ask for more; what the monitor begins by itself does not, and gets a copy after all.
inline constexpr int stage_count = 8, stage_size = 2 + own_count, stage_confirm = 3, stage_first = 4;
inline constexpr int low_end = stage_first + stage_count * stage_size;  // numbers from here on are the monitor's own
struct Stages {
  Fd confirmed;                   // the number of a stage, a byte
  pid_t users[stage_count] = {};  // 0: free
  // The first that is free; stage_count where none is.
  [[nodiscard]] int first_free() const {
    int stage = 0;
    while (stage < stage_count && users[stage] != 0) stage++;
    return stage;
  }
  [[nodiscard]] bool full() const { return first_free() == stage_count; }
};

// setup.cc: takes the low numbers, before anything else is opened; 0 is /dev/null. False with errno set.
bool make_stages(Stages &stages);
// Frees the stages whose children have confirmed, and that of `ended`, a child that was reaped (or 0).
void free_stages(Stages &stages, pid_t ended);

// The child's pid, or -1 with errno set. Descriptor 0 is /dev/null.
pid_t spawn(Stages &stages, const Spawn &what);

}  // namespace dm::monitor
