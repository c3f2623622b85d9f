// The child between fork and exec: root until `become`, then exactly one user. What it needs is handed to it by number.
#include "monitor/spawn.hh"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
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

// Puts the descriptors where the helper expects them. All others, whatever is there now, are CLOEXEC from birth.
void place(const Spawn &what, int &program) {
  const auto above = [](int fd) { return fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, high_fd); };
  const int output = above(what.output);
  int own[own_count];
  for (int i = 0; i < own_count; i++) own[i] = above(what.own[i]);
  program = above(what.program);
  for (int fd : {1, 2}) ::dup2(output < 0 ? 0 : output, fd);
  for (int i = 0; i < own_count; i++) own[i] < 0 ? 0 : ::dup2(own[i], helper_fd + i);
}

[[noreturn]] void child(const Spawn &what, char stage) {
  // Safe because nothing was opened or closed in the table that it shared. Where some filter forbids the one call, the other
  // copies all.
  const bool own = stage == stage_count || ::close_range(low_end, ~0U, CLOSE_RANGE_UNSHARE) == 0 || ::unshare(CLONE_FILES) == 0;
  if (!own || (stage < stage_count && ::write(stage_confirm, &stage, 1) != 1)) give_up(what, RunStage::fork);
  if (what.slot != nullptr && !sign(*what.slot, what.runs, what.monitor)) ::_exit(126);
  ::setsid();
  ::signal(SIGPIPE, SIG_DFL);  // the only one that the monitor ignores
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
  place(what, program);
  const char *const environment[] = {nullptr};
  ::syscall(SYS_execveat, program, "", what.argv, environment, AT_EMPTY_PATH);
  // own[0] now stands there.
  Spawn moved = what;
  moved.own[0] = helper_fd;
  give_up(moved, RunStage::exec_helper);
}

// Safe because whoever used it has said, or can say no more, that he has what stood there.
void clear(Stages &stages, int stage) {
  for (int i = 0; i < stage_size; i++) ::dup3(0, stage_first + stage * stage_size + i, O_CLOEXEC);
  stages.users[stage] = 0;
}

// False where not everything could be put there.
bool set(Spawn &what, int stage) {
  int at = stage_first + stage * stage_size;
  const auto put = [&at](int &fd) { return at++, fd < 0 || (fd = ::dup3(fd, at - 1, O_CLOEXEC)) >= 0; };
  bool good = put(what.program) && put(what.output);
  for (int &fd : what.own) good = good && put(fd);
  return good;
}

}  // namespace

void free_stages(Stages &stages, pid_t ended) {
  // First what was said, so that nothing of it is read when the stage has its next user.
  char said[stage_count];
  const ssize_t count = ::read(stages.confirmed.get(), said, sizeof said);
  for (ssize_t i = 0; i < count; i++) clear(stages, said[i]);
  for (int i = 0; i < stage_count; i++)
    if (ended != 0 && stages.users[i] == ended) clear(stages, i);
}

pid_t spawn(Stages &stages, const Spawn &what) {
  const int stage = stages.first_free();
  const bool shared = stage < stage_count;
  Spawn it = what;
  // Not CLONE_VFORK: after setresuid the user could stop the child, and the monitor with it.
  clone_args arguments = {};
  arguments.exit_signal = SIGCHLD;
  arguments.flags = (what.cgroup >= 0 ? CLONE_INTO_CGROUP : 0U) | (shared ? CLONE_FILES : 0U);
  arguments.cgroup = what.cgroup >= 0 ? static_cast<__u64>(what.cgroup) : 0;
  const long pid = shared && !set(it, stage) ? -1 : ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) child(it, static_cast<char>(stage));
  const int why = errno;
  if (shared && pid < 0) clear(stages, stage);
  if (shared && pid > 0) stages.users[stage] = static_cast<pid_t>(pid);
  errno = why;
  return static_cast<pid_t>(pid);
}

}  // namespace dm::monitor
