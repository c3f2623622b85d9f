// Waits for the worker, for signals and for children, and hands each to its part. Root with few capabilities.
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

constexpr int tick_ms = 100;              // how often deadlines are looked at while there are any
constexpr std::int64_t stuck_ms = 5'000;  // DESIGN 4: a worker that takes nothing for so long is replaced

void check_worker(Monitor &monitor, std::int64_t now) {
  Worker &worker = monitor.worker;
  // Taken means read, not merely sent: the socket has room for hundreds of messages.
  int unread = 0;
  if (!worker.socket || ::ioctl(worker.socket.get(), SIOCOUTQ, &unread) != 0 || unread == 0) worker.stuck_since = 0;
  else if (worker.stuck_since == 0) worker.stuck_since = now;
  if (worker.state == WorkerState::starting && now > worker.started + 2 * stuck_ms)
    reject_worker(monitor, "it was not ready after 10 s");
  else if (worker.stuck_since != 0 && now > worker.stuck_since + stuck_ms)
    reject_worker(monitor, "it took no message for 5 s");
  monitor.busy = monitor.busy || worker.state != WorkerState::serving || worker.stuck_since != 0;
}

// Whatever has a deadline. Who begins such a thing makes the monitor busy; it stays so while any of these finds something.
void check_all(Monitor &monitor, std::int64_t now) {
  monitor.next_tick = now + tick_ms;
  monitor.busy = monitor.policy_run.pid != 0 || monitor.selftest || monitor.selftest_pid != 0;
  check_test(monitor, now);
  check_worker(monitor, now);
  check_errands(monitor);
  check_starts(monitor);
  check_logs(monitor);
  check_shutdown(monitor, now);
}

void dispatch(Monitor &monitor, const epoll_event &event) {
  const auto slot = static_cast<std::uint32_t>(event.data.u64);
  switch (static_cast<Source>(event.data.u64 >> 32)) {
    case Source::worker: return receive(monitor);
    case Source::signals: return read_signals(monitor);
    case Source::stages: return free_stages(monitor.stages, 0);
    case Source::report: return read_report(monitor, slot);
    case Source::events: return check_tree(monitor, slot);
    case Source::pidfd: return adopted_ended(monitor, slot);
    case Source::sockets: return sockets_event(monitor, slot, event.events);
  }
}

bool over(const Monitor &monitor) { return monitor.leave || (monitor.done && (monitor.exit_code != 0 || monitor.alive == 0)); }

int pause_before(const Monitor &monitor, std::int64_t now) {
  const std::int64_t next = monitor.reap_at != 0 ? monitor.reap_at : monitor.busy ? monitor.next_tick : monitor.policy_retry;
  if (!monitor.busy && next == 0) return -1;
  return next > now && !over(monitor) ? static_cast<int>(next - now) : 0;
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
  epoll_event event{events, {.u64 = static_cast<std::uint64_t>(source) << 32 | slot}};
  return ::epoll_ctl(monitor.epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0 ||
         (errno == EEXIST && ::epoll_ctl(monitor.epoll.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void unwatch(Monitor &monitor, Fd &fd) {
  if (fd) ::epoll_ctl(monitor.epoll.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
  fd.reset();
}

int run(Monitor &monitor) {
  load_policy(monitor);
  mark_all(monitor);
  monitor.busy = true;
  while (!over(monitor)) {
    const std::int64_t now = now_ms();
    check_retry(monitor, now);
    if (monitor.reap_at != 0 && now >= monitor.reap_at) reap_merged(monitor);
    if (monitor.worker.pid == 0 && monitor.policy.header != nullptr && now >= monitor.worker.start_at) start_worker(monitor);
    if (monitor.busy && now >= monitor.next_tick) check_all(monitor, now);
    // Whoever only tests himself tells his worker nothing, so that it asks for nothing.
    monitor.selftest ? check_selftest(monitor, now) : flush(monitor);
    epoll_event events[64];
    const int count = ::epoll_wait(monitor.epoll.get(), events, 64, pause_before(monitor, now));
    for (int i = 0; i < count; i++) dispatch(monitor, events[i]);
  }
  return leave(monitor);
}

}  // namespace dm::monitor
