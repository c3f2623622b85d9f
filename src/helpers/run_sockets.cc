// Puts a daemon's listening sockets where it looks for them. Runs as the target.
#include "run_sockets.hh"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "lib/helper.hh"

namespace dm {
namespace {

constexpr int first_passed = 3;  // SD_LISTEN_FDS_START

// Where a socket is bound.
union Address {
  sockaddr plain;
  sockaddr_un local;
  sockaddr_in inet;
  sockaddr_in6 inet6;
};

bool bound_to(int fd, const ListenAddress &wanted) {
  Address found{};
  socklen_t size = sizeof found;
  if (getsockname(fd, &found.plain, &size) != 0) return false;
  switch (wanted.family) {
    case Family::local:
      return found.plain.sa_family == AF_UNIX && std::string_view(found.local.sun_path, strnlen(found.local.sun_path, sizeof found.local.sun_path)) == wanted.path;
    case Family::inet:
      return found.plain.sa_family == AF_INET && ntohs(found.inet.sin_port) == wanted.port && memcmp(&found.inet.sin_addr, wanted.address, sizeof found.inet.sin_addr) == 0;
    case Family::inet6:
      return found.plain.sa_family == AF_INET6 && ntohs(found.inet6.sin6_port) == wanted.port && memcmp(&found.inet6.sin6_addr, wanted.address, sizeof found.inet6.sin6_addr) == 0;
  }
  return false;
}

int above(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, first_own_fd); }

}  // namespace

bool move_own(std::uint32_t count, OwnFds &out) {
  if (close_range(static_cast<unsigned>(helper_sockets_fd) + count, ~0U, 0) != 0) return false;
  out.report = above(helper_fd);
  out.book = above(helper_fd2);
  bool good = out.report >= 0 && out.book >= 0;
  for (std::uint32_t i = 0; i < count; i++) {
    out.sockets.push_back(above(helper_sockets_fd + static_cast<int>(i)));
    good = good && out.sockets.back() >= 0;
  }
  const int error = errno;
  close_range(helper_fd, first_own_fd - 1, 0);
  errno = error;
  return good;
}

bool sockets_as_written(const Conf &conf, const OwnFds &own) {
  if (own.sockets.size() != conf.listen.size()) return false;
  for (std::size_t i = 0; i < own.sockets.size(); i++) {
    ListenAddress wanted;
    if (!parse_listen(conf.listen[i], wanted) || !bound_to(own.sockets[i], wanted)) return false;
  }
  return true;
}

bool pass_sockets(const Conf &conf, const OwnFds &own, std::vector<std::string> &environment) {
  if (own.sockets.empty()) return true;
  // Whether they block belongs to the socket, not to the descriptor: as its daemon finds them is not as the one before left them.
  for (const int fd : own.sockets)
    if (const int flags = fcntl(fd, F_GETFL); flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) return false;
  const bool as_input = conf.listen_pass == ListenPass::stdin || (conf.listen_pass == ListenPass::fitting && own.sockets.size() == 1);
  if (as_input) return dup2(own.sockets.front(), 0) == 0;
  std::string names;
  int at = first_passed;
  for (const int fd : own.sockets) {
    if (dup2(fd, at) != at) return false;
    names += (at == first_passed ? "listen" : ":listen") + std::to_string(at - first_passed);
    at++;
  }
  environment.push_back("LISTEN_FDS=" + std::to_string(own.sockets.size()));
  environment.push_back("LISTEN_PID=" + std::to_string(getpid()));
  environment.push_back("LISTEN_FDNAMES=" + names);
  return true;
}

}  // namespace dm
