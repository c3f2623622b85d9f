// Runs the worker in the fuzz targets, turn by turn; linked with --wrap for each call below.
#include "worker_world.hh"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <cerrno>
#include <ctime>
#include <iterator>

namespace dm::fuzz {

World *world = nullptr;

namespace {

bool (*next_step)(World &) = nullptr;
unsigned resting = 0;

// One turn: the monitor listens, the fuzzer acts or, when it has no more to say, time goes by, and the monitor answers.
void turn(World &w) {
  constexpr std::int64_t pauses[] = {0, 300, 300, 3'100, 31'000, 61'000, 26LL * 86'400'000, 61'000};
  hear_worker(w);
  hear_peers(w);
  check_worker(w);
  if (w.finished || w.worker->done) return;
  if (resting == 0 && !next_step(w)) resting = 1;
  if (resting != 0) {
    w.deaf = false;
    w.obedient = true;
    for (std::uint32_t i = 0; i < w.places.size(); i++) daemon_runs(w, i), daemon_empties(w, i);
    // What the last pause set going is talked through to its end, which must come.
    const bool over = resting > 3 * std::size(pauses);
    if (over && (all_said(w) || resting > 30 * std::size(pauses))) check_rest(w), w.worker->done = w.finished = true;
    else if (!over) w.now_ms += pauses[(resting - 1) / 3];
    resting++;
  }
  tell_worker(w);
}

}  // namespace

void run_workers(World &w, bool (*step)(World &)) {
  static const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  // What one worker has written the next reads, of whatever places there were in the runs before, too.
  static const Fd history(::memfd_create("history", MFD_CLOEXEC));
  next_step = step;
  resting = 0;
  world = &w;
  bool more = true;
  while (more) {
    int ends[2];
    must(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0, "there are sockets");
    worker::Worker worker;
    worker.log = Log(null, LogSink::stream);
    worker.monitor = Fd(ends[0]);
    w.monitor = Fd(ends[1]);
    worker.epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
    worker.timer = Fd(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    worker.history = Fd(::fcntl(history.get(), F_DUPFD_CLOEXEC, 3));
    worker.host = "web1.example.org";
    w.policy = w.next_policy;
    must(check_policy(policy_bytes(w.policy).data(), policy_bytes(w.policy).size(), worker.policy), "the policy is sound");
    worker.owners.resize(worker.policy.count());
    worker.by_slot.resize(max_slots);
    w.worker = &worker;
    begin_worker(w);
    worker::run(worker);
    more = !w.finished;
    w.worker = nullptr;
  }
  world = nullptr;
}

}  // namespace dm::fuzz

using dm::fuzz::world;

extern "C" {

int __real_epoll_wait(int epoll, epoll_event *events, int most, int timeout);
int __wrap_epoll_wait(int epoll, epoll_event *events, int most, int timeout) {
  if (world == nullptr) return __real_epoll_wait(epoll, events, most, timeout);
  dm::fuzz::turn(*world);
  return __real_epoll_wait(epoll, events, most, 0);
}

int __real_clock_gettime(clockid_t clock, timespec *now);
int __wrap_clock_gettime(clockid_t clock, timespec *now) {
  if (world == nullptr || clock != CLOCK_BOOTTIME) return __real_clock_gettime(clock, now);
  *now = {world->now_ms / 1000, world->now_ms % 1000 * 1'000'000};
  return 0;
}

// A listener is a pipe with the number of who connects.
int __wrap_accept4(int listener, sockaddr *, socklen_t *, int) {
  std::uint8_t number;
  if (::read(listener, &number, 1) != 1) return errno = EAGAIN, -1;
  dm::fuzz::Peer &peer = world->peers.at(number);
  world->accepted_uid = peer.uid;
  return peer.accepted.release();
}

int __real_getsockopt(int socket, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int socket, int level, int name, void *value, socklen_t *size) {
  if (world == nullptr || name != SO_PEERCRED) return __real_getsockopt(socket, level, name, value, size);
  const ucred peer{1, world->accepted_uid, world->accepted_uid};
  std::memcpy(value, &peer, sizeof peer);
  return 0;
}

}  // extern "C"
