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
// dm-listen bind INDEX INSTANCE COUNT OWNER-NAME OWNER-HOME TARGET-NAME: as the owner with the target's gid. 3 = report pipe, 4 = the full book,
// 5 … = COUNT unbound stream sockets (one that is bound already, to a port of root's, only has to listen): binds them to the
// listen= lines of entry INDEX, in their order. Exit 0, or 1 after it wrote a report.
// dm-listen remove: 5 … = bound sockets; removes the files of those that are Unix sockets. Exit 0.
// dm-run WHAT INDEX INSTANCE SLOT SOCKETS OWNER-NAME OWNER-HOME NAME HOME SHELL PID END-CODE END-STATUS: 3 = report pipe, 4 = the full
// book, 5 … = SOCKETS listening sockets; NAME, HOME, SHELL are the target's. WHAT is start, after_exit, stop or reload. PID is that of
// the daemon (stop, reload; else 0); END-CODE and END-STATUS say how the last run ended, as waitid's si_code and si_status.
// Exit 127 after it wrote a report; else it has become the daemon, or the command.
// dm-log HOME OWNER-NAME: 3 = a SOCK_SEQPACKET socket with LogOrder datagrams, descriptors attached where the kind says so. At SIGHUP it opens all
// its logs anew.
// When the socket is closed it goes on with each log until the next monitor's dm-log asks for that log's stage, or until nobody
// is left who could write; then it ends.

inline constexpr int helper_fd = 3;   // the first descriptor of a helper's own
inline constexpr int helper_fd2 = 4;  // and the second
// dm-run moves its own out of the way: a conf can name descriptors up to 31. The first is the report pipe, all the while.
inline constexpr int first_own_fd = 64;
inline constexpr int helper_sockets_fd = 5;  // from here on: a daemon's sockets
// The notify socket of slot N is DM_RUN_DIR/notify/N.

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
  // before= is being run (no failure: the monitor's deadline for dm-run ends here, the worker has its own).
  before_runs,
  executes,    // no failure either: the exec is next, and where nothing follows it was done
  before,      // before= failed; errno: of its exec, else 0; detail: its wait status
  // Of dm-listen; errno_value as said, the low byte of detail is the index of the listen= line.
  listen_book,    // the book has no such entry, or not these lines
  listen_dir,     // the directory of the path cannot be entered
  listen_taken,   // something that is no socket of the owner's is in its place
  listen_live,    // another process listens there: detail >> 8 is its pid, 0 where it cannot be told
  listen_bind,    // bind or listen failed
};
inline constexpr std::uint16_t run_stages = 19;

constexpr bool is_failure(RunStage stage) {
  return stage != RunStage::none && stage != RunStage::before_runs && stage != RunStage::executes;
}

// What dm-run writes to the report pipe: that it goes on to the exec, and what it fails at. The write end closes at a successful exec.
struct RunReport {
  RunStage stage;
  std::uint16_t errno_value;
  std::uint32_t detail;
};

enum class LogKind : std::uint32_t {
  open,     // descriptors: the FIFO and (third) its staging file, both for reading and writing, and between them the full
            // book, in which `entry` names the log where the stage is new; else the stage does. Replaces what slot had; where
            // it is what the slot has already, its log is opened anew, and the book is read again for how it is kept.
            // value: pid of the daemon; 0: it does not run, so that a start may follow
  started,  // value: pid
  exited,   // value: as waitid's si_status, code: CLD_EXITED or CLD_KILLED or CLD_DUMPED; drains the FIFO first
  close,    // drain and forget the slot
  lend,     // descriptors: a bound SOCK_SEQPACKET socket, and the full book, in which `entry` names the log. Who connects to it as
            // uid `value` may read that log (lib/lend.hh)
};

struct LogOrder {
  LogKind kind;
  std::uint32_t slot;
  std::uint32_t entry;    // index in the book, with open
  std::int32_t value;
  std::int32_t code;
  std::uint32_t instance;  // of the daemon, with open and lend; 0: its conf has no instances=, and always in the others
  std::int64_t time_ns;   // CLOCK_REALTIME of the event
};

}  // namespace dm
