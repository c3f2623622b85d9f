// The worker where the kernel refuses accept and recvmsg, errno by errno. Linked with --wrap for both. No privilege.
#include <sys/un.h>

#include <cerrno>

#include "bare_worker.hh"

namespace {

int failing = 0;  // errno of the next calls; 0: they are made
unsigned failed = 0;

bool fails() {
  if (failing == 0) return false;
  errno = failing;
  failed++;
  return true;
}

}  // namespace

extern "C" {
ssize_t __real_recvmsg(int, msghdr *, int);
ssize_t __wrap_recvmsg(int, msghdr *, int);
ssize_t __wrap_recvmsg(int fd, msghdr *header, int flags) { return fails() ? -1 : __real_recvmsg(fd, header, flags); }
ssize_t __real_recv(int, void *, size_t, int);
ssize_t __wrap_recv(int, void *, size_t, int);
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags) { return fails() ? -1 : __real_recv(fd, bytes, size, flags); }
int __real_accept4(int, sockaddr *, socklen_t *, int);
int __wrap_accept4(int, sockaddr *, socklen_t *, int);
int __wrap_accept4(int fd, sockaddr *address, socklen_t *size, int flags) { return fails() ? -1 : __real_accept4(fd, address, size, flags); }
}

using namespace dm;
using namespace dm::worker;

TEST_CASE("a message that the worker cannot receive now is received later") {
  BareWorker it(rows_of({"david"}, user_runs | user_resolved));
  const TellReplayed replayed{TellKind::Replayed, 0};
  REQUIRE(::send(it.monitor.get(), &replayed, sizeof replayed, 0) == sizeof replayed);
  for (const int error : {EAGAIN, EINTR, ENOMEM, ENOBUFS}) {
    failing = error;
    failed = 0;
    receive(*it.worker);
    failing = 0;
    CHECK(failed == 1);
    CHECK(!it.worker->done);
    CHECK(!it.worker->replayed);
  }
  receive(*it.worker);
  CHECK(it.worker->replayed);
}

TEST_CASE("a worker that cannot hear the monitor any more ends, for another to take its place") {
  for (const int error : {EBADF, ECONNRESET, EMFILE, ENOSPC, ENOTCONN}) {
    BareWorker it(rows_of({"david"}, user_runs | user_resolved));
    failing = error;
    receive(*it.worker);
    failing = 0;
    CHECK(it.worker->done);
  }
}

TEST_CASE("a client who cannot be accepted now is accepted later, and none of the others is lost") {
  BareWorker it(rows_of({"david"}, user_runs | user_resolved));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;  // the kernel gives it a name
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  socklen_t size = sizeof(sa_family_t);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr *>(&address), size) == 0);
  size = sizeof address;
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr *>(&address), &size) == 0);
  REQUIRE(::listen(listener.get(), 5) == 0);
  it.worker->replayed = true;
  it.worker->listeners[listener_shared] = {std::move(listener), listener_shared};
  const Fd peer(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(peer.get(), reinterpret_cast<sockaddr *>(&address), size) == 0);
  for (const int error : {EAGAIN, EINTR, ECONNABORTED, EMFILE, ENFILE, ENOMEM, ENOBUFS, ENOSPC}) {
    failing = error;
    failed = 0;
    accept_client(*it.worker, listener_shared);
    failing = 0;
    CHECK(failed == 1);
    CHECK(it.worker->clients.empty());
    CHECK(!it.worker->done);
  }
  accept_client(*it.worker, listener_shared);
  CHECK(it.worker->clients.size() == 1);
}

TEST_CASE("a request that cannot be read now is read later") {
  BareWorker it(rows_of({"david"}, user_runs | user_resolved));
  it.worker->replayed = true;
  Client &client = it.come(0);
  client.asked = false;
  const std::string fields = request({"version", "", ""});
  const FrameHeader header{FrameKind::request, static_cast<std::uint32_t>(fields.size())};
  REQUIRE(::send(it.peer.get(), &header, sizeof header, 0) == sizeof header);
  REQUIRE(::send(it.peer.get(), fields.data(), fields.size(), 0) == static_cast<ssize_t>(fields.size()));
  for (const int error : {EAGAIN, EINTR, ENOMEM, ENOBUFS}) {
    failing = error;
    client_ready(*it.worker, client.id, EPOLLIN);
    failing = 0;
    CHECK(!client.closing);
    CHECK(!client.asked);
    it.worker->served.clear();
  }
  client_ready(*it.worker, client.id, EPOLLIN);
  CHECK(client.asked);
}
