// What the worker may ask, when, and what is done about it. The worker is hostile: every field is checked here, and one that is
// off ends it. Root with few capabilities.
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

constexpr int most_in_a_round = 256;  // then signals and children have their turn

bool running_owner(const Monitor &monitor, std::uint32_t owner) {
  return owner < monitor.policy.count() &&
         (monitor.policy.users[owner].flags & (user_runs | user_resolved)) == (user_runs | user_resolved);
}

// The slot a handle names, or nullptr where the handle was never issued or is old.
Slot *find(Monitor &monitor, const Handle &handle) {
  if (handle.slot >= monitor.table.high) return nullptr;
  Slot &slot = monitor.table.slots[handle.slot];
  return slot.state != SlotState::free && slot.generation == handle.generation ? &slot : nullptr;
}

constexpr const char *bad_zero = "a reserved field that is not zero";

// What each is asked with is sound so far: reserved fields are zero, and `slot` is the place that its handle names.
// They return nullptr, or why the worker is to be ended.

const char *do_ready(Monitor &monitor, const AskReady &) {
  monitor.worker.state = WorkerState::serving;
  mark_all(monitor);
  return nullptr;
}

const char *do_scan(Monitor &monitor, const AskScan &ask) {
  if (ask.create > 1) return bad_zero;
  if (!running_owner(monitor, ask.owner)) return "scan for one who may run nothing";
  Owner &owner = monitor.owners[ask.owner];
  owner.scan_again = true;
  owner.scan_create = owner.scan_create || ask.create != 0;
  start_scan(monitor, ask.owner);
  return nullptr;
}

const char *do_listen(Monitor &monitor, const AskListen &ask) {
  if (ask.owner >= monitor.policy.count()) return "an owner that is not in the policy";
  const std::uint32_t flags = monitor.policy.users[ask.owner].flags;
  if ((flags & user_resolved) == 0 || (flags & (user_runs | user_manages)) == 0) return "a socket for one who is not listed";
  start_listen(monitor, ask.owner);
  return nullptr;
}

const char *do_slot(Monitor &monitor, const AskSlot &ask) {
  if (ask.cookie == 0) return bad_zero;
  if (!running_owner(monitor, ask.owner)) return "a place for one who may run nothing";
  Owner &owner = monitor.owners[ask.owner];
  if (owner.no_slot_dirty) return "a second place asked for before the first answer";
  std::uint32_t &place = monitor.first_free;
  while (place < monitor.table.high && monitor.table.slots[place].state != SlotState::free) place++;
  const bool may = owner.places < monitor.policy.users[ask.owner].limits.daemons;
  if (!may || (place >= monitor.table.high && !set_high(monitor.table, place + 1))) {
    owner.no_slot_errno = may ? static_cast<std::uint32_t>(errno) : 0;
    owner.no_slot_cookie = ask.cookie;
    owner.no_slot_dirty = true;
    return mark_owner(monitor, ask.owner), nullptr;
  }
  owner.places++;
  Slot &slot = monitor.table.slots[place];
  const std::uint32_t generation = slot.generation + 1;
  slot = Slot{};
  slot.generation = generation;
  slot.owner_uid = slot.target_uid = owner.uid;
  slot.cookie = ask.cookie;
  slot.memo = ask.memo;
  slot.state = SlotState::idle;
  mark_slot(monitor, place);
  return nullptr;
}

const char *do_free(Monitor &monitor, const AskFree &ask, Slot &slot) {
  const Running &running = monitor.running[ask.handle.slot];
  // It has changed meanwhile, or something of it is still under way; the worker is told how it ends.
  if (slot.state != SlotState::idle || running.listen.pid != 0 || running.command != 0) return nullptr;
  drop_sockets(monitor, ask.handle.slot);
  drop_notify(monitor, ask.handle.slot);
  if ((slot.flags & slot_logged) != 0) order_log(monitor, ask.handle.slot, LogKind::close);
  remove_tree(monitor.trees, ask.handle.slot);
  slot.state = SlotState::free;
  if (const std::uint32_t owner = owner_of(monitor, slot.owner_uid); owner != no_user) monitor.owners[owner].places--;
  if (ask.handle.slot < monitor.first_free) monitor.first_free = ask.handle.slot;
  std::uint32_t high = monitor.table.high;
  while (high > 0 && monitor.table.slots[high - 1].state == SlotState::free) high--;
  set_high(monitor.table, high);
  return nullptr;
}

const char *do_remember(Monitor &monitor, const AskRemember &ask, Slot &slot) {
  slot.memo = ask.memo;
  if (ask.cookie != 0) slot.cookie = ask.cookie, mark_slot(monitor, ask.handle.slot);
  return nullptr;
}

// What Start, Bind and Command have in common: who may have what done as whom, and when. `fits`: the place is in a state for it;
// `late`: also while everything is being stopped.
template <typename Ask>
const char *act_for(Monitor &monitor, const Ask &ask, Slot &slot, bool fits, bool late, Refusal (*act)(Monitor &, std::uint32_t, const Ask &)) {
  if (ask.target >= monitor.policy.count()) return "a target that is not in the policy";
  if (ask.instance > max_instances) return "an instance that does not exist";
  const std::uint32_t owner = owner_of(monitor, slot.owner_uid);
  if (owner != no_user && !monitor.policy.may_run(owner, ask.target)) return "a pair that root does not allow";
  const bool known = (monitor.policy.users[ask.target].flags & user_resolved) != 0;
  slot.memo = ask.memo;  // first: should we be killed on the way, the next worker knows what was asked for
  if (owner == no_user || !running_owner(monitor, owner) || !known) slot.refusal = Refusal::not_allowed;
  else if (monitor.stopping && !late) slot.refusal = Refusal::shutdown;
  // (and nothing is done beside what runs as another)
  else if (!fits || monitor.running[ask.handle.slot].listen.pid != 0 ||
           (slot.state != SlotState::idle && monitor.policy.users[ask.target].uid != slot.target_uid)) slot.refusal = Refusal::busy;
  else if (ask.book != monitor.owners[owner].generation || !monitor.owners[owner].full_book)
    slot.refusal = Refusal::stale_book;
  else if (!take_token(monitor, owner)) slot.refusal = Refusal::throttled;
  else slot.refusal = act(monitor, ask.handle.slot, ask);
  mark_slot(monitor, ask.handle.slot);
  return nullptr;
}

const char *do_start(Monitor &monitor, const AskStart &ask, Slot &slot) {
  if ((ask.flags & ~std::uint32_t{start_logged | start_notified | start_after_exit}) != 0) return "flags that do not exist";
  return act_for(monitor, ask, slot, slot.state == SlotState::idle, (ask.flags & start_after_exit) != 0, start_daemon);
}

const char *do_signal(Monitor &monitor, const AskSignal &ask, Slot &slot) {
  if (ask.signal < 1 || ask.signal > 64) return "a signal that does not exist";
  if (ask.scope > Scope::log) return "a scope that does not exist";
  slot.memo = ask.memo;
  signal_slot(monitor, ask.handle.slot, ask.scope, ask.signal);
  return nullptr;
}

const char *do_done(Monitor &monitor, const AskDone &) {
  if (!monitor.stopping) return "done with a shutdown that nobody asked for";
  monitor.done = true;
  return nullptr;
}

// nullptr, or what is wrong with a socket that the worker describes. Only a port that root grants the owner has an address.
const char *judge(const Monitor &monitor, std::uint32_t owner, const SocketSpec &spec) {
  if (spec.family < Family::local || spec.family > Family::inet6) return "a family that does not exist";
  const bool low = spec.port != 0 && spec.family != Family::local;
  const std::size_t used = !low ? 0 : spec.family == Family::inet ? 4 : 16;
  for (std::size_t i = used; i < sizeof spec.address; i++)
    if (spec.address[i] != 0) return bad_zero;
  if (spec.port >= first_free_port || (spec.port != 0 && !low)) return "a port that needs nobody's word";
  return low && (owner == no_user || !monitor.policy.may_bind(owner, spec.port)) ? "a port that root does not grant" : nullptr;
}

const char *do_bind(Monitor &monitor, const AskBind &ask, Slot &slot) {
  if ((ask.flags & ~std::uint32_t{bind_armed}) != 0) return "flags that do not exist";
  if (ask.count < 1 || ask.count > max_sockets) return "a number of sockets that cannot be";
  static constexpr SocketSpec none{};
  for (std::uint32_t i = 0; i < max_sockets; i++) {
    const char *wrong = i < ask.count ? judge(monitor, owner_of(monitor, slot.owner_uid), ask.sockets[i]) : std::memcmp(&ask.sockets[i], &none, sizeof none) == 0 ? nullptr : bad_zero;
    if (wrong != nullptr) return wrong;
  }
  return act_for(monitor, ask, slot, slot.state == SlotState::idle || (slot.state == SlotState::running && slot.sockets == 0), false, bind_sockets);
}

const char *do_unbind(Monitor &monitor, const AskUnbind &ask, Slot &slot) {
  if (monitor.running[ask.handle.slot].listen.pid == 0) unbind_sockets(monitor, ask.handle.slot);
  else slot.refusal = Refusal::busy, mark_slot(monitor, ask.handle.slot);
  return nullptr;
}

const char *do_command(Monitor &monitor, const AskCommand &ask, Slot &slot) {
  if (ask.command != Command::stop && ask.command != Command::reload) return "a command that does not exist";
  return act_for(monitor, ask, slot, slot.state == SlotState::running && monitor.running[ask.handle.slot].command == 0, true, run_command);
}

const char *do_lend(Monitor &monitor, const AskLend &ask, Slot &slot) {
  const bool root = ask.reader == reader_root;
  if ((!root && ask.reader >= monitor.policy.count()) || ask.instance > max_instances) return "a reader or an instance that does not exist";
  const std::uint32_t owner = owner_of(monitor, slot.owner_uid);
  if (!root && owner != no_user && !monitor.policy.may_manage(ask.reader, owner)) return "a reader whom root does not allow";
  const bool known = owner != no_user && (root || (monitor.policy.users[ask.reader].flags & user_resolved) != 0);
  if (known && ask.book == monitor.owners[owner].generation && take_token(monitor, owner)) lend_log(monitor, owner, ask);
  return nullptr;
}

const char *do_record(Monitor &monitor, const AskRecord &ask, Slot &) {
  if (ask.at >= events_kept) return "an event out of range";
  return (void)!::pwrite(monitor.history.get(), &ask.event, sizeof ask.event, static_cast<off_t>(history_at(ask.handle.slot, ask.at))), nullptr;
}

// One row for each kind: in which state of the worker it is permitted, and who does it.
struct Row {
  WorkerState permitted;
  const char *(*handle)(Monitor &, const std::uint8_t *);
};

template <typename Ask, auto handler>
const char *decode(Monitor &monitor, const std::uint8_t *bytes) {
  Ask ask;
  std::memcpy(&ask, bytes, sizeof ask);
  if constexpr (requires { ask.zero; })
    if (ask.zero != 0) return bad_zero;
  if constexpr (requires { ask.handle; }) {
    Slot *slot = find(monitor, ask.handle);
    return slot == nullptr ? "a handle that was not issued" : handler(monitor, ask, *slot);
  } else {
    return handler(monitor, ask);
  }
}

constexpr Row rows[] = {
    {WorkerState::starting, decode<AskReady, do_ready>}, {WorkerState::serving, decode<AskScan, do_scan>},
    {WorkerState::serving, decode<AskListen, do_listen>}, {WorkerState::serving, decode<AskSlot, do_slot>},
    {WorkerState::serving, decode<AskFree, do_free>}, {WorkerState::serving, decode<AskRemember, do_remember>},
    {WorkerState::serving, decode<AskStart, do_start>}, {WorkerState::serving, decode<AskSignal, do_signal>},
    {WorkerState::serving, decode<AskDone, do_done>}, {WorkerState::serving, decode<AskBind, do_bind>},
    {WorkerState::serving, decode<AskUnbind, do_unbind>}, {WorkerState::serving, decode<AskCommand, do_command>},
    {WorkerState::serving, decode<AskLend, do_lend>}, {WorkerState::serving, decode<AskRecord, do_record>},
};
static_assert(sizeof rows / sizeof *rows == ask_kinds);

const char *handle(Monitor &monitor, const std::uint8_t *bytes, std::size_t size) {
  std::uint32_t kind;
  if (size < sizeof kind) return "a message without a kind";
  std::memcpy(&kind, bytes, sizeof kind);
  if (kind >= ask_kinds) return "a message of no known kind";
  if (size != ask_sizes[kind]) return "a message of the wrong length";
  if (rows[kind].permitted != monitor.worker.state) return "a message out of its time";
  return rows[kind].handle(monitor, bytes);
}

}  // namespace

void receive(Monitor &monitor) {
  std::uint8_t bytes[max_message + 1];
  for (int i = 0; i < most_in_a_round && monitor.worker.state != WorkerState::none && !monitor.stages.full(); i++) {
    iovec part{bytes, sizeof bytes};
    // No room for descriptors: the kernel drops what is attached, and says so.
    msghdr header{nullptr, 0, &part, 1, nullptr, 0, 0};
    const ssize_t size = ::recvmsg(monitor.worker.socket.get(), &header, MSG_DONTWAIT);
    // Short of memory for a moment: it is still there, and reported again.
    if (size < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM || errno == ENOBUFS)) return;
    if (size <= 0) return hang_up(monitor);
    const char *wrong = (header.msg_flags & MSG_CTRUNC) != 0 ? "it sent descriptors"
                        : (header.msg_flags & MSG_TRUNC) != 0 ? "a message too long"
                                                              : handle(monitor, bytes, static_cast<std::size_t>(size));
    if (wrong != nullptr) return reject_worker(monitor, wrong);
  }
}

}  // namespace dm::monitor
