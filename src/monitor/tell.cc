// Tells the worker what it does not know yet. Nothing is queued: what has changed is dirty, and is told as it stands when the
// socket takes it, so a thousand exits at once cost a thousand bits. Root with few capabilities.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

enum class Sent { yes, full, broken };

template <typename Tell>
Sent tell(Monitor &monitor, const Tell &it, const Fd &attached) {
  const int fd = attached.get();
  monitor.busy = true;  // whether the worker reads it is seen at the next tick
  if (send_datagram(monitor.worker.socket, &it, sizeof it, {&fd, attached ? 1U : 0U})) return Sent::yes;
  // ETOOMANYREFS: too many descriptors on their way; they go when the worker reads on.
  return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS || errno == ENOMEM ? Sent::full : Sent::broken;
}

Sent tell_slot(Monitor &monitor, std::uint32_t index) {
  Slot &slot = monitor.table.slots[index];
  if (slot.state == SlotState::free) return Sent::yes;
  TellSlot it = {};
  it.kind = TellKind::Slot;
  it.owner = owner_of(monitor, it.owner_uid = slot.owner_uid);
  it.handle = {index, slot.generation};
  it.target = monitor.policy.find_uid(slot.target_uid);
  it.connected = (slot.flags & slot_connected) != 0;
#define DM_COPY(type, name) it.name = slot.name;
  DM_SLOT_FACTS(DM_COPY)
#undef DM_COPY
  if (slot.state != SlotState::starting && slot.state != SlotState::running) it.pid = 0;
  Sent sent = tell(monitor, it, {});
  if (sent == Sent::yes) slot.cookie = 0, slot.refusal = Refusal::none;
  Running &running = monitor.running[index];
  if (sent != Sent::yes || !running.notify || !running.notify_dirty) return sent;
  sent = tell(monitor, TellNotify{TellKind::Notify, 0, it.handle}, running.notify);
  running.notify_dirty = sent != Sent::yes;
  return sent;
}

Sent tell_owner(Monitor &monitor, std::uint32_t index) {
  Owner &owner = monitor.owners[index];
  const Fd none;
  Sent sent = Sent::yes;
  const auto once = [&](bool &dirty, const auto &it, const Fd &attached) {
    if (dirty && sent == Sent::yes) sent = tell(monitor, it, attached), dirty = sent != Sent::yes;
  };
  once(owner.book_dirty, TellBook{TellKind::Book, index, owner.book_result, owner.book_errno, owner.generation}, owner.book_result == BookResult::ok ? owner.book : none);
  once(owner.listener_dirty, TellListener{TellKind::Listener, index, owner.listen_result, 0}, owner.listener);
  once(owner.no_slot_dirty, TellNoSlot{TellKind::NoSlot, index, owner.no_slot_cookie, owner.no_slot_errno}, none);
  return sent;
}

Sent tell_dirty(Monitor &monitor) {
  for (std::uint32_t word = 0; monitor.dirty_count != 0 && word < dirty_bits / 64; word++)
    while (monitor.dirty[word] != 0) {
      const std::uint32_t bit = word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(monitor.dirty[word]));
      const Sent sent = bit < max_users ? tell_owner(monitor, bit) : tell_slot(monitor, bit - max_users);
      if (sent != Sent::yes) return sent;
      monitor.dirty[word] &= monitor.dirty[word] - 1;
      monitor.dirty_count--;
    }
  return Sent::yes;
}

// Once for each worker, after all that it has to know: the sockets that are no home's, and that this was all.
Sent tell_rest(Monitor &monitor) {
  Worker &worker = monitor.worker;
  Sent sent = Sent::yes;
  while (worker.told < 3 && sent == Sent::yes) {
    if (worker.told == 0) sent = tell(monitor, TellListener{TellKind::Listener, listener_root, 0, 0}, monitor.root_socket);
    if (worker.told == 1) sent = tell(monitor, TellListener{TellKind::Listener, listener_shared, 0, 0}, monitor.shared_socket);
    if (worker.told == 2) sent = tell(monitor, TellReplayed{TellKind::Replayed, 0}, {});
    if (sent == Sent::yes && ++worker.told == 3) announce(monitor);
  }
  if (sent == Sent::yes && worker.shutdown_dirty && monitor.stopping) {
    const std::int64_t left = monitor.stop_deadline - now_ms();
    sent = tell(monitor, TellShutdown{TellKind::Shutdown, left > 0 ? static_cast<std::uint32_t>(left) : 0}, {});
    worker.shutdown_dirty = sent != Sent::yes;
  }
  return sent;
}

void mark(Monitor &monitor, std::uint32_t index) {
  std::uint64_t &word = monitor.dirty[index / 64];
  const std::uint64_t bit = std::uint64_t{1} << index % 64;
  if ((word & bit) == 0) monitor.dirty_count++;
  word |= bit;
}

}  // namespace

bool send_datagram(const Fd &socket, const void *bytes, std::size_t size, std::span<const int> attached) {
  iovec part{const_cast<void *>(bytes), size};  // sendmsg does not write there
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = {};
  msghdr header{nullptr, 0, &part, 1, control, attached.empty() ? 0 : CMSG_SPACE(attached.size_bytes()), 0};
  if (cmsghdr *item = CMSG_FIRSTHDR(&header); item != nullptr) {
    *item = {CMSG_LEN(attached.size_bytes()), SOL_SOCKET, SCM_RIGHTS};
    std::memcpy(CMSG_DATA(item), attached.data(), attached.size_bytes());
  }
  return ::sendmsg(socket.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

void mark_owner(Monitor &monitor, std::uint32_t owner) { mark(monitor, owner); }
void mark_slot(Monitor &monitor, std::uint32_t slot) { mark(monitor, max_users + slot); }

void mark_all(Monitor &monitor) {
  for (std::uint32_t i = 0; i < monitor.table.high; i++) monitor.running[i].notify_dirty = true, mark_slot(monitor, i);
  for (std::uint32_t i = 0; i < monitor.policy.count(); i++) {
    Owner &owner = monitor.owners[i];
    owner.book_dirty = owner.generation != 0 && owner.book_result == BookResult::ok;
    owner.listener_dirty = static_cast<bool>(owner.listener);
    owner.no_slot_dirty = false;  // the worker that asked is gone
    mark_owner(monitor, i);
  }
  monitor.worker.shutdown_dirty = monitor.stopping;
}

void flush(Monitor &monitor) {
  Worker &worker = monitor.worker;
  if (worker.state != WorkerState::serving || !worker.socket) return;
  Sent sent = tell_dirty(monitor);
  if (sent == Sent::yes) sent = tell_rest(monitor);
  if (sent == Sent::broken) return hang_up(monitor);
  const std::uint32_t wanted = (monitor.stages.full() ? 0U : std::uint32_t{EPOLLIN}) | (sent == Sent::full ? std::uint32_t{EPOLLOUT} : 0U);
  if (wanted == worker.wanted) return;
  worker.wanted = wanted;
  watch(monitor, worker.socket.get(), wanted, Source::worker, 0);
}

}  // namespace dm::monitor
