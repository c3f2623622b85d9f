// Sends children on their way, knows what each is for, and hands their ends to who sent them. Root with few capabilities.
#include <sys/wait.h>

#include <utility>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

// Its entry in the open-addressed table, or the empty one where it would stand.
Child &entry_of(Monitor &monitor, pid_t pid) {
  std::uint32_t at = static_cast<std::uint32_t>(pid) % child_places;
  while (monitor.children[at].pid != 0 && monitor.children[at].pid != pid) at = (at + 1) % child_places;
  return monitor.children[at];
}

}  // namespace

void expect_child(Monitor &monitor, const Child &child) { entry_of(monitor, child.pid) = child; }

Child forget_child(Monitor &monitor, pid_t pid) {
  Child *at = &entry_of(monitor, pid);
  const Child found = std::exchange(*at, {});
  // Those behind it without a gap may have had to make way for it: they are put in again.
  for (;;) {
    at = at + 1 == monitor.children + child_places ? monitor.children : at + 1;
    if (found.pid == 0 || at->pid == 0) return found;
    expect_child(monitor, std::exchange(*at, {}));
  }
}

pid_t launch(Monitor &monitor, const Spawn &what, ChildKind kind, std::uint32_t index) {
  const pid_t pid = spawn(monitor.stages, what);
  if (pid > 0) expect_child(monitor, {pid, kind, index});
  return pid;
}

Spawn child_of(const Monitor &monitor, const Fd &program, const char *const *argv) {
  return {.program = program.get(), .argv = argv, .uid = monitor.worker_uid, .gid = monitor.worker_gid, .files = &monitor.files};
}

Spawn child_as(const Monitor &monitor, const PolicyUser &user, const Fd &program, const char *const *argv) {
  return {.program = program.get(), .argv = argv, .uid = user.uid, .gid = user.gid, .groups = monitor.policy.groups + user.groups_at,
          .group_count = user.groups_count, .files = &monitor.files};
}

void reap(Monitor &monitor, pid_t pid) {
  const idtype_t which = pid == 0 ? P_ALL : P_PID;
  for (siginfo_t info = {}; ::waitid(which, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0; info = {}) {
    const Child child = forget_child(monitor, info.si_pid);
    switch (child.kind) {
      case ChildKind::none:  // an orphan of some daemon's, perhaps the last of its process group
        if (!monitor.trees.used()) monitor.next_tick = 0;
        break;
      case ChildKind::daemon: main_ended(monitor, child.index, info.si_code, info.si_status); break;
      case ChildKind::command: command_ended(monitor, child.index, info.si_code, info.si_status); break;
      case ChildKind::sockets: case ChildKind::scan: case ChildKind::listen: errand_ended(monitor, child, info.si_code, info.si_status); break;
      case ChildKind::log: log_ended(monitor, child); break;
      case ChildKind::worker: worker_ended(monitor, info.si_code, info.si_status); break;
      case ChildKind::policy: policy_ended(monitor, info.si_code, info.si_status); break;
      case ChildKind::selftest: test_ended(monitor, info.si_code, info.si_status); break;
    }
    free_stages(monitor.stages, info.si_pid);
  }
}

void reap_merged(Monitor &monitor) {
  monitor.reap_at = 0;
  // Mostly nobody's was: one walk tells.
  if (siginfo_t any = {}; ::waitid(P_ALL, 0, &any, WEXITED | WNOHANG | WNOWAIT) == 0 && any.si_pid == 0) return;
  for (std::uint32_t i = 0; i < monitor.table.high; i++)
    if (const Slot &slot = monitor.table.slots[i]; slot.state == SlotState::starting || slot.state == SlotState::running) reap(monitor, slot.pid);
  for (std::uint32_t i = 0; i < monitor.policy.count(); i++)
    if (monitor.owners[i].scan.pid != 0) reap(monitor, monitor.owners[i].scan.pid);
  reap(monitor, 0);
}

}  // namespace dm::monitor
