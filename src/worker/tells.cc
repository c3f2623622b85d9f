// What the monitor tells. It is trusted, but a datagram of the wrong size would be a fault of ours. Sandboxed.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <fmt/core.h>

#include <cerrno>
#include <cstring>

#include "lib/book_words.hh"
#include "settings.hh"
#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr int most_in_a_round = 256;

template <typename Tell>
Tell decode(const std::uint8_t *bytes) {
  Tell tell;
  std::memcpy(&tell, bytes, sizeof tell);
  return tell;
}

bool in_policy(const Worker &worker, std::uint32_t owner) { return owner < worker.owners.size(); }

void take_no_slot(Worker &worker, const TellNoSlot &tell) {
  if (!in_policy(worker, tell.owner)) return;
  Owner &owner = worker.owners[tell.owner];
  if (owner.slot_cookie != tell.cookie || owner.unplaced.empty()) return;
  owner.slot_cookie = 0;
  // It was asked before one was given back, and refused for that one.
  if (owner.slot_freed) return place_next(worker, tell.owner);
  // Those that are just being stopped and forgotten make room soon: then it is asked again.
  for (const auto &[name, daemon] : owner.daemons)
    if (daemon->placed && !daemon->in_book) return;
  const auto found = owner.daemons.find(owner.unplaced.front());
  owner.unplaced.pop_front();
  if (found != owner.daemons.end()) {
    Daemon &daemon = *found->second;
    touch(worker, daemon);
    daemon.queued = daemon.usable = false;
    if (tell.errno_value == 0)
      daemon.problem = fmt::format("no place for it: {} may have at most {} daemons. Remove a conf, or ask root for more "
                                   "([limits] in the master config)",
                                   user_name(worker, tell.owner), worker.policy.users[tell.owner].limits.daemons);
    else if (tell.errno_value == EUSERS)
      daemon.problem = fmt::format("no place for it: the manager has all the {} daemons, of all users, that it can have", max_slots);
    else
      daemon.problem = fmt::format("no place for it: " DM_RUN_DIR "/state cannot grow: {}. Ask root to make room there, then start it again",
                                   errno_words(static_cast<int>(tell.errno_value)));
    answer_waiters(worker, daemon, Wait::stopped, Exit::done, "stopped");
    answer_waiters(worker, daemon, Wait::running, Exit::failed, daemon.problem);
  }
  place_next(worker, tell.owner);
}

void take_listener(Worker &worker, const TellListener &tell, Fd socket) {
  if (in_policy(worker, tell.owner)) {
    Owner &owner = worker.owners[tell.owner];
    owner.listen_asked = false;
    owner.listening = static_cast<bool>(socket);
    if (!socket && tell.result != static_cast<int>(ListenExit::dormant) &&
        tell.result != static_cast<int>(ListenExit::network_home))
      note(worker, fmt::format("no command socket in the home of {} (code {}); he is served at the common one",
                               user_name(worker, tell.owner), tell.result));
  }
  if (!socket) return;
  const std::uint64_t tag = tag_listener | tell.owner;
  worker.listeners[tell.owner] = Listener{std::move(socket), tell.owner};
  // Before the replay is over nobody is accepted: he would be told half of the truth.
  if (worker.replayed) watch(worker, worker.listeners[tell.owner].socket.get(), EPOLLIN, tag);
}

// Owners whose confs nobody has read yet, and those without a command socket.
void wake_owners(Worker &worker) {
  for (std::uint32_t i = 0; i < worker.owners.size(); i++) {
    const std::uint32_t flags = worker.policy.users[i].flags;
    Owner &owner = worker.owners[i];
    if ((flags & user_resolved) == 0) continue;
    if ((flags & user_runs) != 0 && !owner.scanned) ask_scan(worker, i, false), owner.scan_asked = true;
    if ((flags & (user_runs | user_manages)) != 0 && !owner.listening && !owner.listen_asked) ask_listen(worker, i);
  }
}

void take_replayed(Worker &worker) {
  constexpr std::int64_t patience_ms = 3'000;  // a home that does not answer holds nobody back for longer
  worker.replayed = true;
  worker.first_until = now_ms() + patience_ms;
  listen_to_clients(worker, true);
  wake_owners(worker);
  for (std::uint32_t i = 0; i < worker.owners.size(); i++) {
    inherit_families(worker, i);
    place_next(worker, i);
    std::vector<Daemon *> all;
    for (auto &[name, daemon] : worker.owners[i].daemons) all.push_back(daemon.get());
    for (Daemon *daemon : all) {
      const bool gone = is_struck(worker, i) || (confs_known(worker.owners[i]) && !daemon->in_book);
      const bool barred = daemon->slot_running && (worker.policy.users[i].flags & user_resolved) != 0 &&
                          (worker.policy.header->settings & setting_group_unresolved) == 0 &&
                          (daemon->target == no_user || !worker.policy.may_run(i, daemon->target));
      if (gone) retire(worker, *daemon, is_struck(worker, i) ? "its owner's line under [runs_as] is gone" : why_gone(worker, *daemon));
      else if (barred) {
        note(worker, fmt::format("{} is stopped: root no longer allows {} to run as {}", id_of(worker, *daemon), user_name(worker, i),
                                 daemon->target == no_user ? "the user that it runs as" : user_name(worker, daemon->target)));
        daemon->by = by_conf;
        want_down(worker, *daemon);
      } else if (daemon->wanted && daemon->state == State::stopped && worker.owners[i].scanned) resume(worker, *daemon);
    }
  }
  if ((worker.policy.header->settings & setting_group_unresolved) != 0 && !worker.strays.empty())
    note(worker, fmt::format("{} daemons are left alone: their owners may be in a group that the name service does not know",
                             worker.strays.size()));
  else
    for (std::size_t i = worker.strays.size(); i-- > 0;) {
      Daemon &stray = *worker.strays[i];
      const bool listed = worker.policy.find_uid(stray.stray_uid) != no_user;
      retire(worker, stray, listed ? "what was remembered of it is of no use" : "no line in the master config names its owner any more");
    }
}

void take_shutdown(Worker &worker) {
  worker.stopping = true;
  worker.owners_stopped = 0;
  std::vector<Daemon *> all;
  for (Owner &owner : worker.owners)
    for (auto &[name, daemon] : owner.daemons) daemon->by = by_shutdown, all.push_back(daemon.get());
  // The wishes stay in the confs: the next manager starts what autostart says.
  stop_in_order(worker, all);
}

void handle(Worker &worker, const std::uint8_t *bytes, std::size_t size, Fd attached) {
  std::uint32_t kind = tell_kinds;
  if (size >= sizeof kind) std::memcpy(&kind, bytes, sizeof kind);
  if (kind >= tell_kinds || size != tell_sizes[kind]) {
    worker.log.line("worker: a message that is none; ending");
    worker.done = true;
    return;
  }
  switch (static_cast<TellKind>(kind)) {
    case TellKind::Slot: return take_slot(worker, decode<TellSlot>(bytes), worker.replayed);
    case TellKind::NoSlot: return take_no_slot(worker, decode<TellNoSlot>(bytes));
    case TellKind::Book: return take_book(worker, decode<TellBook>(bytes), std::move(attached));
    case TellKind::Listener: return take_listener(worker, decode<TellListener>(bytes), std::move(attached));
    case TellKind::Replayed: return take_replayed(worker);
    case TellKind::Shutdown: return take_shutdown(worker);
    case TellKind::Notify: return take_notify(worker, decode<TellNotify>(bytes), std::move(attached));
  }
}

}  // namespace

void receive(Worker &worker) {
  for (int i = 0; i < most_in_a_round && !worker.done; i++) {
    std::uint8_t bytes[max_message];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec part{bytes, sizeof bytes};
    msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(worker.monitor.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0 && passing(errno)) return;
    if (size <= 0) {
      worker.done = true;
      return;
    }
    Fd attached;
    const cmsghdr *item = CMSG_FIRSTHDR(&header);
    if (item != nullptr && item->cmsg_type == SCM_RIGHTS) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(item), sizeof fd);
      attached = Fd(fd);
    }
    handle(worker, bytes, static_cast<std::size_t>(size), std::move(attached));
  }
}

}  // namespace dm::worker
