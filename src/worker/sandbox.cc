// The worker's cage: resource limits and the system call filter. Chroot, uid and no_new_privs are the monitor's work.
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <linux/futex.h>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

bool lower(__rlimit_resource_t resource, rlim_t value) {
  const rlimit limit{value, value};
  return ::setrlimit(resource, &limit) == 0;
}

#ifndef DM_SANITIZED

// Without these nothing works; none of them opens, executes, forks or names anything.
constexpr int plain[] = {
    SCMP_SYS(read),          SCMP_SYS(write),           SCMP_SYS(pread64),      SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),       SCMP_SYS(recvfrom),        SCMP_SYS(close),        SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_ctl),     SCMP_SYS(timerfd_settime), SCMP_SYS(brk),          SCMP_SYS(munmap),
    SCMP_SYS(clock_gettime), SCMP_SYS(exit_group),      SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(getpid),        SCMP_SYS(gettid),          SCMP_SYS(restart_syscall),
};

int allow_plain(scmp_filter_ctx filter) {
  int failed = 0;
  for (const int call : plain) failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
  return failed;
}

int allow_by_argument(scmp_filter_ctx filter) {
  int failed = 0;
  const auto self = static_cast<scmp_datum_t>(::getpid());
  // To the peer it is connected to, and to no address.
  failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1, SCMP_A4(SCMP_CMP_EQ, 0, 0));
  failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(accept4), 1,
                             SCMP_A3(SCMP_CMP_EQ, SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2, SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET, 0),
                             SCMP_A2(SCMP_CMP_EQ, SO_PEERCRED, 0));
  failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                             SCMP_A3(SCMP_CMP_EQ, MAP_PRIVATE | MAP_ANONYMOUS, 0));
  for (const int operation : {FUTEX_WAIT_PRIVATE, FUTEX_WAKE_PRIVATE})
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(futex), 1,
                               SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(operation), 0));
  // abort(3), to die as what it is.
  failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 2, SCMP_A0(SCMP_CMP_EQ, self, 0),
                             SCMP_A2(SCMP_CMP_EQ, SIGABRT, 0));
  // libc recovers from these failing.
  failed |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
  failed |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(mremap), 0);
  failed |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(madvise), 0);
  return failed;
}

#endif

}  // namespace

bool enter_sandbox() {
  // Nothing to ptrace, no core, no child, no locked memory; a runaway is ended at 1 GiB.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  if (!lower(RLIMIT_NPROC, 0) || !lower(RLIMIT_CORE, 0)) return false;
#ifdef DM_SANITIZED
  // In a build for tests: the sanitizers reserve terabytes, and call what the worker does not.
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  const bool loaded = filter != nullptr && seccomp_load(filter) == 0;
#else
  if (!lower(RLIMIT_AS, rlim_t{1} << 30)) return false;
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  if (filter == nullptr) return false;
  const bool loaded = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
                      allow_plain(filter) == 0 && allow_by_argument(filter) == 0 && seccomp_load(filter) == 0;
#endif
  seccomp_release(filter);
  return loaded;
}

}  // namespace dm::worker
