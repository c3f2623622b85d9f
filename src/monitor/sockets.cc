// What a daemon listens on, made by dm-listen or, below port 1024, here by root's word; held as long as the daemon has its place,
// and looked at only for whether somebody waits or the daemon has shut it down. Also its notify socket. Root with few capabilities.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

// Blocking, as its daemon expects it; nobody accepts here. With a port of root's it is bound: safe because the address is checked,
// and the policy has the port. Empty with errno set.
Fd make_listener(const SocketSpec &spec) {
  const bool v4 = spec.family == Family::inet;
  Fd fd(::socket(spec.family == Family::local ? AF_UNIX : v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || spec.port == 0) return fd;
  // A sockaddr_in is the same at its beginning, but that its address stands where this one has the flow.
  sockaddr_in6 address{v4 ? sa_family_t{AF_INET} : sa_family_t{AF_INET6}, htons(spec.port), 0, {}, 0};
  std::memcpy(v4 ? static_cast<void *>(&address.sin6_flowinfo) : &address.sin6_addr, spec.address, v4 ? 4 : 16);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!v4) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  return ::bind(fd.get(), static_cast<sockaddr *>(static_cast<void *>(&address)), sizeof address) == 0 ? std::move(fd) : Fd();
}

// dm-listen for the place's sockets. Its one exception to one identity: the owner's uid and groups, and the target's gid.
bool start_dm_listen(Monitor &monitor, std::uint32_t index, const char *const *argv, const PolicyUser &owner, const Fd &book) {
  Running &running = monitor.running[index];
  const std::uint32_t target = monitor.policy.find_uid(monitor.table.slots[index].target_uid);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  running.listen.first = Fd(ends[0]);
  const Fd report(ends[1]);
  Spawn what = child_as(monitor, owner, monitor.programs.listen, argv);
  if (target != no_user) what.gid = monitor.policy.users[target].gid;
  what.own[0] = report.get();
  what.own[1] = book.get();
  for (std::uint32_t i = 0; i < max_sockets; i++) what.own[2 + i] = running.sockets[i].get();
  return start_errand(monitor, running.listen, what, ChildKind::sockets, index);
}

}  // namespace

Refusal bind_sockets(Monitor &monitor, std::uint32_t index, const AskBind &ask) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  const std::uint32_t owner = owner_of(monitor, slot.owner_uid);
  const PolicyUser &user = monitor.policy.users[owner];
  slot.flags = (slot.flags & ~std::uint32_t{slot_armed | slot_connected}) | ((ask.flags & bind_armed) != 0 ? std::uint32_t{slot_armed} : 0U);
  slot.report = {};
  if (slot.sockets != 0) return watch_sockets(monitor, index), slot.binds++, Refusal::none;
  monitor.alive++;
  slot.target_uid = monitor.policy.users[ask.target].uid;
  for (std::uint32_t i = 0; i < ask.count; i++)
    if (!(running.sockets[i] = make_listener(ask.sockets[i]))) {
      slot.report.detail = i;
      return sockets_done(monitor, index, -errno), Refusal::none;
    }
  const Label entry(ask.entry), instance(ask.instance), count(ask.count);
  const char *argv[] = {"dm-listen", "bind", entry.text, instance.text, count.text, monitor.policy.text(user.name), monitor.policy.text(user.home),
                        monitor.policy.text(monitor.policy.users[ask.target].name), nullptr};
  if (!start_dm_listen(monitor, index, argv, user, monitor.owners[owner].full_book)) sockets_done(monitor, index, -errno);
  return Refusal::none;
}

void unbind_sockets(Monitor &monitor, std::uint32_t index) {
  const std::uint32_t owner = owner_of(monitor, monitor.table.slots[index].owner_uid);
  for (const Fd &socket : monitor.running[index].sockets)
    if (socket) ::epoll_ctl(monitor.epoll.get(), EPOLL_CTL_DEL, socket.get(), nullptr);
  monitor.alive++;
  const char *argv[] = {"dm-listen", "remove", nullptr};
  const bool known = owner != no_user && (monitor.policy.users[owner].flags & user_resolved) != 0;
  if (monitor.table.slots[index].sockets == 0 || !known || !start_dm_listen(monitor, index, argv, monitor.policy.users[owner], Fd()))
    sockets_done(monitor, index, 0);
}

void sockets_done(Monitor &monitor, std::uint32_t index, int status) {
  Slot &slot = monitor.table.slots[index];
  Running &running = monitor.running[index];
  monitor.alive--;
  slot.binds++;
  mark_slot(monitor, index);
  if (slot.sockets != 0) return drop_sockets(monitor, index);  // their files are gone, or cannot be removed
  if (status == 0) {
    struct stat info = {};
    for (const Fd &socket : running.sockets)
      if (socket && ::fstat(socket.get(), &info) == 0) slot.socket_inodes[slot.sockets++] = info.st_ino;
    return watch_sockets(monitor, index);
  }
  slot.report.stage = status == -EADDRINUSE ? RunStage::listen_live : status == -ETIMEDOUT ? RunStage::deadline : RunStage::listen_bind;
  slot.report.errno_value = static_cast<std::uint16_t>(status < 0 ? -status : 0);
  RunReport said;
  if (status > 0 && ::read(running.listen.first.get(), &said, sizeof said) == sizeof said && said.stage >= RunStage::user && said.stage <= RunStage::listen_bind) slot.report = said;
  drop_sockets(monitor, index);
}

void watch_sockets(Monitor &monitor, std::uint32_t index) {
  const Slot &slot = monitor.table.slots[index];
  const bool armed = (slot.flags & slot_armed) != 0 && slot.state == SlotState::idle;
  for (std::uint32_t i = 0; i < slot.sockets; i++)
    watch(monitor, monitor.running[index].sockets[i].get(), armed ? EPOLLIN | EPOLLRDHUP : EPOLLRDHUP, Source::sockets, index);
}

void sockets_event(Monitor &monitor, std::uint32_t index, std::uint32_t events) {
  Slot &slot = monitor.table.slots[index];
  if (slot.sockets == 0 || monitor.running[index].listen.pid != 0) return;  // of what is no longer watched
  // Its daemon has shut it down, or made something else of it: it refuses everybody, and cannot be made to listen again.
  if ((events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0) return drop_sockets(monitor, index);
  if ((slot.flags & slot_armed) == 0) return;
  slot.flags ^= std::uint32_t{slot_armed | slot_connected};
  watch_sockets(monitor, index);
  mark_slot(monitor, index);
}

void drop_sockets(Monitor &monitor, std::uint32_t index) {
  Slot &slot = monitor.table.slots[index];
  for (Fd &socket : monitor.running[index].sockets) {
    // A daemon may have connected it, to somebody who reads nothing, and asked that whoever closes it waits for him.
    if (static constexpr linger none{}; socket) ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    unwatch(monitor, socket);
  }
  slot.sockets = 0;
  slot.flags &= ~std::uint32_t{slot_armed | slot_connected};
  mark_slot(monitor, index);
}

bool make_notify(Monitor &monitor, std::uint32_t index, gid_t gid) {
  Running &running = monitor.running[index];
  if (running.notify && running.notify_gid == gid) return true;
  running.notify = make_socket(monitor, Label("notify/%lld", index).text, SOCK_DGRAM, 0660, gid);
  running.notify_gid = gid;
  running.notify_dirty = true;
  return static_cast<bool>(running.notify);
}

void drop_notify(Monitor &monitor, std::uint32_t index) {
  if (monitor.running[index].notify) ::unlinkat(monitor.run_dir.get(), Label("notify/%lld", index).text, 0);
  monitor.running[index].notify.reset();
}

}  // namespace dm::monitor
