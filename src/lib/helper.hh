// How the monitor calls its helpers: descriptors, arguments, exit codes. The helpers run as one user each; nothing they say is
// trusted beyond the ranges given here. Descriptor 0 is /dev/null for all; 1 and 2 too, but for dm-policy (2: the log) and
// dm-run (both: the daemon's output). The environment is empty. Each sets PR_SET_DUMPABLE 0 first of all.
#pragma once

#include <cstdint>

namespace dm {

// dm-policy CONFIG-PATH: 3 = the config, opened; 4 = an empty memfd for the policy, which it seals.
// Exit 0: done. 1: refused, the reasons are on stderr.
// dm-scan HOME NAME look|create LIMIT: 3 = memfd for the worker's book, 4 = memfd for the full book; it seals both.
// LIMIT in bytes, decimal. Problems are inside the book. Exit 0, or 1 where not even a book could be written.
// dm-listen HOME: 3 = an unbound Unix stream socket, which it binds and makes listen.
enum class ListenExit : int {
  done = 0,
  dormant = 10,       // no ~/.daemon-manager
  network_home = 11,  // network or FUSE file system: /run/daemon-manager/command.sock serves him
  path_too_long = 12,
  refused = 13,       // ~/.daemon-manager is not the owner's, a symlink, or open to others
  failed = 14,        // bind or listen failed
};
// dm-run INDEX OWNER-NAME OWNER-HOME NAME HOME SHELL: 3 = report pipe, 4 = the full book; NAME, HOME, SHELL are the target's.
// Exit 127 after it wrote a report; else it has become the daemon.
// dm-log HOME: 3 = a SOCK_SEQPACKET socket with LogOrder datagrams, descriptors attached where the kind says so.
// When the socket is closed it goes on with each log until the next monitor's dm-log asks for that log's stage, or until nobody
// is left who could write; then it ends.

inline constexpr int helper_fd = 3;   // the first descriptor of a helper's own
inline constexpr int helper_fd2 = 4;  // and the second

// The step at which a start failed. Written as RunReport by the monitor's child (root, then the target) and by dm-run.
enum class RunStage : std::uint16_t {
  none,
  fork,        // the monitor could not fork, or make the cgroup or the pipe
  identity,    // becoming the target
  exec_helper, // running dm-run
  book,        // the book has no such entry, or it does not parse
  user,        // user= is not who dm-run is
  dir,         // detail: bytes of `dir` up to the end of the component that failed
  environment,
  output,      // opening the log's FIFO
  exec,        // detail: bytes of the program's path up to the component that failed; 0: not found in PATH
               // errno ELIBACC: the program is there, the interpreter or loader that it names is not
  deadline,    // dm-run did not get there in time
};
inline constexpr std::uint16_t run_stages = 11;

// What dm-run writes to the report pipe when it cannot start the daemon. The write end closes at a successful exec.
struct RunReport {
  RunStage stage;
  std::uint16_t errno_value;
  std::uint32_t detail;
};

enum class LogKind : std::uint32_t {
  open,     // descriptors: the FIFO and (third) its staging file, both for reading and writing, and between them the full
            // book, in which `entry` names the log where the stage is new; else the stage does. Replaces what slot had.
            // value: pid of the daemon; 0: it does not run, so that a start may follow
  started,  // value: pid
  exited,   // value: as waitid's si_status, code: CLD_EXITED or CLD_KILLED or CLD_DUMPED; drains the FIFO first
  close,    // drain and forget the slot
};

struct LogOrder {
  LogKind kind;
  std::uint32_t slot;
  std::uint32_t entry;    // index in the book, with open
  std::int32_t value;
  std::int32_t code;
  std::uint32_t reserved;
  std::int64_t time_ns;   // CLOCK_REALTIME of the event
};

}  // namespace dm
