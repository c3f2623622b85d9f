// daemon-manager, the monitor: forks, becomes users, execs helpers, holds sockets and books. Root.
// It reads no text that a user wrote and opens no path that a user controls.
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "monitor/monitor.hh"
#include "settings.hh"

namespace {

struct Options {
  const char *config = DM_CONFIG;
  const char *pidfile = nullptr;
  int handed = -1;
  bool background = false, upgrade = false, selftest = false;
};

constexpr char help[] =
    "daemon-manager: lets the users that root lists run daemons of their own\n"
    "usage: daemon-manager [--config FILE] [--background] [--pidfile FILE] | --upgrade\n"
    "  --config FILE  the master config (default " DM_CONFIG ")\n"
    "  --background   detach, and log to syslog; else it stays and logs to stderr\n"
    "  --pidfile FILE write the manager's pid there\n"
    "  --upgrade      put the installed program in the place of the running one; no daemon notices\n"
    "  --selftest     only prove that this program could go on where the running one stands\n"
    "  --version      print the version\n"
    "  --help         print this\n"
    "See daemon-manager(8); users control their daemons with dmctl(1).\n";

// -1: go on; else the exit code.
int read_options(int argc, char **argv, Options &options) {
  for (int i = 1; i < argc; i++) {
    const char *word = argv[i];
    if (std::strcmp(word, "--config") == 0 && i + 1 < argc) options.config = argv[++i];
    else if (std::strncmp(word, "--config=", 9) == 0) options.config = word + 9;
    else if (std::strcmp(word, "--pidfile") == 0 && i + 1 < argc) options.pidfile = argv[++i];
    else if (std::strcmp(word, "--handoff") == 0 && i + 1 < argc) options.handed = std::atoi(argv[++i]);
    else if (std::strcmp(word, "--background") == 0) options.background = true;
    else if (std::strcmp(word, "--upgrade") == 0) options.upgrade = true;
    else if (std::strcmp(word, "--selftest") == 0) options.selftest = true;
    else if (std::strcmp(word, "--version") == 0) return std::puts("daemon-manager " DM_VERSION) < 0;
    else if (std::strcmp(word, "--help") == 0) return std::fputs(help, stdout) < 0;
    else {
      std::fprintf(stderr, "daemon-manager: %s is no option, or lacks its value\n%s", word, help);
      return 2;
    }
  }
  return -1;
}

// Nothing of whoever started us is handed on: descriptors, ignored signals, working directory.
void forget_caller(bool handed) {
  for (int fd : {0, 1, 2})
    if (::fcntl(fd, F_GETFD) < 0) (void)!::open("/dev/null", O_RDWR);
  const dm::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ::dup2(null.get(), 0);
  if (!handed) ::close_range(3, ~0U, 0);  // what was handed over, and no more, came through the exec
  struct sigaction standard = {};
  for (int signal = 1; signal <= 64; signal++) ::sigaction(signal, &standard, nullptr);
  (void)!::chdir("/");
  // Nor root's session keyring.
  ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
}

// stderr, opened anew: only then non-blocking writes are our own business and nobody else's. But for a plain file, which never blocks:
// whoever else writes there has the same offset, and neither writes over the other.
dm::Log open_log() {
  struct stat status;
  if (::fstat(2, &status) == 0 && (S_ISSOCK(status.st_mode) || S_ISREG(status.st_mode)))
    return dm::Log(::fcntl(2, F_DUPFD_CLOEXEC, 3), S_ISSOCK(status.st_mode) ? dm::LogSink::socket : dm::LogSink::stream);
  const int own = ::open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  return dm::Log(own >= 0 ? own : ::fcntl(2, F_DUPFD_CLOEXEC, 3), dm::LogSink::stream);
}

// The caller waits until the manager serves, or has said why not.
int detach(dm::monitor::Monitor &monitor) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return 1;
  const pid_t pid = ::fork();
  if (pid != 0) {
    ::close(ends[1]);
    char byte;
    return pid > 0 && ::read(ends[0], &byte, 1) == 1 ? 0 : 1;
  }
  ::close(ends[0]);
  ::setsid();
  monitor.ready = dm::Fd(ends[1]);
  return -1;
}

}  // namespace

int main(int argc, char **argv) {
  Options options;
  if (const int code = read_options(argc, argv, options); code >= 0) return code;
  char config[4096];  // the working directory is left behind
  if (options.config[0] != '/') {
    char here[2048];
    if (::getcwd(here, sizeof here) == nullptr) return std::perror("daemon-manager: getcwd"), 1;
    std::snprintf(config, sizeof config, "%s/%s", here, options.config);
    options.config = config;
  }
  if (options.upgrade) return dm::monitor::request_upgrade();
  forget_caller(options.handed >= 3);
  static dm::monitor::Monitor monitor;
  if (!dm::monitor::make_stages(monitor.stages)) return std::perror("daemon-manager: cannot start: descriptors"), 1;
  monitor.config = options.config;
  monitor.log = open_log();
  monitor.pidfile = options.pidfile;
  monitor.background = options.background;
  monitor.selftest = options.selftest;
  if (options.handed >= 3) monitor.handed = dm::Fd(options.handed);
  monitor.worker_log = monitor.log;
  if (options.background) dm::monitor::open_syslog(monitor);
  if (options.background && options.handed >= 3) monitor.log = monitor.worker_log;
  else if (options.background)
    if (const int code = detach(monitor); code >= 0) return code;
  dm::monitor::Found found;
  if (!dm::monitor::set_up(monitor, found)) return 1;
  if (!monitor.selftest) dm::monitor::recover(monitor, found);
  if (!dm::monitor::drop_capabilities(monitor, true)) return 1;
  return dm::monitor::run(monitor);
}
