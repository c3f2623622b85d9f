// What the worker asks of the monitor. Sandboxed. It never waits: what the socket does not take is kept in order.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr std::size_t small_queue = 4096;  // kept for the next

// What was taken makes room, now and then: each byte is moved once at most.
void shrink(Asks &asks) {
  if (asks.count == 0 && asks.bytes.size() > small_queue) std::string().swap(asks.bytes);
  else if (asks.taken * 2 >= asks.bytes.size()) asks.bytes.erase(0, asks.taken);
  else return;
  asks.taken = 0;
}

template <typename Ask>
void send(Worker &worker, const Ask &ask) {
  const void *bytes = &ask;
  const std::uint32_t size = sizeof ask;
  const void *front = &size;
  worker.to_monitor.bytes.append(static_cast<const char *>(front), sizeof size);
  worker.to_monitor.bytes.append(static_cast<const char *>(bytes), sizeof ask);
  worker.to_monitor.count++;
  if (!worker.monitor_full) flush_asks(worker);
}

std::uint32_t new_cookie(Worker &worker) { return worker.next_cookie != 0 ? worker.next_cookie++ : (worker.next_cookie = 2, 1U); }

}  // namespace

void flush_asks(Worker &worker) {
  bool full = false;
  Asks &asks = worker.to_monitor;
  while (asks.count != 0 && !full) {
    std::uint32_t size;
    std::memcpy(&size, asks.bytes.data() + asks.taken, sizeof size);
    const char *next = asks.bytes.data() + asks.taken + sizeof size;
    if (::send(worker.monitor.get(), next, size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) asks.count--, asks.taken += sizeof size + size;
    else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) full = true;
    else if (errno != EINTR) {
      worker.done = true;  // the monitor is gone; so is our purpose
      return;
    }
  }
  shrink(asks);
  if (full == worker.monitor_full) return;
  worker.monitor_full = full;
  watch(worker, worker.monitor.get(), full ? EPOLLIN | EPOLLOUT : EPOLLIN, tag_monitor);
}

void ask_ready(Worker &worker) { send(worker, AskReady{AskKind::Ready, 0}); }

void ask_scan(Worker &worker, std::uint32_t owner, bool create) {
  send(worker, AskScan{AskKind::Scan, owner, create ? 1U : 0U, 0});
}

void ask_listen(Worker &worker, std::uint32_t owner) {
  worker.owners[owner].listen_asked = true;
  send(worker, AskListen{AskKind::Listen, owner});
}

void ask_slot(Worker &worker, std::uint32_t owner) {
  Owner &it = worker.owners[owner];
  const auto found = it.daemons.find(it.unplaced.front());
  it.slot_cookie = new_cookie(worker);
  it.slot_freed = false;
  AskSlot ask{AskKind::Slot, owner, it.slot_cookie, 0, {}};
  if (found != it.daemons.end()) ask.memo = write_memo(*found->second);
  send(worker, ask);
}

void ask_free(Worker &worker, Daemon &daemon) {
  if (!daemon.placed) return;
  send(worker, AskFree{AskKind::Free, 0, daemon.handle});
  worker.by_slot[daemon.handle.slot] = nullptr;
  drop_notify(worker, daemon.handle.slot);
  daemon.placed = false;
  ask_kept_elsewhere(worker, daemon.handle.slot);
  if (daemon.owner != no_user) worker.owners[daemon.owner].slot_freed = true;
}

void ask_remember(Worker &worker, const Daemon &daemon) {
  if (daemon.placed) send(worker, AskRemember{AskKind::Remember, 0, daemon.handle, write_memo(daemon)});
}

bool ask_kept(Worker &worker, ClientId client) {
  const auto any = std::ranges::find_if(worker.by_slot, [](const Daemon *it) { return it != nullptr && it->placed; });
  if (any == worker.by_slot.end()) return false;
  worker.unkept.push_back({new_cookie(worker), (*any)->handle.slot, client});
  send(worker, AskRemember{AskKind::Remember, worker.unkept.back().cookie, (*any)->handle, write_memo(**any)});
  return true;
}

void ask_start(Worker &worker, Daemon &daemon, bool after_exit) {
  const Owner &owner = worker.owners[daemon.owner];
  daemon.runs = daemon.last_runs;
  daemon.aside = after_exit;
  std::uint32_t flags = daemon.logged ? std::uint32_t{start_logged} : 0U;
  if (after_exit) flags |= start_after_exit;
  else {
    daemon.started_hash = daemon.conf_hash;
    daemon.start_by = daemon.by;
    daemon.watchdog_ms = daemon.terms.watchdog_ms;
    daemon.ready_by = daemon.terms.ready;
    daemon.is_ready = daemon.unheard = daemon.barked = daemon.pid_refused = daemon.reloading = daemon.leaving = daemon.ordered = daemon.end_told = false;
    daemon.start_untold = true;
    daemon.fault = Fault::none;
    if (daemon.sockets == 0) daemon.held_hash = 0;  // this run has none
    daemon.underway = Underway::none;  // a command went with the run that it was for
    daemon.status.clear();
    if (daemon.terms.ready != Ready::started || daemon.watchdog_ms != 0) flags |= start_notified;
    drain_notify(worker, daemon);
  }
  send(worker, AskStart{AskKind::Start, daemon.target, daemon.handle, owner.generation, daemon.entry, flags, daemon.instance, 0,
                        write_memo(daemon)});
}

void ask_bind(Worker &worker, Daemon &daemon, const std::vector<SocketSpec> &sockets, bool armed) {
  daemon.held_hash = daemon.terms.listen_hash;
  daemon.binds_due = daemon.binds + 1;
  daemon.unbinding = false;
  AskBind ask{AskKind::Bind, daemon.target, daemon.handle, worker.owners[daemon.owner].generation, daemon.entry,
              armed ? std::uint32_t{bind_armed} : 0U, daemon.instance, static_cast<std::uint32_t>(sockets.size()), {},
              write_memo(daemon)};
  std::copy_n(sockets.begin(), sockets.size() < max_sockets ? sockets.size() : max_sockets, ask.sockets);
  send(worker, ask);
}

void ask_unbind(Worker &worker, Daemon &daemon) {
  daemon.binds_due = daemon.binds + 1;
  daemon.unbinding = true;
  send(worker, AskUnbind{AskKind::Unbind, 0, daemon.handle});
  ask_remember(worker, daemon);
}

void ask_command(Worker &worker, Daemon &daemon, Command command) {
  daemon.commands_due = daemon.commands + 1;
  daemon.underway = command == Command::stop ? Underway::stop : Underway::reload;
  send(worker, AskCommand{AskKind::Command, daemon.target, daemon.handle, worker.owners[daemon.owner].generation, daemon.entry,
                          daemon.instance, command, 0, write_memo(daemon)});
}

void ask_signal(Worker &worker, Daemon &daemon, int signal, Scope scope) {
  if (daemon.placed) send(worker, AskSignal{AskKind::Signal, signal, daemon.handle, scope, 0, write_memo(daemon)});
}

void ask_lend(Worker &worker, const Daemon &daemon, std::uint32_t reader) {
  send(worker, AskLend{AskKind::Lend, reader, daemon.handle, worker.owners[daemon.owner].generation, daemon.entry, daemon.instance});
}

void ask_record(Worker &worker, const Daemon &daemon, const HistoryEvent &event) {
  AskRecord ask{AskKind::Record, event.number % events_kept, daemon.handle, {}};
  std::memcpy(ask.event.bytes, &event, sizeof event);
  send(worker, ask);
}

void ask_done(Worker &worker) { send(worker, AskDone{AskKind::Done, 0}); }

}  // namespace dm::worker
