// Starts daemons through dm-run, signals them, and notes how they end. Root with few capabilities.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <limits>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

constexpr std::int64_t start_ms = 10'000;  // from fork to the daemon's exec; longer: its directory does not answer

// Of this slot: with cgroup=no, or without cgroup v2, the process group.
const Trees &trees_of(const Monitor &monitor, const Slot &slot) {
  static constinit const Trees none;
  return (slot.flags & slot_grouped) != 0 ? none : monitor.trees;
}

void settle(Monitor &monitor, std::uint32_t index) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  unwatch(monitor, running.events);
  if (running.command != 0) ::kill(-running.command, SIGKILL);  // a group of its own: left only where there is no cgroup
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
  slot.state = SlotState::idle;
  slot.end_code = slot.end_status = 0;
  slot.runs++;
  slot.started_ms = slot.ended_ms = now_ms();
  return Refusal::none;
}

// Sends dm-run on its way to an entry of the owner's book, as the target and in the tree of the place, to become the daemon or a
// command beside it. -1: what failed is in `wrong` and errno.
template <typename Ask>
pid_t launch_run(Monitor &monitor, const Ask &ask, const char *verb, ChildKind kind, int report, RunStage &wrong) {
  const std::uint32_t index = ask.handle.slot, row = owner_of(monitor, monitor.table.slots[index].owner_uid);
  Slot &slot = monitor.table.slots[index];
  const PolicyUser &owner = monitor.policy.users[row], &target = monitor.policy.users[ask.target];
  const bool grouped = (slot.flags & slot_grouped) != 0, logged = (slot.flags & slot_logged) != 0, starts = std::string_view(verb) == "start";
  // Safe because only root can enter log/. Opened anew for each run: whether it blocks is the daemon's own affair.
  const Fd fifo(logged ? ::openat(monitor.run_dir.get(), Label("log/%lld", index).text, O_RDWR | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC) : -1);
  if (wrong = RunStage::output; logged && !fifo) return -1;
  const Fd cgroup = grouped ? Fd() : open_tree(monitor.trees, index);
  if (wrong = RunStage::fork; !grouped && !cgroup) return -1;
  const auto text = [&](std::uint32_t offset) { return monitor.policy.text(offset); };
  const Label entry(ask.entry), instance(ask.instance), place(index), sockets(starts ? slot.sockets : 0),
      pid(kind == ChildKind::command ? slot.pid : 0), code(slot.end_code), status(slot.end_status);
  const char *argv[] = {"dm-run", verb, entry.text, instance.text, place.text, sockets.text, text(owner.name), text(owner.home),
                        text(target.name), text(target.home), text(target.shell), pid.text, code.text, status.text, nullptr};
  Spawn what = child_as(monitor, target, monitor.programs.run, argv);
  what.own[0] = report;
  what.own[1] = monitor.owners[row].full_book.get();
  for (std::uint32_t i = 0; starts && i < slot.sockets; i++) what.own[2 + i] = monitor.running[index].sockets[i].get();
  what.output = fifo.get();
  what.cgroup = cgroup.get();
  if (kind == ChildKind::daemon) what.slot = &slot, what.runs = slot.runs + 1, what.monitor = ::getpid(), slot.state = SlotState::starting;  // before the fork: the child writes the rest
  return launch(monitor, what, kind, index);
}

}  // namespace

Refusal start_daemon(Monitor &monitor, std::uint32_t index, const AskStart &ask) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  const PolicyUser &target = monitor.policy.users[ask.target];
  const bool logged = (ask.flags & start_logged) != 0, notified = (ask.flags & start_notified) != 0;
  const std::uint32_t runs = slot.runs + 1;
  slot.target_uid = target.uid;
  slot.entry = ask.entry;
  slot.instance = ask.instance;
  // The end of a log, or the beginning of one, that shall find nothing of what had this slot before.
  if (((slot.flags & slot_logged) != 0) != logged) order_log(monitor, index, LogKind::close);
  slot.flags = (logged ? std::uint32_t{slot_logged} : 0U) | (notified ? std::uint32_t{slot_notified} : 0U) | (monitor.trees.used() ? 0U : std::uint32_t{slot_grouped});
  watch_sockets(monitor, index);  // whoever connects is its business now
  slot.report = {};
  slot.identity = 0;
  if (logged && !make_fifo(monitor, index)) return failed(slot, RunStage::output);
  if (logged) order_log(monitor, index, LogKind::open);
  if (notified && !make_notify(monitor, index, target.gid)) return failed(slot, RunStage::environment);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return failed(slot, RunStage::fork);
  Fd mine(ends[0]);
  const Fd report(ends[1]);
  RunStage wrong;
  const pid_t pid = launch_run(monitor, ask, (ask.flags & start_after_exit) != 0 ? "after_exit" : "start", ChildKind::daemon, report.get(), wrong);
  if (pid < 0) return failed(slot, wrong);
  monitor.alive++;
  monitor.busy = true;
  note_run(slot, pid, runs);  // as the child does, which may not have come to it yet
  running.deadline = slot.started_ms + start_ms;
  running.report = static_cast<Fd &&>(mine);
  watch(monitor, running.report.get(), EPOLLIN, Source::report, index);
  return Refusal::none;
}

Refusal run_command(Monitor &monitor, std::uint32_t index, const AskCommand &ask) {
  RunStage wrong;  // its exit code says all: its report goes to /dev/null
  const pid_t pid = launch_run(monitor, ask, ask.command == Command::stop ? "stop" : "reload", ChildKind::command, 0, wrong);
  if (pid < 0) command_ended(monitor, index, 0, 0);
  else monitor.running[index].command = pid;
  return Refusal::none;
}

void command_ended(Monitor &monitor, std::uint32_t index, int code, int status) {
  Slot &slot = monitor.table.slots[index];
  monitor.running[index].command = 0;
  slot.commands++;
  // As in a shell: 126 and 127 are those of a command that could not be run.
  slot.command_code = code == CLD_EXITED && (status == 126 || status == 127) ? 0 : code;
  slot.command_status = status;
  mark_slot(monitor, index);
}

void read_report(Monitor &monitor, std::uint32_t index) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  if (!running.report) return;
  RunReport report{};
  ssize_t size;
  while ((size = ::read(running.report.get(), &report, sizeof report)) == sizeof report && !is_failure(report.stage)) {
    // Before its start something else is run, which may take as long as the worker lets it.
    if (report.stage == RunStage::before_runs && !running.pidfd) running.deadline = std::numeric_limits<std::int64_t>::max();
    slot.report = report;
  }
  if (size < 0 && errno == EAGAIN) return;
  unwatch(monitor, running.report);
  if (size == sizeof report && static_cast<std::uint16_t>(report.stage) < run_stages)
    slot.report = report;  // the exit follows, as it does where the pipe ends without a word
  else if (slot.state == SlotState::starting && slot.report.stage == RunStage::executes) {
    slot.state = SlotState::running;
    order_log(monitor, index, LogKind::started);
    mark_slot(monitor, index);
  }
}

void main_ended(Monitor &monitor, std::uint32_t index, int code, int status) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  // First, for it is reaped: the next monitor could ask nobody how it ended.
  slot.end_code = code;
  slot.end_status = status;
  slot.ended_ms = now_ms();
  read_report(monitor, index);
  forget_child(monitor, slot.pid);
  unwatch(monitor, running.report);
  unwatch(monitor, running.pidfd);
  if (slot.state == SlotState::running) order_log(monitor, index, LogKind::exited);
  slot.state = SlotState::draining;
  mark_slot(monitor, index);
  watch_draining(monitor, index);
}

void watch_draining(Monitor &monitor, std::uint32_t index) {
  Running &running = monitor.running[index];
  const Trees &trees = trees_of(monitor, monitor.table.slots[index]);
  running.events = watch_tree(trees, index);
  const bool unknown = trees.base && !running.events && errno != ENOENT;
  if (!unknown) check_tree(monitor, index);
  // What changes after that reading is told at once, and only that; where there is nothing to watch each tick looks.
  if (monitor.table.slots[index].state != SlotState::draining) return;
  if (!running.events || !watch(monitor, running.events.get(), EPOLLPRI, Source::events, index)) running.events.reset(), monitor.busy = true;
}

void check_tree(Monitor &monitor, std::uint32_t index) {
  const Slot &slot = monitor.table.slots[index];
  if (slot.state == SlotState::draining && !tree_left(trees_of(monitor, slot), monitor.running[index].events, slot.pid)) settle(monitor, index);
}

void check_starts(Monitor &monitor) {
  const std::int64_t now = now_ms();
  for (std::uint32_t i = 0; i < monitor.table.high; i++) {
    Slot &slot = monitor.table.slots[i];
    if (slot.state == SlotState::draining && !monitor.running[i].events) watch_draining(monitor, i);
    check_adopted(monitor, i, now);
    if (slot.state != SlotState::starting || monitor.running[i].pidfd) continue;  // (of one that was taken over the worker's time counts alone)
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
  if (scope == Scope::log) return (slot.flags & slot_logged) != 0 && monitor.running[index].fifo ? order_log(monitor, index, LogKind::open) : void();
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
