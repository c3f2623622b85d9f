// Tells the worker what it does not know yet. Nothing is queued: what has changed is dirty, and is told as it stands when the
// socket takes it, so a thousand exits at once cost a thousand bits. Root with four capabilities.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

enum class Sent { yes, full, broken };

Sent send(Monitor &monitor, const void *message, std::size_t size, int attached) {
  iovec part{const_cast<void *>(message), size};  // sendmsg does not write there
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (attached >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr *item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(item), &attached, sizeof attached);
  }
  if (::sendmsg(monitor.worker.socket.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Sent::yes;
  // ETOOMANYREFS: too many descriptors on their way; they go when the worker reads on.
  return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS || errno == ENOMEM ? Sent::full : Sent::broken;
}

TellSlot describe(const Monitor &monitor, std::uint32_t index) {
  const Slot &slot = monitor.table.slots[index];
  TellSlot tell = {};
  tell.kind = TellKind::Slot;
  tell.owner = owner_of(monitor, slot.owner_uid);
  tell.handle = {index, slot.generation};
  tell.target = monitor.policy.find_uid(slot.target_uid);
  tell.cookie = slot.cookie;
  tell.state = slot.state;
  tell.refusal = slot.refusal;
  tell.pid = slot.state == SlotState::starting || slot.state == SlotState::running ? slot.pid : 0;
  tell.runs = slot.runs;
  tell.end_code = slot.end_code;
  tell.end_status = slot.end_status;
  tell.report = slot.report;
  tell.started_ms = slot.started_ms;
  tell.ended_ms = slot.ended_ms;
  tell.memo = slot.memo;
  return tell;
}

Sent tell_owner(Monitor &monitor, std::uint32_t index) {
  Owner &owner = monitor.owners[index];
  Sent sent = Sent::yes;
  if (owner.book_dirty) {
    const TellBook tell{TellKind::Book, index, owner.book_result, owner.book_errno, owner.generation};
    sent = send(monitor, &tell, sizeof tell, owner.book_result == BookResult::ok ? owner.book.get() : -1);
    if (sent != Sent::yes) return sent;
    owner.book_dirty = false;
  }
  if (owner.listener_dirty) {
    const TellListener tell{TellKind::Listener, index, owner.listen_result, 0};
    sent = send(monitor, &tell, sizeof tell, owner.listener ? owner.listener.get() : -1);
    if (sent != Sent::yes) return sent;
    owner.listener_dirty = false;
  }
  if (owner.no_slot_dirty) {
    const TellNoSlot tell{TellKind::NoSlot, index, owner.no_slot_cookie, 0};
    sent = send(monitor, &tell, sizeof tell, -1);
    if (sent == Sent::yes) owner.no_slot_dirty = false;
  }
  return sent;
}

Sent tell_owners(Monitor &monitor) {
  if (!monitor.owners_dirty) return Sent::yes;
  for (std::uint32_t i = 0; i < monitor.policy.count(); i++)
    if (const Sent sent = tell_owner(monitor, i); sent != Sent::yes) return sent;
  monitor.owners_dirty = false;
  return Sent::yes;
}

Sent tell_slots(Monitor &monitor) {
  for (std::uint32_t word = 0; monitor.dirty_count != 0 && word * 64 < monitor.table.high; word++)
    while (monitor.dirty[word] != 0) {
      const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(monitor.dirty[word]));
      const std::uint32_t slot = word * 64 + bit;
      if (monitor.table.slots[slot].state != SlotState::free) {
        const TellSlot tell = describe(monitor, slot);
        if (const Sent sent = send(monitor, &tell, sizeof tell, -1); sent != Sent::yes) return sent;
        monitor.table.slots[slot].cookie = 0;
        monitor.table.slots[slot].refusal = Refusal::none;
      }
      monitor.dirty[word] &= monitor.dirty[word] - 1;
      monitor.dirty_count--;
    }
  return Sent::yes;
}

Sent tell_listener(Monitor &monitor, bool &dirty, std::uint32_t code, const Fd &socket) {
  const TellListener tell{TellKind::Listener, code, 0, 0};
  const Sent sent = dirty ? send(monitor, &tell, sizeof tell, socket.get()) : Sent::yes;
  if (sent == Sent::yes) dirty = false;
  return sent;
}

Sent tell_rest(Monitor &monitor) {
  Worker &worker = monitor.worker;
  Sent sent = tell_listener(monitor, monitor.root_dirty, listener_root, monitor.root_socket);
  if (sent == Sent::yes) sent = tell_listener(monitor, monitor.shared_dirty, listener_shared, monitor.shared_socket);
  if (sent == Sent::yes && !worker.replayed) {
    const TellReplayed tell{TellKind::Replayed, 0};
    sent = send(monitor, &tell, sizeof tell, -1);
    worker.replayed = sent == Sent::yes;
    if (worker.replayed) announce(monitor);
  }
  if (sent == Sent::yes && worker.shutdown_dirty && monitor.stopping) {
    const std::int64_t left = monitor.stop_deadline - now_ms();
    const TellShutdown tell{TellKind::Shutdown, left > 0 ? static_cast<std::uint32_t>(left) : 0};
    sent = send(monitor, &tell, sizeof tell, -1);
    worker.shutdown_dirty = sent != Sent::yes;
  }
  return sent;
}

}  // namespace

void mark_slot(Monitor &monitor, std::uint32_t slot) {
  std::uint64_t &word = monitor.dirty[slot / 64];
  const std::uint64_t bit = std::uint64_t{1} << slot % 64;
  if ((word & bit) == 0) monitor.dirty_count++;
  word |= bit;
}

void mark_all(Monitor &monitor) {
  for (std::uint32_t i = 0; i < monitor.table.high; i++)
    if (monitor.table.slots[i].state != SlotState::free) mark_slot(monitor, i);
  for (std::uint32_t i = 0; i < monitor.policy.count(); i++) {
    Owner &owner = monitor.owners[i];
    owner.book_dirty = owner.generation != 0 && owner.book_result == BookResult::ok;
    owner.listener_dirty = static_cast<bool>(owner.listener);
    owner.no_slot_dirty = false;  // the worker that asked is gone
  }
  monitor.owners_dirty = monitor.root_dirty = monitor.shared_dirty = true;
  monitor.worker.shutdown_dirty = monitor.stopping;
}

void flush(Monitor &monitor) {
  Worker &worker = monitor.worker;
  if (worker.state != WorkerState::serving || !worker.socket) return;
  Sent sent = tell_owners(monitor);
  if (sent == Sent::yes) sent = tell_slots(monitor);
  if (sent == Sent::yes) sent = tell_rest(monitor);
  if (sent == Sent::broken) return hang_up(monitor);
  const bool full = sent == Sent::full;
  if (full == worker.writable_wanted) return;
  worker.writable_wanted = full;
  watch(monitor, worker.socket.get(), full ? EPOLLIN | EPOLLOUT : EPOLLIN, Source::worker, 0);
}

}  // namespace dm::monitor
