// Everything the monitor does once, with all of root's powers, before it serves: directories, sockets, programs, limits.
#include <fcntl.h>
#include <pwd.h>
#include <linux/capability.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cap-ng.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "monitor/monitor.hh"
#include "settings.hh"

namespace dm::monitor {
namespace {

bool fail(Monitor &monitor, const char *what, const char *subject) {
  say(monitor, "cannot start: %s %s: %s", what, subject, std::strerror(errno));
  return false;
}

bool root_only(int fd, mode_t type) {
  struct stat status;
  return ::fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == type && status.st_uid == 0 &&
         (status.st_mode & 022) == 0;
}

// No name service here: a system user stands in /etc/passwd, which is root's.
bool find_worker_user(Monitor &monitor) {
  FILE *file = std::fopen("/etc/passwd", "re");
  bool found = false;
  while (file != nullptr && !found) {
    const passwd *entry = ::fgetpwent(file);
    if (entry == nullptr) break;
    if (std::strcmp(entry->pw_name, DM_WORKER_USER) != 0) continue;
    monitor.worker_uid = entry->pw_uid;
    monitor.worker_gid = entry->pw_gid;
    found = true;
  }
  if (file != nullptr) std::fclose(file);
  if (!found)
    say(monitor, "cannot start: /etc/passwd has no user " DM_WORKER_USER ", which the worker runs as. Make it with: "
                 "useradd --system --user-group --no-create-home --home-dir /nonexistent "
                 "--shell /usr/sbin/nologin " DM_WORKER_USER);
  else if (monitor.worker_uid == 0 || monitor.worker_gid == 0)
    say(monitor, "cannot start: user " DM_WORKER_USER " has uid or gid 0; the worker must have no power. "
                 "Give it ids of its own in /etc/passwd");
  return found && monitor.worker_uid != 0 && monitor.worker_gid != 0;
}

// With fs.suid_dumpable=1 any user could have a helper dump core, or ptrace it.
bool dumps_are_safe(Monitor &monitor) {
  char value = '0';
  const Fd file(::open("/proc/sys/fs/suid_dumpable", O_RDONLY | O_CLOEXEC));
  if (file && ::read(file.get(), &value, 1) == 1 && value != '1') return true;
  if (!file) return fail(monitor, "open", "/proc/sys/fs/suid_dumpable");
  say(monitor, "cannot start: fs.suid_dumpable is 1, so users could read the memory of processes that change identity. "
               "Set it to 0 or 2: sysctl fs.suid_dumpable=0");
  return false;
}

bool make_directories(Monitor &monitor) {
  if (::mkdir(DM_RUN_DIR, 0755) != 0 && errno != EEXIST) return fail(monitor, "mkdir", DM_RUN_DIR);
  static_assert(sizeof DM_RUN_DIR "/notify/16384" <= sizeof sockaddr_un{}.sun_path);
  monitor.run_path = DM_RUN_DIR;
  monitor.run_dir = Fd(::open(DM_RUN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!monitor.run_dir) return fail(monitor, "open", DM_RUN_DIR);
  if (!root_only(monitor.run_dir.get(), S_IFDIR)) {
    say(monitor, "cannot start: " DM_RUN_DIR " is not root's, or others may write there; remove it and start again");
    return false;
  }
  const int dir = monitor.run_dir.get();
  ::fchmod(dir, 0755);
  // Logs are closed to all. Notify sockets are opened by name: nobody need see which there are.
  for (const auto &[name, mode] : {std::pair{"log", 0700}, {"notify", 0711}, {"read", 0711}, {"empty", 0555}})
    if ((::mkdirat(dir, name, static_cast<mode_t>(mode)) != 0 && errno != EEXIST) || ::fchmodat(dir, name, static_cast<mode_t>(mode), 0) != 0)
      return fail(monitor, "make " DM_RUN_DIR "'s", name);
  return true;
}

// A record lock, not flock: children do not inherit it. One that still shares the table of descriptors of a monitor that was killed
// keeps its lock until it has a table of its own, a moment later: a lock is therefore waited for, a third of a second, and longer where its holder is dead.
bool take_lock(Monitor &monitor) {
  if (!monitor.lock) monitor.lock = Fd(::openat(monitor.run_dir.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  if (!monitor.lock) return fail(monitor, "open", DM_RUN_DIR "/lock");
  for (int tries = 0; ::fcntl(monitor.lock.get(), F_SETLK, &lock) != 0; tries++) {
    const int why = errno;
    const bool held = ::fcntl(monitor.lock.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (held && tries >= (::kill(lock.l_pid, 0) == 0 ? 30 : 500)) {
      say(monitor, "cannot start: a daemon-manager is running already, with pid %d", static_cast<int>(lock.l_pid));
      return false;
    }
    errno = why;
    if (!held && tries >= 30) return fail(monitor, "lock", DM_RUN_DIR "/lock");
    lock.l_type = F_WRLCK;
    const timespec pause{0, 10'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return true;
}

// What happened to daemons, for the workers, who may only read it. It goes with the table: places that are counted anew must not inherit
// what happened in others of the same number. A test of itself has none.
bool open_history(Monitor &monitor, bool fresh) {
  const auto size = static_cast<off_t>(history_size);
  // Safe because the directory is root's and nobody else can write there.
  monitor.history = Fd(::openat(monitor.run_dir.get(), "history", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  monitor.told_history = Fd(::openat(monitor.run_dir.get(), "history", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!monitor.history || !monitor.told_history || ::fstat(monitor.history.get(), &status) != 0) return false;
  if (!fresh && status.st_size == size) return true;
  return ::ftruncate(monitor.history.get(), 0) == 0 && ::ftruncate(monitor.history.get(), size) == 0;
}

bool open_program(Monitor &monitor, Fd &fd, const char *path) {
  fd = Fd(::open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail(monitor, "open", path);
  if (root_only(fd.get(), S_IFREG)) return true;
  say(monitor, "cannot start: %s is not root's, or others may write to it", path);
  return false;
}

bool open_programs(Monitor &monitor) {
  Programs &all = monitor.programs;
  return open_program(monitor, all.policy, DM_HELPER_DIR "/dm-policy") &&
         open_program(monitor, all.worker, DM_HELPER_DIR "/dm-worker") &&
         open_program(monitor, all.scan, DM_HELPER_DIR "/dm-scan") &&
         open_program(monitor, all.listen, DM_HELPER_DIR "/dm-listen") &&
         open_program(monitor, all.run, DM_HELPER_DIR "/dm-run") &&
         open_program(monitor, all.log, DM_HELPER_DIR "/dm-log");
}

bool write_pidfile(Monitor &monitor) {
  if (monitor.pidfile == nullptr) return true;
  char text[16];
  const int size = std::snprintf(text, sizeof text, "%d\n", static_cast<int>(::getpid()));
  const Fd file(::open(monitor.pidfile, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (file && ::fchmod(file.get(), 0644) == 0 && ::write(file.get(), text, static_cast<std::size_t>(size)) == size) return true;
  return fail(monitor, "write", monitor.pidfile);
}

bool make_command_socket(Monitor &monitor, Fd &fd, const char *name, mode_t mode) {
  if (fd) return true;  // handed over
  fd = make_socket(monitor, name, SOCK_STREAM, mode, 0);
  return (fd && ::listen(fd.get(), 1024) == 0) || fail(monitor, "make", name);
}

bool make_loop(Monitor &monitor) {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) ::sigaddset(&wanted, signal);
  ::sigprocmask(SIG_SETMASK, &wanted, nullptr);
  monitor.signals = Fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  monitor.epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
  return (monitor.signals && monitor.epoll && watch(monitor, monitor.signals.get(), EPOLLIN, Source::signals, 0) &&
          watch(monitor, monitor.stages.confirmed.get(), EPOLLIN, Source::stages, 0)) ||
         fail(monitor, "make", "the event loop");
}

// Anonymous memory: zero, and paid for only where it is touched. Children get none of it: they need nothing that is there, and a
// fork costs the more the more there is to copy.
template <typename T>
bool reserve(T *&out, std::size_t count) {
  void *map = ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  out = map == MAP_FAILED ? nullptr : static_cast<T *>(map);
  return out != nullptr && ::madvise(map, count * sizeof(T), MADV_DONTFORK) == 0;
}

}  // namespace

bool make_stages(Stages &stages) {
  int ends[2];
  for (int fd = stage_confirm; fd < low_end; fd++)
    if (::dup3(0, fd, O_CLOEXEC) < 0) return false;
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  stages.confirmed = Fd(ends[0]);
  const Fd writer(ends[1]);
  return ::dup3(writer.get(), stage_confirm, O_CLOEXEC) >= 0;
}

// Safe because only root can change anything in the directory: what was there of that name is an old socket of ours.
Fd make_socket(const Monitor &monitor, const char *name, int type, mode_t mode, gid_t gid) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", monitor.run_path, name);
  Fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlinkat(monitor.run_dir.get(), name, 0);
  const mode_t before = ::umask(0777 & ~mode);
  const auto group = static_cast<gid_t>(::setfsgid(gid));
  const bool bound = fd && ::bind(fd.get(), static_cast<sockaddr *>(static_cast<void *>(&address)), sizeof address) == 0;
  ::setfsgid(group);
  ::umask(before);
  return bound ? std::move(fd) : Fd();
}

bool set_up(Monitor &monitor, Found &found) {
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(077);
  if (::geteuid() != 0 || ::getuid() != 0) {
    say(monitor, "cannot start: only root can run daemon-manager (it must become other users)");
    return false;
  }
  ::getrlimit(RLIMIT_NOFILE, &monitor.files);
  if (monitor.handed && !take_handed(monitor)) return fail(monitor, "read", "what was handed over");
  const rlimit raised{monitor.files.rlim_max, monitor.files.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &raised);
  ::prctl(PR_SET_DUMPABLE, 0);
  if (!find_worker_user(monitor) || !dumps_are_safe(monitor) || !open_programs(monitor) || !make_directories(monitor) ||
      !make_loop(monitor))
    return false;
  if (!reserve(monitor.running, max_slots) || !reserve(monitor.dirty, dirty_bits / 64) || !reserve(monitor.children, child_places) ||
      !reserve(monitor.owners, max_users) || !reserve(monitor.next_owners, max_users))
    return fail(monitor, "get", "memory");
  // A test of itself touches nothing that is the running manager's.
  if (monitor.selftest) monitor.told_history = Fd(::memfd_create("history", MFD_CLOEXEC));
  if (monitor.selftest) return (monitor.told_history && map_scratch(monitor.run_dir.get(), monitor.table)) || fail(monitor, "go on with", DM_RUN_DIR "/state");
  if (!take_lock(monitor) || !write_pidfile(monitor)) return false;
  if (!map_table(monitor.run_dir.get(), monitor.table, found)) return fail(monitor, "map", DM_RUN_DIR "/state");
  if (!open_history(monitor, found.fresh)) return fail(monitor, "make", DM_RUN_DIR "/history");
  if (!open_trees(monitor.trees, monitor.table.header->instance))
    say(monitor, "no usable cgroup v2: daemons are followed by process group, and one that leaves its own escapes");
  // Orphans of daemons become ours, so that they are seen to end.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  return make_command_socket(monitor, monitor.root_socket, "root.sock", 0600) &&
         make_command_socket(monitor, monitor.shared_socket, "command.sock", 0666);
}

// The bounding set stays whole: to cut it would cripple sudo in every daemon, and no child that is not root gets any
// capability at exec.
bool drop_capabilities(Monitor &monitor, bool low_ports) {
  // Where it never was there is nothing to keep.
  monitor.low_ports = low_ports && ::capng_get_caps_process() == 0 && ::capng_have_capability(CAPNG_PERMITTED, CAP_NET_BIND_SERVICE) != 0;
  ::capng_clear(CAPNG_SELECT_CAPS);
  const auto keep = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED);
  if (::capng_updatev(CAPNG_ADD, keep, CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_SYS_CHROOT, -1) == 0 &&
      (!monitor.low_ports || ::capng_update(CAPNG_ADD, keep, CAP_NET_BIND_SERVICE) == 0) && ::capng_apply(CAPNG_SELECT_CAPS) == 0 &&
      ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0)
    return true;
  say(monitor, "cannot go on: the kernel does not let the monitor drop to SETUID, SETGID, KILL, SYS_CHROOT");
  return false;
}

}  // namespace dm::monitor
