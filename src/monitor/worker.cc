// Starts the worker, and ends one that misbehaves. Root with few capabilities.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>

#include "monitor/monitor.hh"
#include "settings.hh"

namespace dm::monitor {
namespace {

constexpr std::int64_t healthy_ms = 5'000;    // a worker that lived so long starts a new count: one that does not costs more than we spend on it
constexpr std::int64_t longest_pause = 30'000;
constexpr int buffer = 1 << 20;               // of the socketpair, each way; the kernel's limit may be lower

void forget_worker(Monitor &monitor) {
  Worker &worker = monitor.worker;
  unwatch(monitor, worker.socket);
  worker.state = WorkerState::none;
  worker.stuck_since = worker.told = 0;
  worker.wanted = EPOLLIN;
  monitor.busy = true;
}

}  // namespace

void start_worker(Monitor &monitor) {
  Worker &worker = monitor.worker;
  int ends[2] = {-1, -1};
  const bool paired = ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0;
  Fd mine(ends[0]), its(ends[1]);
  for (int end : ends) ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  char sink[2] = {static_cast<char>('0' + static_cast<int>(monitor.worker_log.sink())), '\0'};
  const char *argv[] = {"dm-worker", sink, nullptr};
  Spawn what = child_of(monitor, monitor.programs.worker, argv);
  what.own[0] = its.get();
  what.own[1] = monitor.policy_file.get();
  what.own[2] = monitor.worker_log.fd();
  what.own[3] = monitor.told_history.get();
  what.root = DM_RUN_DIR "/empty";
  what.sandboxed = true;
  worker.started = now_ms();
  worker.pid = paired ? launch(monitor, what, ChildKind::worker, 0) : -1;
  if (worker.pid < 0 || !watch(monitor, mine.get(), EPOLLIN, Source::worker, 0)) {
    if (worker.pid > 0) ::kill(worker.pid, SIGKILL);
    else worker.pid = 0;
    worker.start_at = worker.started + 1000;
    return say(monitor, "cannot start the worker: no socket, process or event");
  }
  worker.socket = static_cast<Fd &&>(mine);
  worker.state = WorkerState::starting;
}

void reject_worker(Monitor &monitor, const char *why) {
  say(monitor, "the worker is replaced: %s. Daemons run on", why);
  hang_up(monitor);
  forget_worker(monitor);
}

void hang_up(Monitor &monitor) {
  if (monitor.worker.pid > 0) ::kill(monitor.worker.pid, SIGKILL);
  unwatch(monitor, monitor.worker.socket);
}

void retire_worker(Monitor &monitor) {
  hang_up(monitor);
  forget_worker(monitor);
  monitor.worker.failures = 0;
}

void worker_ended(Monitor &monitor, int code, int status) {
  Worker &worker = monitor.worker;
  const std::int64_t now = now_ms();
  worker.pid = 0;
  receive(monitor);  // what it had asked for
  const bool expected = worker.state == WorkerState::none && worker.failures == 0;
  worker.failures = now - worker.started > healthy_ms ? 1 : worker.failures + 1;
  if (worker.state != WorkerState::none)
    say(monitor, "the worker %s %d%s. Daemons run on", code == CLD_EXITED ? "exited with" : "was killed by signal", status,
        code != CLD_EXITED && status == SIGSYS ? " (a system call that its filter forbids)" : "");
  forget_worker(monitor);
  // The second failure costs 50 ms, the next ones 200, 400, 800 …
  worker.start_at = now + (expected || worker.failures <= 1 ? 0 : std::min(std::int64_t{50} << (worker.failures == 2 ? 0U : std::min(worker.failures - 1, 12U)), longest_pause));
  if (worker.start_at > now) say(monitor, "the next worker starts in %lld ms. To see what the last one said, if anything: %s", static_cast<long long>(worker.start_at - now), where_read(monitor.worker_log.sink()));
}

}  // namespace dm::monitor
