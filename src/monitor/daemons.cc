// Starts daemons through dm-run, signals them, and notes how they end. Root with four capabilities.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

constexpr std::int64_t reap_ms = 1'000;
constexpr std::int64_t start_ms = 10'000;  // from fork to the daemon's exec; longer: its directory does not answer

// How a process that is not our child ended, from its pidfd (linux/pidfd.h of kernel 6.15; older ones answer ENOTTY).
struct PidfdInfo {
  std::uint64_t mask, cgroup;
  std::uint32_t ids[11];
  std::int32_t exit_code;
};
constexpr unsigned long pidfd_get_info = _IOWR(0xff, 11, PidfdInfo);
constexpr std::uint64_t pidfd_info_exit = 1U << 3;

// Of this slot: with cgroup=no, or without cgroup v2, the process group.
const Trees &trees_of(const Monitor &monitor, const Slot &slot) {
  static constinit const Trees none;
  return (slot.flags & slot_grouped) != 0 ? none : monitor.trees;
}

void settle(Monitor &monitor, std::uint32_t index) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  unwatch(monitor, running.events);
  monitor.alive--;
  slot.state = SlotState::idle;
  slot.pid = 0;
  // What is born by CLONE_INTO_CGROUP into a cgroup that has once seen cgroup.kill is killed at birth (Linux 6.18): a new one.
  if ((slot.flags & slot_killed) != 0) remove_tree(monitor.trees, index);
  slot.flags &= ~static_cast<std::uint32_t>(slot_killed);
  mark_slot(monitor, index);
}

Refusal failed(Slot &slot, RunStage stage) {
  slot.report = {stage, static_cast<std::uint16_t>(errno), 0};
  slot.end_code = slot.end_status = 0;
  slot.runs++;
  slot.started_ms = slot.ended_ms = now_ms();
  return Refusal::none;
}

}  // namespace

Refusal start_daemon(Monitor &monitor, std::uint32_t index, const AskStart &ask) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  const Owner &owner = monitor.owners[owner_of(monitor, slot.owner_uid)];
  const PolicyUser &user = monitor.policy.users[owner_of(monitor, slot.owner_uid)];
  const PolicyUser &target = monitor.policy.users[ask.target];
  const bool logged = (ask.flags & start_logged) != 0;
  slot.target_uid = target.uid;
  slot.entry = ask.entry;
  // The end of a log, or the beginning of one, that shall find nothing of what had this slot before.
  if (((slot.flags & slot_logged) != 0) != logged) order_log(monitor, index, LogKind::close);
  slot.flags = (logged ? std::uint32_t{slot_logged} : 0U) | (monitor.trees.base ? 0U : std::uint32_t{slot_grouped});
  slot.report = {};
  slot.identity = 0;

  Fd cgroup;
  if (monitor.trees.base && !(cgroup = open_tree(monitor.trees, index))) return failed(slot, RunStage::fork);
  if (logged && !make_fifo(monitor, index)) return failed(slot, RunStage::output);
  if (logged) order_log(monitor, index, LogKind::open);
  char number[12], name[24];
  std::snprintf(number, sizeof number, "%u", ask.entry);
  std::snprintf(name, sizeof name, "log/%u", index);
  // Safe because only root can enter log/. Opened anew for each run: whether it blocks is the daemon's own affair.
  const Fd fifo(logged ? ::openat(monitor.run_dir.get(), name, O_RDWR | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC) : -1);
  if (logged && !fifo) return failed(slot, RunStage::output);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return failed(slot, RunStage::fork);
  running.report = Fd(ends[0]);
  const Fd report(ends[1]);

  const char *argv[] = {"dm-run", number, monitor.policy.text(user.name), monitor.policy.text(user.home),
                        monitor.policy.text(target.name), monitor.policy.text(target.home), monitor.policy.text(target.shell),
                        nullptr};
  Spawn what = child_as(monitor, target, monitor.programs.run, argv);
  what.own[0] = report.get();
  what.own[1] = owner.full_book.get();
  what.output = fifo.get();
  what.slot = &slot;
  what.cgroup = cgroup ? cgroup.get() : -1;
  slot.state = SlotState::starting;  // before the fork: the child writes the rest
  const pid_t pid = launch(monitor, what, ChildKind::daemon, index);
  if (pid < 0) {
    slot.state = SlotState::idle;
    running.report.reset();
    return failed(slot, RunStage::fork);
  }
  monitor.alive++;
  monitor.busy = true;
  slot.pid = pid;
  slot.runs++;
  slot.end_code = slot.end_status = 0;
  slot.started_ms = now_ms();
  running.deadline = slot.started_ms + start_ms;
  watch(monitor, running.report.get(), EPOLLIN, Source::report, index);
  return Refusal::none;
}

void read_report(Monitor &monitor, std::uint32_t index) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  if (!running.report) return;
  RunReport report{};
  const ssize_t size = ::read(running.report.get(), &report, sizeof report);
  if (size < 0 && errno == EAGAIN) return;
  unwatch(monitor, running.report);
  if (size == sizeof report && static_cast<std::uint16_t>(report.stage) < run_stages && report.stage != RunStage::none)
    slot.report = report;  // the exit follows
  else if (slot.state == SlotState::starting) {
    slot.state = SlotState::running;
    running.deadline = 0;
    order_log(monitor, index, LogKind::started);
    mark_slot(monitor, index);
  }
}

void main_ended(Monitor &monitor, std::uint32_t index, int code, int status) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  read_report(monitor, index);
  forget_child(monitor, slot.pid);
  unwatch(monitor, running.report);
  unwatch(monitor, running.pidfd);
  running.deadline = 0;
  slot.end_code = code;
  slot.end_status = status;
  slot.ended_ms = now_ms();
  if (slot.report.stage == RunStage::none) order_log(monitor, index, LogKind::exited);
  slot.state = SlotState::draining;
  mark_slot(monitor, index);
  watch_draining(monitor, index);
}

void watch_draining(Monitor &monitor, std::uint32_t index) {
  Running &running = monitor.running[index];
  check_tree(monitor, index);
  if (monitor.table.slots[index].state != SlotState::draining) return;
  running.events = watch_tree(trees_of(monitor, monitor.table.slots[index]), index);
  if (running.events) watch(monitor, running.events.get(), EPOLLPRI, Source::events, index);
  else monitor.busy = true;
  check_tree(monitor, index);  // it may have emptied before the watch began
}

void adopted_ended(Monitor &monitor, std::uint32_t index) {
  Running &running = monitor.running[index];
  if (!running.pidfd || monitor.table.slots[index].state != SlotState::running) return;
  int code = 0, status = 0;
  PidfdInfo info = {};
  info.mask = pidfd_info_exit;
  if (::ioctl(running.pidfd.get(), pidfd_get_info, &info) == 0) {
    // The status is there once its parent has reaped it; whose parent never does ends as unknown a second later.
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

void check_tree(Monitor &monitor, std::uint32_t index) {
  const Slot &slot = monitor.table.slots[index];
  if (slot.state == SlotState::draining && !tree_left(trees_of(monitor, slot), index, slot.pid)) settle(monitor, index);
}

void check_starts(Monitor &monitor) {
  const std::int64_t now = now_ms();
  for (std::uint32_t i = 0; i < monitor.table.high; i++) {
    Slot &slot = monitor.table.slots[i];
    if (slot.state == SlotState::draining && (slot.flags & slot_grouped) != 0) monitor.busy = true, check_tree(monitor, i);
    if (slot.state == SlotState::running && monitor.running[i].pidfd && monitor.running[i].deadline != 0) {
      monitor.busy = true;
      if (now >= monitor.running[i].deadline) adopted_ended(monitor, i);
    }
    if (slot.state != SlotState::starting) continue;
    monitor.busy = true;
    read_report(monitor, i);  // should the watch have failed
    if (slot.state != SlotState::starting || now < monitor.running[i].deadline || slot.report.stage == RunStage::deadline) continue;
    slot.report = {RunStage::deadline, 0, 0};
    ::kill(slot.pid, SIGKILL);
    mark_slot(monitor, i);
  }
}

void signal_slot(Monitor &monitor, std::uint32_t index, Scope scope, int signal) {
  Slot &slot = monitor.table.slots[index];
  const bool main_lives = slot.state == SlotState::starting || slot.state == SlotState::running;
  if (scope == Scope::tree) {
    if (!main_lives && slot.state != SlotState::draining) return;
    if (signal == SIGKILL) slot.flags |= slot_killed;
    return signal_tree(trees_of(monitor, slot), index, slot.pid, signal);
  }
  if (!main_lives) return;
  // A child that we have not reaped keeps its pid; one that was adopted is signalled by its pidfd.
  if (monitor.running[index].pidfd) ::syscall(SYS_pidfd_send_signal, monitor.running[index].pidfd.get(), signal, nullptr, 0);
  else ::kill(slot.pid, signal);
}

}  // namespace dm::monitor
