// The monitor that the worker talks to in the fuzz targets. It is strict: what would make the real one end the worker is a finding.
#include "worker_world.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <utility>

namespace dm::fuzz {

namespace {

const Policy &policy(const World &w) { return w.worker->policy; }

std::uint32_t flags_of(const World &w, std::uint32_t row) { return row < policy(w).count() ? policy(w).users[row].flags : 0; }

std::uint32_t uid_of(const World &w, std::uint32_t row) {
  if (row >= policy(w).count()) return no_user;
  const bool resolved = (flags_of(w, row) & user_resolved) != 0;
  return resolved ? policy(w).users[row].uid : row_of(w, uid_david) == row ? uid_david : no_user;
}

bool runs(const World &w, std::uint32_t row) { return (flags_of(w, row) & (user_runs | user_resolved)) == (user_runs | user_resolved); }

template <typename Message>
Message as(std::string_view bytes) {
  Message message;
  std::memcpy(&message, bytes.data(), sizeof message);
  return message;
}

void tell(World &w, const void *bytes, std::size_t size, const Fd &attached = Fd()) {
  iovec part{const_cast<void *>(bytes), size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (attached) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr *item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = attached.get();
    std::memcpy(CMSG_DATA(item), &fd, sizeof fd);
  }
  (void)!::sendmsg(w.monitor.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void tell_listener(World &w, std::uint32_t row) {
  int ends[2];
  must(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "there are pipes");
  const TellListener message{TellKind::Listener, row, 0, 0};
  tell(w, &message, sizeof message, Fd(ends[0]));
  w.listeners[row] = Fd(ends[1]);
}

Place &place_of(World &w, const Handle &handle) {
  must(handle.slot < w.places.size(), "the worker names places that it was given");
  Place &place = w.places[handle.slot];
  must(place.told.state != SlotState::free && place.told.handle == handle, "the worker names handles that it was given");
  return place;
}

// ---- what the worker asks ----
void take_slot_asks(World &w) {
  for (const auto &[row, ask] : std::exchange(w.slot_asks, {})) {
    std::uint32_t his = 0, at = 0;
    for (const Place &place : w.places)
      his += place.told.state != SlotState::free && place.owner_uid == uid_of(w, row) ? 1U : 0U;
    while (at < w.places.size() && w.places[at].told.state != SlotState::free) at++;
    if (his >= policy(w).users[row].limits.daemons || at == most_places) {
      const TellNoSlot no{TellKind::NoSlot, row, ask.cookie, 0};
      tell(w, &no, sizeof no);
      continue;
    }
    if (at == w.places.size()) w.places.emplace_back();
    Place &place = w.places[at];
    const std::uint32_t generation = place.told.handle.generation + 1;
    place = Place{};
    place.dirty = true;
    place.owner_uid = place.target_uid = policy(w).users[row].uid;
    place.told.handle = {at, generation};
    place.told.state = SlotState::idle;
    place.told.cookie = ask.cookie;
    place.told.memo = ask.memo;
  }
}

// What the monitor asks of Start, Bind and Command alike. False where it refuses, which is told.
template <typename Ask>
bool permitted(World &w, Place &place, const Ask &ask, bool fits, bool late) {
  const std::uint32_t owner = row_of(w, place.owner_uid);
  must(ask.target < policy(w).count(), "the worker names targets of the policy");
  must(ask.instance <= max_instances, "the worker names instances that there can be");
  must(owner == no_user || policy(w).may_run(owner, ask.target), "the worker starts only pairs that root allows");
  place.told.memo = ask.memo;
  place.dirty = true;
  if (owner == no_user || !runs(w, owner) || (flags_of(w, ask.target) & user_resolved) == 0) place.told.refusal = Refusal::not_allowed;
  else if (w.stopping && !late) place.told.refusal = Refusal::shutdown;
  else if (!fits) place.told.refusal = Refusal::busy;
  else if (ask.book != w.generations[place.owner_uid]) place.told.refusal = Refusal::stale_book;
  else place.told.refusal = std::exchange(w.refuse, Refusal::none);
  if (place.told.refusal != Refusal::none) return false;
  must(policy_allows(w.policy, place.owner_uid, policy(w).users[ask.target].uid), "what the monitor starts root allows");
  return true;
}

void make_notify(Place &place) {
  if (place.notify) return;
  int ends[2];
  must(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0, "there are sockets");
  place.notify = Fd(ends[0]);
  place.notify_end = Fd(ends[1]);
  place.notify_dirty = true;
}

void take_start(World &w, const AskStart &ask) {
  Place &place = place_of(w, ask.handle);
  must((ask.flags & ~std::uint32_t{start_logged | start_notified | start_after_exit}) == 0, "the worker sets flags that there are");
  const bool after = (ask.flags & start_after_exit) != 0;
  if (!permitted(w, place, ask, place.told.state == SlotState::idle, after)) return;
  if ((ask.flags & start_notified) != 0) make_notify(place);
  place.target_uid = policy(w).users[ask.target].uid;
  place.told.state = SlotState::starting;
  place.told.pid = ++w.last_pid;
  place.told.runs++;
  place.told.end_code = place.told.end_status = 0;
  place.told.report = {};
  place.told.connected = 0;
  place.told.started_ms = w.now_ms;
  if (w.obedient) daemon_runs(w, ask.handle.slot);
  if (w.obedient && after) daemon_ends(w, ask.handle.slot, CLD_EXITED, 0, {});
}

void judge_spec(const World &w, const Place &place, const SocketSpec &spec) {
  must(spec.family >= Family::local && spec.family <= Family::inet6, "the worker names families that there are");
  must(spec.port < first_free_port, "the worker asks for no port that needs nobody's word");
  must(spec.port == 0 || spec.family != Family::local, "a path has no port");
  must(spec.port == 0 || policy(w).may_bind(row_of(w, place.owner_uid), spec.port), "the worker asks only for ports that root grants");
  const std::size_t used = spec.port == 0 ? 0 : spec.family == Family::inet ? 4 : 16;
  for (std::size_t i = used; i < sizeof spec.address; i++) must(spec.address[i] == 0, "the worker names no address that is not needed");
}

void take_bind(World &w, const AskBind &ask) {
  Place &place = place_of(w, ask.handle);
  must((ask.flags & ~std::uint32_t{bind_armed}) == 0, "the worker sets flags that there are");
  must(ask.count >= 1 && ask.count <= max_sockets, "the worker asks for as many sockets as there can be");
  static constexpr SocketSpec none{};
  for (std::uint32_t i = 0; i < max_sockets; i++)
    i < ask.count ? judge_spec(w, place, ask.sockets[i]) : must(std::memcmp(&ask.sockets[i], &none, sizeof none) == 0, "what is not used is zero");
  TellSlot &it = place.told;
  const bool fits = it.state == SlotState::idle || (it.state == SlotState::running && it.sockets == 0);
  if (!permitted(w, place, ask, fits, false)) return;
  it.report = it.sockets == 0 ? std::exchange(place.bind, RunReport{}) : RunReport{};
  if (it.report.stage == RunStage::none && it.sockets == 0) it.sockets = ask.count;
  it.connected = 0;
  it.binds++;
}

void take_unbind(World &w, const AskUnbind &ask) {
  Place &place = place_of(w, ask.handle);
  must(place.told.state == SlotState::idle, "sockets are taken away from nothing that runs");
  place.told.sockets = place.told.connected = 0;
  place.told.binds++;
  place.dirty = true;
}

void take_command(World &w, const AskCommand &ask) {
  Place &place = place_of(w, ask.handle);
  must(ask.command == Command::stop || ask.command == Command::reload, "the worker runs commands that there are");
  must(w.may_stop.contains(place.owner_uid), "nobody's daemon is stopped by others");
  if (!permitted(w, place, ask, place.told.state == SlotState::running, true)) return;
  place.told.commands++;
  place.told.command_code = w.command_code;
  place.told.command_status = w.command_status;
}

void take_signal(World &w, const AskSignal &ask) {
  Place &place = place_of(w, ask.handle);
  must(ask.signal >= 1 && ask.signal <= 64 && ask.scope <= Scope::log, "the worker sends signals that there are");
  must(ask.scope != Scope::main || w.may_stop.contains(place.owner_uid), "nobody's daemon is stopped by others");
  place.told.memo = ask.memo;
  if (ask.scope == Scope::log) return;
  const SlotState state = place.told.state;
  const bool main_lives = state == SlotState::starting || state == SlotState::running;
  const bool dies = ask.signal == SIGKILL || (w.obedient && ask.scope == Scope::main);
  if (main_lives && dies) daemon_ends(w, ask.handle.slot, CLD_KILLED, ask.signal, {});
  if (ask.scope == Scope::tree && (ask.signal == SIGKILL || w.obedient)) daemon_empties(w, ask.handle.slot);
}

void take(World &w, std::string_view bytes) {
  must(bytes.size() >= sizeof(AskKind), "the worker sends whole messages");
  const auto kind = as<AskKind>(bytes);
  must(static_cast<std::uint32_t>(kind) < ask_kinds && bytes.size() == ask_sizes[static_cast<std::uint32_t>(kind)], "the worker sends whole messages");
  must((kind == AskKind::Ready) == !w.ready, "the worker is ready once");
  switch (kind) {
    case AskKind::Ready: w.ready = true; return;
    case AskKind::Scan: {
      const auto ask = as<AskScan>(bytes);
      must(runs(w, ask.owner) && ask.create <= 1, "the worker has confs read of those who may have some");
      w.scans.insert(ask.owner);
      w.scanned.insert(uid_of(w, ask.owner));
      return;
    }
    case AskKind::Listen: {
      const auto ask = as<AskListen>(bytes);
      must((flags_of(w, ask.owner) & user_resolved) != 0 && (flags_of(w, ask.owner) & (user_runs | user_manages)) != 0,
           "the worker wants sockets for those who are listed");
      return tell_listener(w, ask.owner);
    }
    case AskKind::Slot: {
      const auto ask = as<AskSlot>(bytes);
      must(runs(w, ask.owner) && ask.cookie != 0, "the worker wants places for those who may have some");
      must(w.slot_asks.emplace(ask.owner, ask).second, "the worker waits for one place before it asks for the next");
      return;
    }
    case AskKind::Free: {
      Place &place = place_of(w, as<AskFree>(bytes).handle);
      must(place.told.sockets == 0, "no sockets are left to a place that is given back");
      if (place.told.state == SlotState::idle) place.told.state = SlotState::free, place.dirty = false;
      return;
    }
    case AskKind::Remember: {
      const auto ask = as<AskRemember>(bytes);
      Place &place = place_of(w, ask.handle);
      place.told.memo = ask.memo;
      if (ask.cookie != 0) place.told.cookie = ask.cookie, place.dirty = true;
      return;
    }
    case AskKind::Start: return take_start(w, as<AskStart>(bytes));
    case AskKind::Signal: return take_signal(w, as<AskSignal>(bytes));
    case AskKind::Bind: return take_bind(w, as<AskBind>(bytes));
    case AskKind::Unbind: return take_unbind(w, as<AskUnbind>(bytes));
    case AskKind::Command: return take_command(w, as<AskCommand>(bytes));
    case AskKind::Lend: {
      const auto ask = as<AskLend>(bytes);
      const std::uint32_t owner = place_of(w, ask.handle).told.owner;
      must(owner == no_user || policy(w).may_manage(ask.reader, owner), "nobody's log is lent to whoever does not manage him");
      return;
    }
    case AskKind::Record: {
      const auto ask = as<AskRecord>(bytes);
      place_of(w, ask.handle);
      must(ask.at < events_kept, "the worker keeps events where there is room for them");
      must(::pwrite(w.worker->history.get(), &ask.event, sizeof ask.event, static_cast<off_t>(history_at(ask.handle.slot, ask.at))) == sizeof ask.event, "they are kept");
      return;
    }
    case AskKind::Done:
      must(w.stopping, "the worker has done when it was told to stop");
      w.worker->done = w.finished = true;
      return;
  }
}

void tell_book_file(World &w, std::uint32_t row, std::uint32_t uid) {
  const Fd file(::memfd_create("book", MFD_CLOEXEC));
  (void)!::pwrite(file.get(), w.read[uid].data(), w.read[uid].size(), 0);
  const TellBook message{TellKind::Book, row, BookResult::ok, 0, w.generations[uid]};
  tell(w, &message, sizeof message, file);
}

}  // namespace

void begin_worker(World &w) {
  w.ready = w.replayed = w.stopping = false;
  w.scans.clear();
  w.slot_asks.clear();
  w.listeners.clear();
  w.peers.clear();
  for (Place &place : w.places)
    place.told.cookie = 0, place.dirty = place.told.state != SlotState::free, place.notify_dirty = static_cast<bool>(place.notify);
}

void hear_worker(World &w) {
  char bytes[max_message + 1];
  for (ssize_t size; !w.deaf && (size = ::recv(w.monitor.get(), bytes, sizeof bytes, MSG_DONTWAIT)) >= 0;)
    if (size > 0) take(w, {bytes, static_cast<std::size_t>(size)});
    else return;
}

void tell_worker(World &w) {
  if (!w.ready || w.deaf) return;
  // As the real one does: what is known of owners comes before their places.
  for (std::uint32_t row = 0; !w.replayed && row < policy(w).count(); row++)
    if (const std::uint32_t uid = uid_of(w, row); w.read.contains(uid)) tell_book_file(w, row, uid);
  take_slot_asks(w);
  for (Place &place : w.places) {
    if (!std::exchange(place.dirty, false)) continue;
    TellSlot &it = place.told;
    it.kind = TellKind::Slot;
    it.owner = row_of(w, place.owner_uid);
    it.target = policy(w).find_uid(place.target_uid);
    TellSlot message = it;
    if (it.state != SlotState::starting && it.state != SlotState::running) message.pid = 0;
    tell(w, &message, sizeof message);
    it.cookie = 0;
    it.refusal = Refusal::none;
    if (!place.notify || !std::exchange(place.notify_dirty, false)) continue;
    const TellNotify notify{TellKind::Notify, 0, it.handle};
    tell(w, &notify, sizeof notify, place.notify);
  }
  if (!std::exchange(w.replayed, true)) {
    for (const std::uint32_t row : {listener_root, listener_shared}) tell_listener(w, row);
    const TellReplayed done{TellKind::Replayed, 0};
    tell(w, &done, sizeof done);
  }
  if (!w.obedient) return;
  for (const std::uint32_t row : std::exchange(w.scans, {})) {
    const auto book = w.books.find(uid_of(w, row));
    tell_book(w, row, book == w.books.end() ? BookResult::failed : BookResult::ok, book == w.books.end() ? "" : book->second);
  }
}

std::uint32_t row_of(const World &w, std::uint32_t uid) {
  const std::uint32_t row = policy(w).find_uid(uid);
  return row == no_user && uid == uid_david ? policy(w).find_name("david") : row;
}

void tell_book(World &w, std::uint32_t row, BookResult result, std::string_view bytes) {
  const std::uint32_t uid = uid_of(w, row);
  if (!w.replayed || !w.scanned.contains(uid)) return;
  w.scans.erase(row);
  w.may_stop.insert(uid);  // a conf that is gone, or means another host, stops its daemon
  if (result == BookResult::ok) {
    w.generations[uid] = ++w.last_generation;
    w.read[uid] = bytes;
    return tell_book_file(w, row, uid);
  }
  const TellBook message{TellKind::Book, row, result, 0, 0};
  tell(w, &message, sizeof message);
}

void tell_shutdown(World &w) {
  w.stopping = true;
  w.may_stop = {uid_root, uid_www, uid_david, uid_amy, uid_bob, uid_carl, 65534};
  const TellShutdown message{TellKind::Shutdown, 60'000};
  tell(w, &message, sizeof message);
}

void daemon_runs(World &w, std::uint32_t at) {
  if (at >= w.places.size() || w.places[at].told.state != SlotState::starting) return;
  w.places[at].told.state = SlotState::running;
  w.places[at].dirty = true;
}

void daemon_ends(World &w, std::uint32_t at, std::int32_t code, std::int32_t status, const RunReport &report) {
  if (at >= w.places.size()) return;
  TellSlot &it = w.places[at].told;
  if (it.state != SlotState::starting && it.state != SlotState::running) return;
  if (it.state == SlotState::starting) it.report = report;
  it.state = SlotState::draining;
  it.end_code = code;
  it.end_status = status;
  it.ended_ms = w.now_ms;
  w.places[at].dirty = true;
  if (w.obedient) daemon_empties(w, at);
}

void daemon_says(World &w, std::uint32_t at, std::string_view bytes) {
  if (at < w.places.size() && w.places[at].notify_end)
    (void)!::send(w.places[at].notify_end.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void somebody_connects(World &w, std::uint32_t at) {
  if (at >= w.places.size() || w.places[at].told.sockets == 0 || w.places[at].told.state != SlotState::idle) return;
  w.places[at].told.connected = 1;
  w.places[at].dirty = true;
}

void sockets_are_lost(World &w, std::uint32_t at) {
  if (at >= w.places.size()) return;
  w.places[at].told.sockets = w.places[at].told.connected = 0;
  w.places[at].dirty = true;
}

void daemon_empties(World &w, std::uint32_t at) {
  if (at >= w.places.size() || w.places[at].told.state != SlotState::draining) return;
  w.places[at].told.state = SlotState::idle;
  w.places[at].dirty = true;
}

}  // namespace dm::fuzz
