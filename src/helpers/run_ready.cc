// How a daemon tells the manager that it is ready, set up before it is executed. Runs as the target.
#include "run_ready.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "settings.hh"

namespace dm {
namespace {

constexpr int look_ms = 20;           // how often the prober looks
constexpr int connect_again_ms = 200;

std::string path_of(std::uint32_t slot) { return DM_RUN_DIR "/notify/" + std::to_string(slot); }

// A datagram socket, connected to the place's notify socket; -1 with errno set.
int connect_notify(std::uint32_t slot) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = path_of(slot);
  if (path.size() >= sizeof address.sun_path) return errno = ENAMETOOLONG, -1;
  memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0) return fd;
  const int error = errno;
  close(fd);
  return errno = error, -1;
}

std::int64_t now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

// Connects to the listening socket; -1 where that did not work yet. It waits for nobody.
int connect_to_self(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(listener, reinterpret_cast<sockaddr *>(&address), &size) != 0) return -1;
  const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (connect(fd, reinterpret_cast<const sockaddr *>(&address), size) == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

bool queued(int listener) {
  pollfd waits{listener, POLLIN, 0};
  return poll(&waits, 1, 0) > 0;
}

// True when whoever accepted the connection has ended it, or said something: until then recv has nothing yet.
bool taken(int fd) {
  char byte = 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno == ECONNRESET;
}

// True when a connection was made and accepted: it was ended from the other side, or nothing waits in the socket any more. It is shut
// down for writing, so that a server with one process reads its end and goes on, instead of waiting for a request from it while
// other connections wait for the server.
bool answers(int listener, std::int64_t until) {
  int fd = -1;
  while (now_ms() < until) {
    if (fd < 0) fd = connect_to_self(listener);
    if (fd >= 0) shutdown(fd, SHUT_WR);  // ENOTCONN until it is connected
    poll(nullptr, 0, fd < 0 ? connect_again_ms : look_ms);
    if (fd >= 0 && (taken(fd) || !queued(listener))) return close(fd), true;
  }
  return false;
}

// Through the socket that is there by then: the monitor may have been killed, and the next one makes it anew.
[[noreturn]] void probe(const OwnFds &own, std::uint32_t slot, std::uint32_t patience_ms) {
  // It is in the daemon's tree, so that it goes with it; by itself it goes when nobody waits for its news any more.
  const std::int64_t until = now_ms() + patience_ms;
  bool good = true;
  for (const int listener : own.sockets) good = good && answers(listener, until);
  constexpr char ready[] = "READY=1";
  for (; good && now_ms() < until; poll(nullptr, 0, connect_again_ms)) {
    const int notify = connect_notify(slot);
    if (notify >= 0 && send(notify, ready, sizeof ready - 1, MSG_NOSIGNAL) > 0) break;
    close(notify);
  }
  _exit(0);
}

// Two forks: what is left is no child of the daemon's, which may wait for all that it has.
bool start_prober(const OwnFds &own, std::uint32_t slot, std::uint32_t patience_ms) {
  const pid_t first = fork();
  if (first == 0) {
    const pid_t second = fork();
    if (second != 0) _exit(second < 0 ? 1 : 0);
    close(own.report);  // the daemon's exec shall be seen as such
    close(own.book);
    for (int fd = 0; fd < first_own_fd; fd++) close(fd);
    probe(own, slot, patience_ms);
  }
  int status = 0;
  while (first > 0 && waitpid(first, &status, 0) < 0 && errno == EINTR) {}
  if (first > 0 && status != 0) errno = EAGAIN;
  return first > 0 && status == 0;
}

}  // namespace

bool set_up_ready(const Conf &conf, const OwnFds &own, std::uint32_t slot, std::vector<std::string> &environment) {
  if (conf.ready == Ready::notify || conf.watchdog_ms != 0) environment.push_back("NOTIFY_SOCKET=" + path_of(slot));
  if (conf.watchdog_ms != 0) {
    environment.push_back("WATCHDOG_USEC=" + std::to_string(std::uint64_t{conf.watchdog_ms} * 1000));
    environment.push_back("WATCHDOG_PID=" + std::to_string(getpid()));
  }
  if (conf.ready != Ready::fd && conf.ready != Ready::connect) return true;
  if (conf.ready == Ready::connect) return start_prober(own, slot, conf.start_timeout_ms);
  const int socket = connect_notify(slot);
  if (socket < 0) return false;
  if (socket == conf.ready_fd) return fcntl(socket, F_SETFD, 0) == 0;
  const bool placed = dup2(socket, conf.ready_fd) == conf.ready_fd;
  return close(socket), placed;
}

}  // namespace dm
