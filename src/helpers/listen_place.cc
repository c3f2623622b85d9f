// Binds a daemon's listening sockets, and removes the files of Unix ones. Runs as the owner, with the target's gid, on paths that
// he chose: whatever another may write to is looked at through the descriptor of its directory, and nothing but sockets of his goes.
#include "listen_place.hh"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "lib/fd.hh"

namespace dm {
namespace {

RunReport fail(RunStage stage, int error, std::uint32_t line, std::uint32_t more = 0) {
  return {stage, static_cast<std::uint16_t>(error), more << 8 | line};
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

// A path taken apart: its directory, opened, and the name in it.
struct Place {
  Fd directory;
  std::string name;
  explicit Place(const std::string &path) : name(path.substr(path.rfind('/') + 1)) {
    directory = Fd(open(path.substr(0, path.rfind('/') + 1).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  // True where the owner's socket stands there; else errno: ENOENT, or EEXIST for anything else.
  [[nodiscard]] bool own_socket(struct stat &info) const {
    if (fstatat(directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
    errno = EEXIST;
    return S_ISSOCK(info.st_mode) && info.st_uid == geteuid();
  }
};

// Nothing that lives is taken away from anybody: only a socket of the owner's that nobody listens on any more.
RunReport clear_stale(const Place &place, std::uint32_t line) {
  struct stat info {};
  if (!place.own_socket(info)) return errno == ENOENT ? RunReport{} : fail(RunStage::listen_taken, errno, line);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, place.name.c_str(), place.name.size());
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fchdir(place.directory.get()) != 0) return fail(RunStage::listen_dir, errno, line);
  if (connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0) {
    ucred peer{};  // of whoever made it listen
    socklen_t size = sizeof peer;
    (void)getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return fail(RunStage::listen_live, EADDRINUSE, line, static_cast<std::uint32_t>(peer.pid));
  }
  if (errno == EAGAIN) return fail(RunStage::listen_live, EADDRINUSE, line);  // its queue is full
  if (errno != ECONNREFUSED) return fail(RunStage::listen_taken, errno, line);
  return unlinkat(place.directory.get(), place.name.c_str(), 0) == 0 ? RunReport{} : fail(RunStage::listen_taken, errno, line);
}

RunReport bind_local(int fd, const std::string &path, const Conf &conf, std::uint32_t line) {
  const Place place(path);
  if (!place.directory) return fail(RunStage::listen_dir, errno, line);
  if (const RunReport stale = clear_stale(place, line); stale.stage != RunStage::none) return stale;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(RunStage::listen_book, ENAMETOOLONG, line);
  memcpy(address.sun_path, path.c_str(), path.size());  // the whole path: getsockname tells it to whoever removes it
  umask(0777 & ~conf.listen_mode);
  const bool bound = bind(fd, reinterpret_cast<const sockaddr *>(&address), static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1)) == 0;
  if (!bound) return fail(errno == EADDRINUSE ? RunStage::listen_taken : RunStage::listen_bind, errno, line);
  struct stat info {};
  // A setgid directory gives its own group.
  if (place.own_socket(info) && info.st_gid != getegid())
    (void)!fchownat(place.directory.get(), place.name.c_str(), geteuid(), getegid(), AT_SYMLINK_NOFOLLOW);
  return {};
}

union Address {
  sockaddr any;
  sockaddr_in inet;
  sockaddr_in6 inet6;
};

RunReport bind_port(int fd, const ListenAddress &wanted, std::uint32_t line) {
  const bool v4 = wanted.family == Family::inet;
  Address address{}, now{};
  socklen_t size = v4 ? sizeof address.inet : sizeof address.inet6, now_size = sizeof now;
  if (v4) {
    address.inet.sin_family = AF_INET;
    address.inet.sin_port = htons(wanted.port);
    memcpy(&address.inet.sin_addr, wanted.address, sizeof address.inet.sin_addr);
  } else {
    address.inet6.sin6_family = AF_INET6;
    address.inet6.sin6_port = htons(wanted.port);
    memcpy(&address.inet6.sin6_addr, wanted.address, sizeof address.inet6.sin6_addr);
  }
  if (getsockname(fd, &now.any, &now_size) != 0) return fail(RunStage::listen_bind, errno, line);
  // What the worker had the monitor bind must be what the owner wrote.
  if ((v4 ? now.inet.sin_port : now.inet6.sin6_port) != 0)
    return now_size == size && memcmp(&now, &address, size) == 0 ? RunReport{} : fail(RunStage::listen_book, 0, line);
  const int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) return fail(RunStage::listen_bind, errno, line);
  if (bind(fd, &address.any, size) == 0) return {};
  return fail(errno == EADDRINUSE ? RunStage::listen_live : RunStage::listen_bind, errno, line);
}

// The number of the file that a Unix socket is bound to, or 0 where the kernel does not tell.
std::uint32_t file_of(int fd) {
  struct stat info {};
  struct {
    nlmsghdr header;
    unix_diag_req ask;
  } request{};
  const Fd kernel(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!kernel || fstat(fd, &info) != 0) return 0;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.ask.sdiag_family = AF_UNIX;
  request.ask.udiag_states = ~0U;
  request.ask.udiag_ino = static_cast<std::uint32_t>(info.st_ino);
  request.ask.udiag_show = UDIAG_SHOW_VFS;
  request.ask.udiag_cookie[0] = request.ask.udiag_cookie[1] = ~0U;  // none
  alignas(nlmsghdr) char answer[1024];
  if (send(kernel.get(), &request, sizeof request, 0) < 0) return 0;
  const ssize_t got = recv(kernel.get(), answer, sizeof answer, 0);
  const auto *header = reinterpret_cast<const nlmsghdr *>(answer);
  if (got < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(unix_diag_msg))) || header->nlmsg_type != SOCK_DIAG_BY_FAMILY) return 0;
  std::size_t left = static_cast<std::size_t>(got) - NLMSG_LENGTH(sizeof(unix_diag_msg));
  for (std::size_t at = NLMSG_LENGTH(sizeof(unix_diag_msg)); left >= sizeof(rtattr);) {
    rtattr item;
    unix_diag_vfs file;
    memcpy(&item, answer + at, sizeof item);
    if (item.rta_len < sizeof item || item.rta_len > left) return 0;
    if (item.rta_type == UNIX_DIAG_VFS && item.rta_len >= sizeof item + sizeof file) {
      memcpy(&file, answer + at + sizeof item, sizeof file);
      return file.udiag_vfs_ino;
    }
    const std::size_t step = RTA_ALIGN(item.rta_len);
    if (step >= left) return 0;
    at += step, left -= step;
  }
  return 0;
}

}  // namespace

RunReport bind_place(int fd, const ListenAddress &address, const Conf &conf, std::uint32_t line) {
  const int wanted = address.family == Family::local ? AF_UNIX : address.family == Family::inet ? AF_INET : AF_INET6;
  if (option(fd, SOL_SOCKET, SO_DOMAIN) != wanted || option(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM)
    return fail(RunStage::listen_book, 0, line);
  const RunReport bound = wanted == AF_UNIX ? bind_local(fd, address.path, conf, line) : bind_port(fd, address, line);
  if (bound.stage != RunStage::none) return bound;
  if (listen(fd, static_cast<int>(conf.listen_backlog)) == 0) return {};
  const int error = errno;
  remove_place(fd);
  return fail(error == EADDRINUSE ? RunStage::listen_live : RunStage::listen_bind, error, line);
}

void remove_place(int fd) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size) != 0 || address.sun_family != AF_UNIX || address.sun_path[0] != '/') return;
  const std::string path(address.sun_path, strnlen(address.sun_path, sizeof address.sun_path));
  const Place place(path);
  struct stat info {};
  if (!place.directory || !place.own_socket(info)) return;
  const std::uint32_t file = file_of(fd);
  if (file == static_cast<std::uint32_t>(info.st_ino)) (void)unlinkat(place.directory.get(), place.name.c_str(), 0);
}

}  // namespace dm
