// Takes the monitor's orders to dm-log apart. Runs as the owner.
#include "log_orders.hh"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/message.hh"

namespace dm {
namespace {

constexpr std::size_t most_fds = 3;

constexpr std::size_t fds_of(LogKind kind) { return kind == LogKind::open ? 3 : kind == LogKind::lend ? 2 : 0; }

}  // namespace

bool usable(const Fd &fifo, const Fd &stage) {
  struct stat info {};
  if (fstat(fifo.get(), &info) != 0 || !S_ISFIFO(info.st_mode)) return false;
  if (fstat(stage.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  const int flags = fcntl(fifo.get(), F_GETFL), its = fcntl(stage.get(), F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) != O_RDWR || its < 0 || (its & (O_ACCMODE | O_APPEND)) != O_RDWR) return false;
  return (flags & O_NONBLOCK) != 0 || fcntl(fifo.get(), F_SETFL, flags | O_NONBLOCK) == 0;
}

Receive receive_order(int socket, ReceivedOrder &out) {
  iovec part{&out.order, sizeof out.order};
  alignas(cmsghdr) char control[CMSG_SPACE(most_fds * sizeof(int))];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const ssize_t n = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? Receive::nothing : Receive::ended;
  Fd got[most_fds];
  std::size_t count = 0;
  for (cmsghdr *item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= item->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      memcpy(&fd, reinterpret_cast<const char *>(item) + at, sizeof fd);
      Fd one(fd);  // the control buffer is rounded up, so that there may be one too many
      if (count < most_fds) got[count] = std::move(one);
      count++;
    }
  }
  if (n == 0) return Receive::ended;
  if (n != sizeof out.order || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Receive::bad;
  if (out.order.kind > LogKind::lend || count != fds_of(out.order.kind) || out.order.instance > (count != 0 ? max_instances : 0)) return Receive::bad;
  out.fifo = std::move(got[0]);
  out.book = std::move(got[1]);
  out.stage = std::move(got[2]);
  return Receive::order;
}

}  // namespace dm
