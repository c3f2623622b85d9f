// What root says by signals: read the config again, upgrade, leave, stop everything; and the stop. Root with few capabilities.
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

constexpr std::int64_t last_ms = 5'000;  // for what is left after shutdown_timeout to die of SIGKILL

void begin_shutdown(Monitor &monitor) {
  if (monitor.stopping) return;
  monitor.stopping = monitor.busy = monitor.worker.shutdown_dirty = true;
  monitor.stop_deadline = now_ms() + (monitor.policy.header != nullptr ? monitor.policy.header->shutdown_timeout_ms : 0);
  say(monitor, "stopping all daemons");
}

}  // namespace

void read_signals(Monitor &monitor) {
  signalfd_siginfo info;
  while (::read(monitor.signals.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) reap(monitor, static_cast<pid_t>(info.ssi_pid));
    // Whoever ended between that signal and our reading of it has sent none of his own; to look at all costs the more the more there are.
    if (info.ssi_signo == SIGCHLD && monitor.reap_at == 0) monitor.reap_at = now_ms() + 1 + monitor.table.high / 128;
    if (info.ssi_signo == SIGHUP) load_policy(monitor);
    if (info.ssi_signo == SIGUSR1) monitor.leave = true;
    if (info.ssi_signo == SIGUSR2) test_upgrade(monitor);
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) begin_shutdown(monitor);
  }
}

void check_shutdown(Monitor &monitor, std::int64_t now) {
  if (!monitor.stopping) return;
  monitor.busy = true;
  if (now < monitor.stop_deadline) return;
  for (std::uint32_t i = 0; i < monitor.table.high; i++) {
    signal_slot(monitor, i, Scope::main, SIGKILL);
    signal_slot(monitor, i, Scope::tree, SIGKILL);
  }
  if (monitor.alive == 0) monitor.done = true;
  else if (now >= monitor.stop_deadline + last_ms) {
    say(monitor, "some processes do not end even by SIGKILL; they are left behind");
    monitor.done = true;
    monitor.exit_code = 1;
  }
}

int leave(Monitor &monitor) {
  // No daemon is left, so nothing in the table need be kept.
  if (monitor.pidfile != nullptr) ::unlink(monitor.pidfile);
  if (monitor.stopping && monitor.exit_code == 0) ::unlinkat(monitor.run_dir.get(), "state", 0);
  if (monitor.worker.pid > 0) ::kill(monitor.worker.pid, SIGKILL);
  if (!monitor.selftest) say(monitor, monitor.leave ? "ended; the daemons run on" : "stopped");
  return monitor.exit_code;
}

}  // namespace dm::monitor
