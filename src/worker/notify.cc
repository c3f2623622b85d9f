// What daemons say of themselves (sd_notify(3), or a newline): read from a socket of each place's own, whose datagrams are hostile.
// It can make its daemon ready, keep it from being restarted and put words into its status; nothing else. Sandboxed.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <string_view>
#include <utility>

#include "lib/text.hh"
#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr int most_in_a_turn = 16;          // datagrams of one daemon; then others have their turn
constexpr int most_left = 4096;             // of a former run: more than any queue holds
constexpr std::size_t max_datagram = 4096;  // systemd's own bound
constexpr std::size_t max_status = 200;
constexpr std::int64_t most_extended_ms = 3'600'000;

bool alive(const Daemon &daemon) {
  return daemon.state == State::starting || daemon.state == State::readying || daemon.state == State::running;
}

// Longer than an hour beyond its time nobody is waited for, whatever it says.
void extend(Worker &worker, Daemon &daemon, std::string_view value) {
  std::uint64_t us = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), us);
  const bool timed = daemon.state == State::starting || daemon.state == State::readying || daemon.state == State::stopping;
  if (error != std::errc() || end != value.data() + value.size() || !timed || daemon.timer_ms == 0) return;
  if (daemon.extended_until == 0) daemon.extended_until = daemon.timer_ms + most_extended_ms;
  const auto wanted = static_cast<std::int64_t>(std::min<std::uint64_t>(us / 1000, most_extended_ms));
  const std::int64_t until = std::min(now_ms() + wanted, daemon.extended_until);
  if (until <= daemon.timer_ms) return;
  set_timer(worker, daemon, until);
  ask_remember(worker, daemon);
}

void take_watchdog(Worker &worker, Daemon &daemon, std::string_view value) {
  if (daemon.watchdog_ms == 0 || daemon.state != State::running || daemon.barked) return;
  const std::int64_t now = now_ms();
  if (value == "1") {
    set_timer(worker, daemon, now + daemon.watchdog_ms);
    if (now >= daemon.rebind_at) retry_sockets(worker, daemon);  // (as often as it likes it may say so)
  } else if (value == "trigger") raise(worker, daemon, Event::expired);
}

void take_line(Worker &worker, Daemon &daemon, std::string_view line) {
  const std::size_t equals = line.find('=');
  if (equals == line.npos) return;
  const std::string_view key = line.substr(0, equals), value = line.substr(equals + 1);
  if (key == "READY" && value == "1" && alive(daemon)) become_ready(worker, daemon);
  else if (key == "STATUS") daemon.status = std::string(value.substr(0, max_status));
  else if (key == "RELOADING" && value == "1") daemon.reloading = true;
  else if (key == "STOPPING" && value == "1") daemon.leaving = true;
  else if (key == "WATCHDOG") take_watchdog(worker, daemon, value);
  else if (key == "EXTEND_TIMEOUT_USEC") extend(worker, daemon, value);
  else if (key == "MAINPID" && !std::exchange(daemon.pid_refused, true))
    note(worker, fmt::format("{} wants to name its main process (MAINPID); that is refused, the manager knows whom it started",
                             id_of(worker, daemon)));
}

void take_datagram(Worker &worker, Daemon &daemon, std::string_view text) {
  // ready=fd: whatever it writes there up to a newline, the s6 way.
  if (daemon.ready_by == Ready::fd && alive(daemon) && text.find('\n') != text.npos) become_ready(worker, daemon);
  if (text.find('\0') != text.npos) return;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    take_line(worker, daemon, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// Without room for them descriptors that come with it are dropped by the kernel. One that is too long is none.
ssize_t take_one(const Fd &socket, char (&bytes)[max_datagram], int flags = 0) {
  return ::recv(socket.get(), bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC | flags);
}

}  // namespace

void become_ready(Worker &worker, Daemon &daemon) {
  daemon.is_ready = true;
  daemon.reloading = false;
  if (daemon.state == State::readying) raise(worker, daemon, Event::ready);
  else if (daemon.state == State::starting) ask_remember(worker, daemon);  // the news of its exec follows
}

void take_notify(Worker &worker, const TellNotify &tell, Fd socket) {
  if (!socket || tell.handle.slot >= worker.by_slot.size()) return;
  const Daemon *daemon = worker.by_slot[tell.handle.slot];
  if (daemon == nullptr || !(daemon->handle == tell.handle)) return;
  drop_notify(worker, tell.handle.slot);
  Fd &kept = worker.notifies[tell.handle.slot];
  kept = std::move(socket);
  watch(worker, kept.get(), EPOLLIN, tag_notify | tell.handle.slot);
}

// The monitor has the same open file: closing ours alone would leave it in the epoll set, ready for ever and out of reach.
void drop_notify(Worker &worker, std::uint32_t slot) {
  const auto found = worker.notifies.find(slot);
  if (found == worker.notifies.end()) return;
  ::epoll_ctl(worker.epoll.get(), EPOLL_CTL_DEL, found->second.get(), nullptr);
  worker.notifies.erase(found);
}

void notify_ready(Worker &worker, std::uint32_t slot) {
  char bytes[max_datagram];
  for (int i = 0; i < most_in_a_turn; i++) {
    const auto found = worker.notifies.find(slot);  // anew each time: what it says may end in forgetting it
    Daemon *daemon = slot < worker.by_slot.size() ? worker.by_slot[slot] : nullptr;
    if (found == worker.notifies.end() || daemon == nullptr) return;
    // It is taken out of the socket when the monitor has been told what comes of it: the next worker would not hear it any more.
    const ssize_t size = take_one(found->second, bytes, MSG_PEEK);
    if (size < 0) return;
    if (static_cast<std::size_t>(size) <= sizeof bytes) take_datagram(worker, *daemon, {bytes, static_cast<std::size_t>(size)});
    if (const auto still = worker.notifies.find(slot); still != worker.notifies.end()) take_one(still->second, bytes);
  }
}

void drain_notify(Worker &worker, const Daemon &daemon) {
  char bytes[max_datagram];
  const auto found = worker.notifies.find(daemon.handle.slot);
  for (int i = 0; found != worker.notifies.end() && i < most_left && take_one(found->second, bytes) >= 0; i++) {}
}

void await_ready(Worker &worker, Daemon &daemon, std::int64_t now) {
  if (daemon.ready_by == Ready::started || daemon.is_ready) return raise(worker, daemon, Event::ready);
  // (start_timeout goes on from the start, before= included)
  if (daemon.timer_ms == 0) set_timer(worker, daemon, now + daemon.terms.start_timeout_ms);
  ask_remember(worker, daemon);
}

void bark(Worker &worker, Daemon &daemon, std::int64_t now) {
  if (!daemon.barked) retry_sockets(worker, daemon);
  if (daemon.watchdog_ms == 0) return;
  set_timer(worker, daemon, now + daemon.stop_timeout_ms);
  const bool again = std::exchange(daemon.barked, true);
  daemon.fault = Fault::silent;
  if (!again) record(worker, daemon, Deed::silent, by_itself, 0, daemon.watchdog_ms / 1000);
  note(worker, fmt::format("{} {}", id_of(worker, daemon),
                           again ? "did not end on SIGABRT either and is killed"
                                 : fmt::format("was not heard of for {} (watchdog=) and is sent SIGABRT", short_time(daemon.watchdog_ms))));
  ask_signal(worker, daemon, again ? SIGKILL : SIGABRT, Scope::main);
}

}  // namespace dm::worker
