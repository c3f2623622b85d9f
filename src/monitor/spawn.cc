// The child between fork and exec: root until `become`, then exactly one user.
#include "monitor/spawn.hh"

#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace dm::monitor {
namespace {

constexpr int high_fd = 64;  // sources are moved above this first, so that none is overwritten before its turn

[[noreturn]] void give_up(const Spawn &what, RunStage stage) {
  const RunReport report{stage, static_cast<std::uint16_t>(errno), 0};
  if (what.slot != nullptr) (void)!::write(what.own[0], &report, sizeof report);
  ::_exit(126);
}

// Safe because nothing is believed: after it the ids are read back, and a way to root that still works ends the child.
bool become(const Spawn &what) {
  if (::setgroups(what.group_count, what.groups) != 0) return false;
  if (::setresgid(what.gid, what.gid, what.gid) != 0 || ::setresuid(what.uid, what.uid, what.uid) != 0) return false;
  uid_t real, effective, saved;
  gid_t real_gid, effective_gid, saved_gid;
  if (::getresuid(&real, &effective, &saved) != 0 || ::getresgid(&real_gid, &effective_gid, &saved_gid) != 0)
    return false;
  const bool exact = real == what.uid && effective == what.uid && saved == what.uid && real_gid == what.gid &&
                     effective_gid == what.gid && saved_gid == what.gid;
  if (what.uid != 0 && (::setresuid(0, 0, 0) == 0 || ::seteuid(0) == 0 || ::setgroups(0, nullptr) == 0)) ::_exit(126);
  // Not inherited over the change of identity, and a core or ptrace in this moment would show the monitor's memory.
  return exact && ::prctl(PR_SET_DUMPABLE, 0) == 0;
}

bool lower(int resource, rlim_t value) {
  const rlimit limit{value, value};
  return ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0;
}

bool limit(const Spawn &what) {
  if (what.file_limit != 0 && !lower(RLIMIT_FSIZE, what.file_limit)) return false;
  if (!what.sandboxed) return ::setrlimit(RLIMIT_NOFILE, what.files) == 0;
  // It keeps the raised RLIMIT_NOFILE, for its clients; RLIMIT_NPROC it lowers itself: here it would fail the exec.
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && lower(RLIMIT_CORE, 0) && lower(RLIMIT_MEMLOCK, 0);
}

// Puts the descriptors where the helper expects them. All others are CLOEXEC from birth.
void place(const Spawn &what, int &program, int output) {
  int own[3];
  program = ::fcntl(what.program, F_DUPFD_CLOEXEC, high_fd);
  for (int i = 0; i < 3; i++) own[i] = what.own[i] < 0 ? -1 : ::fcntl(what.own[i], F_DUPFD_CLOEXEC, high_fd);
  const bool daemon = what.fifo != nullptr;
  const int null = ::fcntl(what.null, F_DUPFD_CLOEXEC, high_fd);
  output = output < 0 ? -1 : ::fcntl(output, F_DUPFD_CLOEXEC, high_fd);
  ::dup2(null, 0);
  ::dup2(daemon ? output : null, 1);
  ::dup2(output < 0 ? null : output, 2);
  for (int i = 0; i < 3; i++) {
    if (own[i] >= 0) ::dup2(own[i], 3 + i);
    else ::close(3 + i);
  }
}

[[noreturn]] void child(const Spawn &what) {
  if (what.slot != nullptr) {
    what.slot->pid = ::getpid();
    what.slot->identity = identity_of(what.slot->pid);
  }
  ::setsid();
  ::signal(SIGPIPE, SIG_DFL);  // the only one that the monitor ignores
  int output = what.output;
  // Safe because the name is a number of the monitor's, in a directory only root can enter.
  if (what.fifo != nullptr) {
    output = ::openat(what.run_dir, what.fifo, O_RDWR | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    if (output < 0) give_up(what, RunStage::output);
  }
  // Safe because the directory is root's own and empty, and the program needs no file from now on.
  if (what.root != nullptr && (::chroot(what.root) != 0 || ::chdir("/") != 0)) give_up(what, RunStage::identity);
  if (!limit(what)) give_up(what, RunStage::identity);
  if (!become(what)) give_up(what, RunStage::identity);
  // After the change of identity, which clears it; and once more by hand, should the parent have gone just before.
  if (what.parent != 0 && (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != what.parent)) ::_exit(126);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  int program = -1;
  place(what, program, output);
  const char *const environment[] = {nullptr};
  ::syscall(SYS_execveat, program, "", what.argv, environment, AT_EMPTY_PATH);
  // own[0] now stands at 3.
  Spawn moved = what;
  moved.own[0] = 3;
  give_up(moved, RunStage::exec_helper);
}

}  // namespace

pid_t spawn(const Spawn &what) {
  // Not CLONE_VFORK: after setresuid the user could stop the child, and the monitor with it.
  clone_args arguments = {};
  arguments.exit_signal = SIGCHLD;
  if (what.cgroup >= 0) {
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<__u64>(what.cgroup);
  }
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) child(what);
  return static_cast<pid_t>(pid);
}

}  // namespace dm::monitor
