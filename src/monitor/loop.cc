// Waits for the worker, for signals and for children, and hands each to its part. Root with four capabilities.
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

constexpr int tick_ms = 100;              // how often deadlines are looked at while there are any
constexpr std::int64_t stuck_ms = 5'000;  // DESIGN 4: a worker that takes nothing for so long is replaced
constexpr std::int64_t last_ms = 5'000;   // for what is left after shutdown_timeout to die of SIGKILL

std::uint32_t find_slot(const Monitor &monitor, pid_t pid) {
  for (std::uint32_t i = 0; i < monitor.table.high; i++) {
    const Slot &slot = monitor.table.slots[i];
    if (slot.pid == pid && (slot.state == SlotState::starting || slot.state == SlotState::running)) return i;
  }
  return max_slots;
}

// Draining by process group: the end of any orphan may be the end of a tree.
void check_groups(Monitor &monitor) {
  for (std::uint32_t i = 0; i < monitor.table.high; i++) {
    const Slot &slot = monitor.table.slots[i];
    if (slot.state == SlotState::draining && (slot.flags & slot_grouped) != 0) check_tree(monitor, i);
  }
}

void reap(Monitor &monitor) {
  for (;;) {
    siginfo_t info = {};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return;
    const pid_t pid = info.si_pid;
    const std::uint32_t slot = find_slot(monitor, pid);
    if (slot != max_slots) main_ended(monitor, slot, info.si_code, info.si_status);
    else if (pid == monitor.worker.pid) worker_ended(monitor, info.si_code, info.si_status);
    else if (pid == monitor.selftest_pid) test_ended(monitor, info.si_code, info.si_status);
    else if (pid == monitor.policy_run.pid) policy_ended(monitor, info.si_code, info.si_status);
    else if (!errand_ended(monitor, pid, info.si_code, info.si_status)) check_groups(monitor);
  }
}

void begin_shutdown(Monitor &monitor) {
  if (monitor.stopping) return;
  monitor.stopping = true;
  const std::uint32_t timeout = monitor.policy.header != nullptr ? monitor.policy.header->shutdown_timeout_ms : 0;
  monitor.stop_deadline = now_ms() + timeout;
  monitor.worker.shutdown_dirty = true;
  monitor.busy = true;
  say(monitor, "stopping all daemons");
}

void read_signals(Monitor &monitor) {
  signalfd_siginfo info;
  while (::read(monitor.signals.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) load_policy(monitor);
    if (info.ssi_signo == SIGUSR1) monitor.leave = true;
    if (info.ssi_signo == SIGUSR2) test_upgrade(monitor);
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) begin_shutdown(monitor);
  }
  reap(monitor);
}

bool anything_left(const Monitor &monitor) {
  for (std::uint32_t i = 0; i < monitor.table.high; i++)
    if (monitor.table.slots[i].state >= SlotState::starting) return true;
  return false;
}

void check_shutdown(Monitor &monitor, std::int64_t now) {
  if (!monitor.stopping) return;
  if (monitor.done && !anything_left(monitor)) return;
  if (now >= monitor.stop_deadline)
    for (std::uint32_t i = 0; i < monitor.table.high; i++)
      if (monitor.table.slots[i].state >= SlotState::starting) {
        signal_slot(monitor, i, Scope::main, SIGKILL);
        signal_slot(monitor, i, Scope::tree, SIGKILL);
      }
  if (now >= monitor.stop_deadline && !anything_left(monitor)) monitor.done = true;
  if (now >= monitor.stop_deadline + last_ms) {
    say(monitor, "some processes do not end even by SIGKILL; they are left behind");
    monitor.done = true;
    monitor.exit_code = 1;
  }
}

void check_worker(Monitor &monitor, std::int64_t now) {
  Worker &worker = monitor.worker;
  if (worker.state == WorkerState::none) {
    if (worker.pid == 0 && monitor.policy.header != nullptr && now >= worker.start_at) start_worker(monitor);
    monitor.busy = true;
    return;
  }
  // Taken means read, not merely sent: the socket has room for hundreds of messages.
  int unread = 0;
  if (!worker.socket || ::ioctl(worker.socket.get(), SIOCOUTQ, &unread) != 0 || unread == 0) worker.stuck_since = 0;
  else if (worker.stuck_since == 0) worker.stuck_since = now;
  if (worker.state == WorkerState::starting && now > worker.started + 2 * stuck_ms)
    reject_worker(monitor, "it was not ready after 10 s");
  else if (worker.stuck_since != 0 && now > worker.stuck_since + stuck_ms)
    reject_worker(monitor, "it took no message for 5 s");
  monitor.busy = monitor.busy || worker.state == WorkerState::starting || worker.stuck_since != 0;
}

// It is passed when the config is accepted and a worker has come to serve.
void check_selftest(Monitor &monitor, std::int64_t now) {
  monitor.busy = true;
  if (monitor.worker.state == WorkerState::serving) monitor.done = true;
  else if (monitor.worker.failures != 0 || now > monitor.selftest_until) monitor.done = true, monitor.exit_code = 1;
}

void dispatch(Monitor &monitor, std::uint64_t tag) {
  const auto slot = static_cast<std::uint32_t>(tag);
  switch (static_cast<Source>(tag >> 32)) {
    case Source::worker: return receive(monitor);
    case Source::signals: return read_signals(monitor);
    case Source::report: return read_report(monitor, slot);
    case Source::events: return check_tree(monitor, slot);
    case Source::pidfd: return adopted_ended(monitor, slot);
  }
}

}  // namespace

void say(Monitor &monitor, const char *format, ...) {
  char text[1000];
  va_list arguments;
  va_start(arguments, format);
  const int size = std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (size <= 0) return;
  const std::string_view line(text, static_cast<std::size_t>(size) < sizeof text ? static_cast<std::size_t>(size) : sizeof text - 1);
  // A syslogd that was restarted has forgotten us. The worker has the same socket, and so is heard again too.
  if (!monitor.log.line(line) && monitor.log.sink() == LogSink::syslog && connect_syslog(monitor.log.fd())) monitor.log.line(line);
}

bool watch(Monitor &monitor, int fd, std::uint32_t events, Source source, std::uint32_t slot) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = static_cast<std::uint64_t>(source) << 32 | slot;
  return ::epoll_ctl(monitor.epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0 ||
         (errno == EEXIST && ::epoll_ctl(monitor.epoll.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void unwatch(Monitor &monitor, Fd &fd) {
  if (fd) ::epoll_ctl(monitor.epoll.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
  fd.reset();
}

std::uint32_t owner_of(const Monitor &monitor, std::uint32_t uid) {
  for (std::uint32_t i = 0; i < monitor.policy.count(); i++)
    if (monitor.owners[i].in_use && monitor.owners[i].uid == uid) return i;
  return no_user;
}

int run(Monitor &monitor) {
  constexpr std::int64_t selftest_ms = 30'000;
  monitor.selftest_until = now_ms() + selftest_ms;
  load_policy(monitor);
  mark_all(monitor);
  while (!monitor.leave && (!monitor.done || (monitor.exit_code == 0 && anything_left(monitor)))) {
    const std::int64_t now = now_ms();
    monitor.busy = monitor.stopping || monitor.policy_run.pid != 0;
    if (monitor.policy_retry != 0 && now >= monitor.policy_retry) {
      monitor.policy_retry = 0;
      monitor.retrying = true;
      load_policy(monitor);
    }
    check_worker(monitor, now);
    check_errands(monitor);
    check_starts(monitor);
    check_logs(monitor);
    check_shutdown(monitor, now);
    if (monitor.selftest) check_selftest(monitor, now);
    flush(monitor);
    if (monitor.done && !anything_left(monitor)) break;
    epoll_event events[64];
    const std::int64_t retry = monitor.policy_retry - now;
    const int pause = monitor.busy ? tick_ms : monitor.policy_retry == 0 ? -1 : retry > 0 ? static_cast<int>(retry) : 0;
    const int count = ::epoll_wait(monitor.epoll.get(), events, 64, pause);
    for (int i = 0; i < count; i++) dispatch(monitor, events[i].data.u64);
  }
  // No daemon is left, so nothing in the table need be kept.
  if (monitor.pidfile != nullptr) ::unlink(monitor.pidfile);
  if (monitor.stopping && monitor.exit_code == 0) ::unlinkat(monitor.run_dir.get(), "state", 0);
  if (monitor.worker.pid > 0) ::kill(monitor.worker.pid, SIGKILL);
  if (!monitor.selftest) say(monitor, monitor.leave ? "ended; the daemons run on" : "stopped");
  return monitor.exit_code;
}

}  // namespace dm::monitor
