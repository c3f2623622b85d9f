// Takes over what a monitor that was killed left running, before the capabilities go. Root.
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "monitor/monitor.hh"
#include "settings.hh"

namespace dm::monitor {
namespace {

constexpr int sweep_rounds = 200;  // of 10 ms: what SIGKILL has hit is gone by then, or in state D

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

// Ends what runs in a cgroup of ours without a sound record: else its daemon would soon run twice.
void sweep_tree(void *context, std::uint32_t slot) {
  Sweep &sweep = *static_cast<Sweep *>(context);
  const Monitor &monitor = sweep.monitor;
  if (slot < max_slots && monitor.table.slots[slot].state >= SlotState::starting) return;
  if (tree_left(monitor.trees, slot, 0)) {
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

void recover(Monitor &monitor, const Found &found) {
  unsigned adopted = 0, ended = 0;
  if (found.foreign) say(monitor, DM_RUN_DIR "/state is not a table of this version and boot; it was made anew");
  if (found.damaged != 0) say(monitor, DM_RUN_DIR "/state: %u damaged places were refused", found.damaged);
  for (std::uint32_t i = 0; i < monitor.table.high; i++)
    if (monitor.table.slots[i].state >= SlotState::starting) monitor.alive++;
  monitor.recovered = monitor.table.high != 0;
  for (std::uint32_t i = 0; i < monitor.table.high; i++) {
    Slot &slot = monitor.table.slots[i];
    slot.cookie = 0;
    slot.refusal = Refusal::none;
    // Of one that has ended, too: something may have been left to write.
    if (slot.state != SlotState::free && (slot.flags & slot_logged) != 0) make_fifo(monitor, i);
    if (slot.state < SlotState::starting) continue;
    if (slot.state == SlotState::draining) {
      // Its main process is long reaped: whoever has that pid now is another, so the old process group is empty.
      if (const Fd other(static_cast<int>(::syscall(SYS_pidfd_open, slot.pid, 0))); other) slot.pid = 0;
      watch_draining(monitor, i);
      continue;
    }
    if (adopt(monitor, i)) {
      slot.state = SlotState::running;
      adopted++;
      continue;
    }
    ended++;
    // A child that the dead monitor had just made may not have come to write its name: whatever is there goes.
    if (slot.state == SlotState::starting) signal_slot(monitor, i, Scope::tree, SIGKILL);
    main_ended(monitor, i, 0, 0);
  }
  sweep_trees(monitor);
  if (adopted + ended != 0)
    say(monitor, "took over %u running daemons; %u had ended while nobody looked", adopted, ended);
}

}  // namespace dm::monitor
