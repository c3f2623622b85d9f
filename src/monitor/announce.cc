// Tells whoever started the manager that it serves, and from then on the system's log. Root with few capabilities.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "monitor/monitor.hh"

namespace dm::monitor {

bool connect_syslog(int socket) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "/dev/log");
  return ::connect(socket, static_cast<sockaddr *>(static_cast<void *>(&address)), sizeof address) == 0;
}

// Where there is no syslogd yet, its socket is tried again with each line; whoever started us is let go all the same.
void open_syslog(Monitor &monitor) {
  const int syslog = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  monitor.worker_log = Log(syslog, LogSink::syslog);
  connect_syslog(syslog);
}

void announce(Monitor &monitor) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const char *path = std::getenv("NOTIFY_SOCKET");
  if (path != nullptr && std::strlen(path) < sizeof address.sun_path) {
    std::memcpy(address.sun_path, path, std::strlen(path));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    constexpr char ready[] = "READY=1";
    ::sendto(socket.get(), ready, sizeof ready - 1, MSG_DONTWAIT | MSG_NOSIGNAL,
             static_cast<sockaddr *>(static_cast<void *>(&address)), size);
    ::unsetenv("NOTIFY_SOCKET");
  }
  if (!monitor.ready) return;
  (void)!::write(monitor.ready.get(), "", 1);
  monitor.ready.reset();
  for (int fd : {1, 2}) ::dup2(0, fd);
  ::close(monitor.log.fd());
  monitor.log = monitor.worker_log;
}

}  // namespace dm::monitor
