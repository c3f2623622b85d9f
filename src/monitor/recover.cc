// Takes over what a monitor that was killed left running, before the capabilities go. Root.
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

// True where the slot's main process is still the one that was recorded; its pidfd is then held and watched.
bool adopt(Monitor &monitor, std::uint32_t index) {
  const Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  if (slot.pid <= 0 || slot.identity == 0) return false;
  // The pidfd first: what is compared afterwards is the process it holds, or one that came later and differs.
  running.pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, slot.pid, 0)));
  if (running.pidfd && identity_of(slot.pid) == slot.identity &&
      watch(monitor, running.pidfd.get(), EPOLLIN, Source::pidfd, index))
    return true;
  running.pidfd.reset();
  return false;
}

}  // namespace

void recover(Monitor &monitor) {
  unsigned adopted = 0, ended = 0;
  for (std::uint32_t i = 0; i < monitor.table.high; i++) {
    Slot &slot = monitor.table.slots[i];
    slot.cookie = 0;
    slot.refusal = Refusal::none;
    if (slot.state < SlotState::starting) continue;
    if (slot.state == SlotState::draining) {
      watch_draining(monitor, i);
      continue;
    }
    if ((slot.flags & slot_logged) != 0) make_fifo(monitor, i);
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
  if (adopted + ended != 0)
    say(monitor, "took over %u running daemons; %u had ended while nobody looked", adopted, ended);
}

}  // namespace dm::monitor
