// System calls under the names that the C library gives them, for a program without one (bare_start.cc tells why). Runs as the
// target. Each is declared in the header that its callers include, so a wrong signature does not compile.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <ctime>

#include "bare.hh"

namespace {

int last_error;

template <typename Result = int, typename... Arguments>
Result call(long number, Arguments... arguments) {
  const long result = dm::bare_call(number, arguments...);
  if (result >= 0 || result < -4095) return static_cast<Result>(result);
  last_error = static_cast<int>(-result);
  return static_cast<Result>(-1);
}

// The kernel's form of struct sigaction; and all sets are of this size.
struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  unsigned long mask;
};
constexpr long set_size = sizeof(unsigned long);

}  // namespace

extern "C" {

int *__errno_location() noexcept { return &last_error; }

int open(const char *path, int flags, ...) {
  std::va_list rest;
  va_start(rest, flags);
  const int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, int) : 0;
  va_end(rest);
  return call(SYS_openat, AT_FDCWD, path, flags, mode);
}
int fcntl(int fd, int command, ...) {
  std::va_list rest;
  va_start(rest, command);
  const long argument = va_arg(rest, long);
  va_end(rest);
  return call(SYS_fcntl, fd, command, argument);
}
int prctl(int what, ...) {
  std::va_list rest;
  va_start(rest, what);
  const unsigned long a = va_arg(rest, unsigned long), b = va_arg(rest, unsigned long), c = va_arg(rest, unsigned long), d = va_arg(rest, unsigned long);
  va_end(rest);
  return call(SYS_prctl, what, a, b, c, d);
}
int close(int fd) { return call(SYS_close, fd); }
int close_range(unsigned first, unsigned last, int flags) noexcept { return call(SYS_close_range, first, last, flags); }
int dup2(int from, int to) noexcept { return call(SYS_dup2, from, to); }
int pipe2(int *ends, int flags) noexcept { return call(SYS_pipe2, ends, flags); }
ssize_t read(int fd, void *to, std::size_t size) { return call<ssize_t>(SYS_read, fd, to, size); }
ssize_t pread(int fd, void *to, std::size_t size, off_t at) { return call<ssize_t>(SYS_pread64, fd, to, size, at); }
ssize_t write(int fd, const void *from, std::size_t size) { return call<ssize_t>(SYS_write, fd, from, size); }
int poll(pollfd *all, nfds_t count, int timeout) { return call(SYS_poll, all, count, timeout); }

int stat(const char *path, struct stat *out) noexcept { return call(SYS_stat, path, out); }
int access(const char *path, int mode) noexcept { return call(SYS_access, path, mode); }
int chdir(const char *path) noexcept { return call(SYS_chdir, path); }
mode_t umask(mode_t mask) noexcept { return call<mode_t>(SYS_umask, mask); }

int socket(int family, int type, int protocol) noexcept { return call(SYS_socket, family, type, protocol); }
int connect(int fd, const sockaddr *to, socklen_t size) { return call(SYS_connect, fd, to, size); }
int getsockname(int fd, sockaddr *out, socklen_t *size) noexcept { return call(SYS_getsockname, fd, out, size); }
int shutdown(int fd, int how) noexcept { return call(SYS_shutdown, fd, how); }
ssize_t recv(int fd, void *to, std::size_t size, int flags) { return call<ssize_t>(SYS_recvfrom, fd, to, size, flags, nullptr, nullptr); }
ssize_t send(int fd, const void *from, std::size_t size, int flags) { return call<ssize_t>(SYS_sendto, fd, from, size, flags, nullptr, 0); }

pid_t getpid() noexcept { return call<pid_t>(SYS_getpid); }
uid_t geteuid() noexcept { return call<uid_t>(SYS_geteuid); }
pid_t fork() noexcept { return call<pid_t>(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0); }
pid_t waitpid(pid_t pid, int *status, int options) { return call<pid_t>(SYS_wait4, pid, status, options, nullptr); }
int execve(const char *path, char *const *words, char *const *environment) noexcept { return call(SYS_execve, path, words, environment); }
void _exit(int code) { dm::bare_exit(code); }

// The default or to be ignored: for a handler there would have to be a way back from it.
int sigaction(int signal, const struct sigaction *action, struct sigaction *) noexcept {
  const KernelAction it{action->sa_handler, 0, nullptr, 0};
  if (it.handler != SIG_DFL && it.handler != SIG_IGN) return last_error = ENOSYS, -1;
  return call(SYS_rt_sigaction, signal, &it, nullptr, set_size);
}
int sigemptyset(sigset_t *set) noexcept {
  *set = {};
  return 0;
}
int sigprocmask(int how, const sigset_t *set, sigset_t *old) noexcept { return call(SYS_rt_sigprocmask, how, set, old, set_size); }
// Those below are the C library's own, in the daemon too.
int __libc_current_sigrtmin() noexcept { return 34; }
int __libc_current_sigrtmax() noexcept { return 64; }

int clock_gettime(clockid_t clock, timespec *out) noexcept { return call(SYS_clock_gettime, clock, out); }

}  // extern "C"
