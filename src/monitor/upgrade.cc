// Puts a newly installed program in the place of the running one: same process, same children, same sockets. Root.
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iterator>
#include <utility>

#include "monitor/monitor.hh"
#include "settings.hh"

namespace dm::monitor {
namespace {

// Beside the uids, with listener_root and listener_shared. The FIFOs are opened anew by their paths; until then these keep
// what is in them.
constexpr std::uint32_t handed_lock = 0xfffffffc, handed_fifo = 0xfffffffb, handed_socket = 0xfffffffa, handed_notify = 0xfffffff9;
constexpr std::int64_t selftest_ms = 30'000;
constexpr std::int64_t hung_ms = 40'000;           // more: one that does not even keep its own deadline
constexpr int wait_s = 60;                         // for the running manager to have done or refused an upgrade

// The memfd that is handed over: the limits the first program was started with, then these.
struct Handed {
  std::uint32_t whose;  // a uid, or one of the constants
  std::int32_t fd;
  std::uint32_t slot = 0;
};

bool hand(const Fd &to, std::uint32_t whose, const Fd &fd, std::uint32_t slot = 0) {
  const Handed item{whose, fd.get(), slot};
  return !fd || (::fcntl(fd.get(), F_SETFD, 0) == 0 && ::write(to.get(), &item, sizeof item) == sizeof item);
}

void refuse(Monitor &monitor, const char *why) {
  monitor.table.header->refused_upgrades++;
  say(monitor, "no upgrade: %s. The running program stays", why);
}

// What is held for one slot.
bool hand_slot(const Monitor &monitor, const Fd &to, std::uint32_t slot) {
  const Running &running = monitor.running[slot];
  bool good = hand(to, handed_fifo, running.fifo, slot) && hand(to, handed_notify, running.notify, slot);
  for (std::uint32_t i = 0; i < monitor.table.slots[slot].sockets; i++) good = good && hand(to, handed_socket, running.sockets[i], slot);
  return good;
}

// After an exec that failed all that was handed over is closed on the next one again.
void keep_all(const Fd &handed) {
  Handed item;
  if (::lseek(handed.get(), sizeof(rlimit), SEEK_SET) < 0) return;
  while (::read(handed.get(), &item, sizeof item) == sizeof item) ::fcntl(item.fd, F_SETFD, FD_CLOEXEC);
}

}  // namespace

void become_new(Monitor &monitor) {
  const Fd handed(::memfd_create("handed", 0));  // kept over the exec
  bool good = handed && ::write(handed.get(), &monitor.files, sizeof monitor.files) == sizeof monitor.files &&
              hand(handed, handed_lock, monitor.lock) && hand(handed, listener_root, monitor.root_socket) &&
              hand(handed, listener_shared, monitor.shared_socket);
  for (std::uint32_t i = 0; good && i < monitor.policy.count(); i++)
    good = hand(handed, monitor.owners[i].uid, monitor.owners[i].listener);
  for (std::uint32_t i = 0; good && i < monitor.table.high; i++) good = hand_slot(monitor, handed, i);
  char number[16];
  std::snprintf(number, sizeof number, "%d", handed.get());
  const char *arguments[10] = {"daemon-manager", "--handoff", number, "--config", monitor.config};
  int count = 5;
  if (monitor.background) arguments[count++] = "--background";
  if (monitor.pidfile != nullptr) arguments[count++] = "--pidfile", arguments[count++] = monitor.pidfile;
  char *words[10] = {};
  for (int i = 0; i < count; i++) words[i] = const_cast<char *>(arguments[i]);  // execv does not write there
  for (std::uint32_t i = 0; good && i < monitor.policy.count(); i++)
    for (const pid_t pid : {monitor.owners[i].scan.pid, monitor.owners[i].listen.pid})
      if (pid > 0) ::kill(pid, SIGKILL);
  for (std::uint32_t i = 0; good && i < monitor.table.high; i++)
    if (monitor.running[i].listen.pid > 0) ::kill(monitor.running[i].listen.pid, SIGKILL);
  if (good) {
    // The worker ends with its socket; its clients are told to ask again. Connections that wait stay in the sockets.
    monitor.table.header->upgrades++;
    ::execv(DM_MANAGER, words);
    monitor.table.header->upgrades--;
  }
  keep_all(handed);
  refuse(monitor, "it could not be handed what it needs, or not be executed");
}

void test_upgrade(Monitor &monitor) {
  if (monitor.selftest_pid != 0 || monitor.stopping) return;
  const Fd program(::open(DM_MANAGER, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  const char *argv[] = {"daemon-manager", "--selftest", "--config", monitor.config, nullptr};
  Spawn what = child_of(monitor, program, argv);
  what.uid = what.gid = 0;
  what.output = monitor.log.fd();
  monitor.selftest_pid = program ? launch(monitor, what, ChildKind::selftest, 0) : -1;
  monitor.busy = true;
  monitor.selftest_until = now_ms() + hung_ms;
  if (monitor.selftest_pid > 0) return say(monitor, "upgrade: the new program tests itself");
  monitor.selftest_pid = 0;
  refuse(monitor, "there is no program " DM_MANAGER " to run");
}

void test_ended(Monitor &monitor, int code, int status) {
  monitor.selftest_pid = 0;
  if (code == CLD_EXITED && status == 0) become_new(monitor);
  else refuse(monitor, "the new program failed its test; its reason is above");
}

void check_test(Monitor &monitor, std::int64_t now) {
  if (monitor.selftest_pid == 0 || now < monitor.selftest_until) return;
  // It is our child, and not reaped: its pid is nobody else's. When it is, it is a stranger's.
  ::kill(monitor.selftest_pid, SIGKILL);
  forget_child(monitor, std::exchange(monitor.selftest_pid, 0));
  refuse(monitor, "the new program did not end in 40 s");
}

void check_selftest(Monitor &monitor, std::int64_t now) {
  if (monitor.selftest_until == 0) monitor.selftest_until = now + selftest_ms;
  if (monitor.worker.state == WorkerState::serving) monitor.done = true;
  else if (monitor.worker.failures != 0 || now > monitor.selftest_until) monitor.done = true, monitor.exit_code = 1;
}

bool take_handed(Monitor &monitor) {
  Handed item;
  if (::lseek(monitor.handed.get(), 0, SEEK_SET) != 0 ||
      ::read(monitor.handed.get(), &monitor.files, sizeof monitor.files) != sizeof monitor.files)
    return false;
  while (::read(monitor.handed.get(), &item, sizeof item) == sizeof item) {
    if (item.fd < 3 || ::fcntl(item.fd, F_SETFD, FD_CLOEXEC) != 0) return false;
    if (item.whose == handed_lock) monitor.lock = Fd(item.fd);
    if (item.whose == listener_root) monitor.root_socket = Fd(item.fd);
    if (item.whose == listener_shared) monitor.shared_socket = Fd(item.fd);
  }
  return ::fcntl(monitor.handed.get(), F_SETFD, FD_CLOEXEC) == 0;
}

void take_sockets(Monitor &monitor) {
  Handed item;
  if (!monitor.handed || ::lseek(monitor.handed.get(), sizeof monitor.files, SEEK_SET) < 0) return;
  while (::read(monitor.handed.get(), &item, sizeof item) == sizeof item) {
    if (item.slot >= monitor.table.high) continue;
    Running &running = monitor.running[item.slot];
    if (item.whose == handed_notify) running.notify = Fd(item.fd);
    if (item.whose != handed_socket) continue;
    Fd *free = std::find_if(std::begin(running.sockets), std::end(running.sockets), [](const Fd &fd) { return !fd; });
    if (free != std::end(running.sockets)) *free = Fd(item.fd);
  }
}

void match_handed(Monitor &monitor) {
  if (!monitor.handed) return;
  const Fd handed = std::move(monitor.handed);
  Handed item;
  if (::lseek(handed.get(), sizeof monitor.files, SEEK_SET) < 0) return;
  while (::read(handed.get(), &item, sizeof item) == sizeof item) {
    if (item.whose >= handed_lock || item.whose == handed_socket || item.whose == handed_notify) continue;
    Fd socket(item.fd);  // or a FIFO, which recover() has opened for itself
    if (item.whose == handed_fifo) continue;
    const std::uint32_t owner = owner_of(monitor, item.whose);
    if (owner != no_user) monitor.owners[owner].listener = std::move(socket);
  }
}

int request_upgrade() {
  const Fd dir(::open(DM_RUN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Fd file(dir ? ::openat(dir.get(), "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1);
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  const TableHeader *header = dir ? look_at_table(dir.get()) : nullptr;
  if (!file || ::fcntl(file.get(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK || header == nullptr)
    return std::fputs("daemon-manager: no manager is running that could be upgraded (or you are not root)\n", stderr), 1;
  const volatile TableHeader *now = header;
  const std::uint32_t done = now->upgrades, refused = now->refused_upgrades;
  if (::kill(lock.l_pid, SIGUSR2) != 0) return std::perror("daemon-manager: cannot signal the running manager"), 1;
  for (int i = 0; i < wait_s * 100; i++) {
    const timespec pause{0, 10'000'000};
    ::nanosleep(&pause, nullptr);
    if (now->refused_upgrades != refused)
      return std::fputs("daemon-manager: the new program was refused; the manager's log says why. The old one runs on\n", stderr), 1;
    if (now->upgrades != done) return std::puts("upgraded") < 0;
  }
  return std::fprintf(stderr, "daemon-manager: the manager (pid %d) has not answered in %d s\n", lock.l_pid, wait_s), 1;
}

}  // namespace dm::monitor
