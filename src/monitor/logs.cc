// Keeps a dm-log for each owner with logged daemons, and tells it which FIFO is whose. Root with few capabilities.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

bool start_log(Monitor &monitor, std::uint32_t index) {
  Owner &owner = monitor.owners[index];
  const PolicyUser &user = monitor.policy.users[index];
  if (owner.log_pid != 0) return static_cast<bool>(owner.log);
  int ends[2];
  // One that dies is replaced at once, as long as its owner has starts left: without it only we hold what a daemon said last.
  if ((user.flags & user_resolved) == 0 || !take_token(monitor, index) || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return false;
  Fd mine(ends[0]);
  const Fd its(ends[1]);
  const char *argv[] = {"dm-log", monitor.policy.text(user.home), monitor.policy.text(user.name), nullptr};
  Spawn what = child_as(monitor, user, monitor.programs.log, argv);
  what.own[0] = its.get();
  const pid_t pid = launch(monitor, what, ChildKind::log, user.uid);
  if (pid < 0) return false;
  owner.log_pid = pid;
  owner.log = std::move(mine);
  owner.log_run = ++monitor.log_runs;
  return true;
}

bool send_order(Monitor &monitor, const Owner &owner, std::uint32_t slot, LogKind kind) {
  const Slot &it = monitor.table.slots[slot];
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  const bool exited = kind == LogKind::exited;
  const LogOrder order{kind, slot, it.entry, exited ? it.end_status : it.pid, exited ? it.end_code : 0,
                       kind == LogKind::open ? it.instance : 0, now.tv_sec * 1'000'000'000 + now.tv_nsec};
  if (kind != LogKind::open) return send_datagram(owner.log, &order, sizeof order, {});
  // Outlives both us and dm-log: what has left the FIFO and is not in the log yet. Opened anew each time, for its lock.
  const Fd stage(::openat(monitor.run_dir.get(), Label("log/%lld.stage", slot).text, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  const int attached[] = {monitor.running[slot].fifo.get(), owner.full_book ? owner.full_book.get() : 0, stage.get()};
  return stage && send_datagram(owner.log, &order, sizeof order, attached);
}

bool log_knows(const Owner &owner, const Running &running) { return owner.log && running.log_run == owner.log_run; }

}  // namespace

bool make_fifo(Monitor &monitor, std::uint32_t slot) {
  const Label name("log/%lld", slot);
  Fd &fifo = monitor.running[slot].fifo;
  // Safe because log/ is root's and closed to all others. The FIFO itself is 0666: a daemon opens /dev/stderr as its target.
  if (!fifo && ::mkfifoat(monitor.run_dir.get(), name.text, 0666) != 0 && errno != EEXIST) return false;
  if (!fifo) fifo = Fd(::openat(monitor.run_dir.get(), name.text, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  return fifo && ::fchmod(fifo.get(), 0666) == 0;
}

void order_log(Monitor &monitor, std::uint32_t slot, LogKind kind) {
  const std::uint32_t index = owner_of(monitor, monitor.table.slots[slot].owner_uid);
  Running &running = monitor.running[slot];
  if (index != no_user) {
    const Owner &owner = monitor.owners[index];
    // A dm-log that has died meanwhile left something to write.
    if (kind == LogKind::open || (kind == LogKind::close && !log_knows(owner, running) && running.fifo))
      running.log_run = start_log(monitor, index) && send_order(monitor, owner, slot, LogKind::open) ? owner.log_run : 0;
    if (kind != LogKind::open && log_knows(owner, running)) send_order(monitor, owner, slot, kind);
  }
  if (kind == LogKind::open) monitor.busy = true;  // check_logs tries again where it failed
  if (kind != LogKind::close) return;
  running.log_run = 0;
  running.fifo.reset();
  ::unlinkat(monitor.run_dir.get(), Label("log/%lld", slot).text, 0);
  ::unlinkat(monitor.run_dir.get(), Label("log/%lld.stage", slot).text, 0);
}

void lend_log(Monitor &monitor, std::uint32_t index, const AskLend &ask) {
  const Owner &owner = monitor.owners[index];
  static constexpr PolicyUser root{};
  const PolicyUser &reader = ask.reader == reader_root ? root : monitor.policy.users[ask.reader];
  const Fd socket = make_socket(monitor, Label("read/%lld", ask.handle.slot).text, SOCK_SEQPACKET, 0660, reader.gid);
  const LogOrder order{LogKind::lend, ask.handle.slot, ask.entry, static_cast<std::int32_t>(reader.uid), 0, ask.instance, 0};
  const int attached[] = {socket.get(), owner.full_book.get()};
  if (socket && owner.full_book && start_log(monitor, index)) send_datagram(owner.log, &order, sizeof order, attached);
}

void log_ended(Monitor &monitor, const Child &child) {
  const std::uint32_t index = owner_of(monitor, child.index);
  if (index == no_user || monitor.owners[index].log_pid != child.pid) return;  // gone with the policy that knew its owner
  monitor.owners[index].log_pid = 0;
  monitor.owners[index].log.reset();
  monitor.busy = true;
  monitor.next_tick = 0;
}

// A dm-log that has died is replaced while any daemon of its owner has, or may have left, something to say.
void check_logs(Monitor &monitor) {
  for (std::uint32_t i = 0; i < monitor.table.high; i++) {
    const Slot &slot = monitor.table.slots[i];
    Running &running = monitor.running[i];
    if ((slot.flags & slot_logged) == 0 || slot.state == SlotState::free || (slot.state == SlotState::idle && !running.fifo)) continue;
    const std::uint32_t owner = owner_of(monitor, slot.owner_uid);
    if (owner == no_user || log_knows(monitor.owners[owner], running)) continue;
    // Whose log it is the book says, or the stage of a dm-log before: after a takeover nobody waits for the book.
    struct stat stage = {};
    const bool staged = ::fstatat(monitor.run_dir.get(), Label("log/%lld.stage", i).text, &stage, 0) == 0 && stage.st_size != 0;
    if (!monitor.owners[owner].full_book && !staged) continue;
    if (running.fifo || make_fifo(monitor, i)) order_log(monitor, i, LogKind::open);
    monitor.busy = true;
  }
}

}  // namespace dm::monitor
