// Takes over what a monitor that was killed left running, before the capabilities go, and sees to how that ends. Root.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

constexpr int most_looked_at = 255;  // a daemon got its sockets as 0, or from 3 on; it may have moved them
constexpr int sweep_rounds = 200;  // of 10 ms: what SIGKILL has hit is gone by then, or in state D

constexpr int exec_rounds = 100;   // likewise, for all children together that are not dm-run yet: their users may have stopped them
constexpr std::int64_t reap_ms = 5'000;  // for the parent of one that was adopted to reap it

// How a process that is not our child ended, from its pidfd (linux/pidfd.h of kernel 6.15; older ones answer ENOTTY).
struct PidfdInfo {
  std::uint64_t mask, cgroup;
  std::uint32_t ids[11];
  std::int32_t exit_code;
};
constexpr unsigned long pidfd_get_info = _IOWR(0xff, 11, PidfdInfo);
constexpr std::uint64_t pidfd_info_exit = 1U << 3;

struct Sweep {
  Monitor &monitor;
  unsigned left = 0;  // trees that still have a process
};

void rest() {
  const timespec pause{0, 10'000'000};
  ::nanosleep(&pause, nullptr);
}

// True where the slot's main process is still the one that was recorded; its pidfd is then held and watched.
bool adopt(Monitor &monitor, std::uint32_t index) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  if (slot.pid <= 0 || slot.identity == 0) return false;
  // The pidfd first: what is compared afterwards is the process it holds, or one that came later and differs.
  running.pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, slot.pid, 0)));
  if (running.pidfd && identity_of(slot.pid) == slot.identity) {
    // Short of memory for a moment: wait for it, for without the watch its end would not be seen.
    while (!watch(monitor, running.pidfd.get(), EPOLLIN, Source::pidfd, index)) rest();
    expect_child(monitor, {slot.pid, ChildKind::daemon, index});  // after an upgrade it still is our child
    return true;
  }
  // A pid is given to another only when no process group has its number any more, so that the old group is empty.
  if (running.pidfd) slot.pid = 0;
  running.pidfd.reset();
  return false;
}

// Safe because nobody's file system is asked: what runs there may by now be of one that never answers.
bool executes(std::int32_t pid, int program) {
  struct statx its, other;
  return ::statx(AT_FDCWD, Label("/proc/%lld/exe", pid).text, AT_STATX_DONT_SYNC, STATX_INO, &its) == 0 &&
         ::statx(program, "", AT_EMPTY_PATH, STATX_INO, &other) == 0 && its.stx_ino == other.stx_ino &&
         its.stx_dev_major == other.stx_dev_major && its.stx_dev_minor == other.stx_dev_minor;
}

// Whether that number is a socket or a pipe at all, by its name in /proc: to open or close a file of a hostile file system would wait for it.
bool is_open_as(const char *what, std::int32_t pid, int number) {
  char path[40], link[32] = {};
  std::snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
  return ::readlink(path, link, sizeof link - 1) > 0 && std::strncmp(link, what, std::strlen(what)) == 0;
}

// True where what was taken over is dm-run still, perhaps at before=: what it reports from now on is read. It goes on where nobody
// reads; what it said meanwhile is lost, but for its exec, which is seen by the end of the pipe. Safe because it is a pipe of the
// kernel's, whose reader believes no more of it than of the daemon that it becomes.
bool report_again(Monitor &monitor, std::uint32_t index, int &rounds) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  const Fd self(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
  // Just forked, it is on its way there.
  for (; rounds > 0 && (executes(slot.pid, self.get()) || executes(slot.pid, monitor.programs.run.get())); rounds--, rest()) {
    if (!is_open_as("pipe:[", slot.pid, first_own_fd)) continue;
    Fd end(static_cast<int>(::syscall(SYS_pidfd_getfd, running.pidfd.get(), first_own_fd, 0)));
    if (end && !is_open_as("pipe:[", ::getpid(), end.get())) (void)end.release();  // changed in between: kept open rather than closed
    if (!end || !executes(slot.pid, monitor.programs.run.get())) continue;
    running.report = Fd(::open(Label("/proc/self/fd/%lld", end.get()).text, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    slot.report = {RunStage::executes, 0, 0};
    return running.report && watch(monitor, running.report.get(), EPOLLIN, Source::report, index);
  }
  return false;
}

std::uint64_t listening(const Fd &fd) {
  int listens = 0;
  socklen_t size = sizeof listens;
  struct stat info;
  return fd && ::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0 && ::fstat(fd.get(), &info) == 0 ? info.st_ino : 0;
}

// The sockets that the dead monitor held for a daemon: taken out of the daemon, which has them open too, and told by the numbers that
// the kernel gave them. Safe because nothing but those very sockets is kept, and all of them or none. After an upgrade they are here.
void take_back(Monitor &monitor, std::uint32_t index) {
  const Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < slot.sockets && i < max_sockets; i++) found += slot.socket_inodes[i] != 0 && listening(running.sockets[i]) == slot.socket_inodes[i];
  for (int number = 0; running.pidfd && number <= most_looked_at && found < slot.sockets; number++) {
    if (!is_open_as("socket:[", slot.pid, number)) continue;
    Fd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, running.pidfd.get(), number, 0)));
    const std::uint64_t inode = listening(fd);
    for (std::uint32_t i = 0; i < slot.sockets && inode != 0; i++)
      if (slot.socket_inodes[i] == inode && !running.sockets[i]) running.sockets[i] = std::move(fd), found++;
    // Changed for something else in between: kept open rather than closed, which may wait. What listens is closed at once.
    if (fd && inode == 0) (void)fd.release();
  }
  found == slot.sockets ? watch_sockets(monitor, index) : drop_sockets(monitor, index);
}

// The socket by which its daemon tells of itself: a file of the same name and group, so that it goes on reaching us.
void notify_again(Monitor &monitor, std::uint32_t index) {
  Running &running = monitor.running[index];
  struct stat info;
  if (::fstatat(monitor.run_dir.get(), Label("notify/%lld", index).text, &info, AT_SYMLINK_NOFOLLOW) != 0) return running.notify.reset();
  running.notify_gid = info.st_gid;
  if (!running.notify) make_notify(monitor, index, info.st_gid);
}

// Ends what runs in a cgroup of ours without a sound record: else its daemon would soon run twice.
void sweep_tree(void *context, std::uint32_t slot) {
  Sweep &sweep = *static_cast<Sweep *>(context);
  const Monitor &monitor = sweep.monitor;
  if (slot < max_slots && monitor.table.slots[slot].state >= SlotState::starting) return;
  if (tree_left(monitor.trees, watch_tree(monitor.trees, slot), 0)) {
    signal_tree(monitor.trees, slot, 0, SIGKILL);
    sweep.left++;
  } else {
    remove_tree(monitor.trees, slot);
  }
}

void sweep_trees(Monitor &monitor) {
  Sweep sweep{monitor};
  for (int i = 0; i < sweep_rounds; i++) {
    sweep.left = 0;
    each_tree(monitor.trees, sweep_tree, &sweep);
    if (i == 0 && sweep.left != 0) say(monitor, "%u daemons without a sound record are ended, and started anew", sweep.left);
    if (sweep.left == 0) return;
    rest();
  }
  say(monitor, "%u of them do not end even by SIGKILL", sweep.left);
}

}  // namespace

void check_adopted(Monitor &monitor, std::uint32_t index, std::int64_t now) {
  const Running &running = monitor.running[index];
  if (!running.pidfd || running.deadline == 0) return;
  monitor.busy = true;
  if (now >= running.deadline) adopted_ended(monitor, index);
}

void adopted_ended(Monitor &monitor, std::uint32_t index) {
  Running &running = monitor.running[index];
  if (!running.pidfd) return;
  int code = 0, status = 0;
  PidfdInfo info = {};
  info.mask = pidfd_info_exit;
  if (::ioctl(running.pidfd.get(), pidfd_get_info, &info) == 0) {
    // The status is there once its parent has reaped it; whose parent never does ends as unknown some seconds later.
    const bool known = (info.mask & pidfd_info_exit) != 0;
    if (!known && running.deadline == 0) {
      running.deadline = now_ms() + reap_ms;
      monitor.busy = true;
      watch(monitor, running.pidfd.get(), 0, Source::pidfd, index);  // EPOLLHUP comes all the same
      return;
    }
    if (known) {
      code = WIFEXITED(info.exit_code) ? CLD_EXITED : CLD_KILLED;
      status = WIFEXITED(info.exit_code) ? WEXITSTATUS(info.exit_code) : WTERMSIG(info.exit_code);
    }
  }
  main_ended(monitor, index, code, status);
}

void recover(Monitor &monitor, const Found &found) {
  unsigned adopted = 0, ended = 0;
  int rounds = exec_rounds;
  if (found.foreign) say(monitor, DM_RUN_DIR "/state is not a table of this version and boot; it was made anew");
  if (found.mended) say(monitor, DM_RUN_DIR "/state: its head was damaged, and is mended");
  if (found.lost != 0) say(monitor, DM_RUN_DIR "/state was cut short: %u places are lost", found.lost);
  if (found.damaged != 0) say(monitor, DM_RUN_DIR "/state: %u damaged places were refused", found.damaged);
  for (std::uint32_t i = 0; i < monitor.table.high; i++)
    if (monitor.table.slots[i].state >= SlotState::starting) monitor.alive++;
  monitor.recovered = monitor.table.high != 0;
  take_sockets(monitor);
  for (std::uint32_t i = 0; i < monitor.table.high; i++) {
    Slot &slot = monitor.table.slots[i];
    slot.cookie = 0;
    slot.refusal = Refusal::none;
    // What the dead monitor was asked for and had not told is over: who waits for it shall look again.
    slot.binds++, slot.commands++;
    slot.command_code = 0, slot.command_status = monitor.handed ? command_handed : 0;
    // Of one that has ended, too: something may have been left to write.
    if (slot.state != SlotState::free && (slot.flags & slot_logged) != 0) make_fifo(monitor, i);
    const bool runs = (slot.state == SlotState::starting || slot.state == SlotState::running) && adopt(monitor, i);
    if (runs && (slot.state != SlotState::starting || !report_again(monitor, i, rounds))) slot.state = SlotState::running;
    if (slot.state != SlotState::free) take_back(monitor, i);
    if (slot.state != SlotState::free && ((slot.flags & slot_notified) != 0 || monitor.running[i].notify)) notify_again(monitor, i);
    if (slot.state < SlotState::starting) continue;
    if (slot.state == SlotState::draining) {
      // Its main process is long reaped: whoever has that pid now is another, so the old process group is empty.
      if (const Fd other(static_cast<int>(::syscall(SYS_pidfd_open, slot.pid, 0))); other) slot.pid = 0;
      watch_draining(monitor, i);
      continue;
    }
    if (runs) {
      adopted++;
      continue;
    }
    ended++;
    // A child that the dead monitor had just made may not have come to write its name: whatever is there goes, and was no run.
    if (slot.state == SlotState::starting && slot.identity == 0 && slot.pid != 0) slot.runs--;
    if (slot.state == SlotState::starting) signal_slot(monitor, i, Scope::tree, SIGKILL);
    main_ended(monitor, i, slot.end_code, slot.end_status);  // of a run that nobody saw the end of both are 0
  }
  sweep_trees(monitor);
  if (adopted + ended != 0)
    say(monitor, "took over %u running daemons; %u had ended while nobody looked", adopted, ended);
}

}  // namespace dm::monitor
