// Waits for the monitor, for clients and for time. Sandboxed.
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <ctime>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr std::size_t crowded = 1024;        // datagrams for the monitor on their way: then clients wait
constexpr std::int64_t client_tick_ms = 500;  // how exactly a client's deadline is kept

void arm(Worker &worker, std::int64_t now) {
  std::int64_t next = worker.timers.empty() ? 0 : worker.timers.begin()->first;
  if (!worker.clients.empty() && (next == 0 || next > now + client_tick_ms)) next = now + client_tick_ms;
  for (const std::int64_t at : {worker.accept_at, worker.order.ties_until})
    if (at != 0 && (next == 0 || next > at)) next = at;
  itimerspec when = {};
  if (next != 0 && next <= now) next = now + 1;
  when.it_value.tv_sec = next / 1000;
  when.it_value.tv_nsec = next % 1000 * 1'000'000;
  ::timerfd_settime(worker.timer.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void dispatch(Worker &worker, const epoll_event &event) {
  const std::uint64_t tag = event.data.u64;
  if (tag == tag_monitor) {
    if ((event.events & EPOLLOUT) != 0) flush_asks(worker);
    if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) receive(worker);
  } else if (tag == tag_timer) {
    std::uint64_t count;
    (void)!::read(worker.timer.get(), &count, sizeof count);
  } else if ((tag & tag_client) != 0) {
    client_ready(worker, tag & ~tag_client, event.events);
  } else if ((tag & tag_notify) != 0) {
    notify_ready(worker, static_cast<std::uint32_t>(tag));
  } else if ((tag & tag_listener) != 0 && worker.replayed && worker.to_monitor.count < crowded) {
    accept_client(worker, static_cast<std::uint32_t>(tag));
  }
}

}  // namespace

std::int64_t now_ms() {
  timespec now;
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

bool watch(Worker &worker, int fd, std::uint32_t events, std::uint64_t tag) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = tag;
  return ::epoll_ctl(worker.epoll.get(), EPOLL_CTL_MOD, fd, &event) == 0 ||
         ::epoll_ctl(worker.epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

int run(Worker &worker) {
  if (!watch(worker, worker.monitor.get(), EPOLLIN, tag_monitor) || !watch(worker, worker.timer.get(), EPOLLIN, tag_timer))
    return 1;
  ask_ready(worker);
  while (!worker.done) {
    epoll_event events[64];
    worker.served.clear();
    const int count = ::epoll_wait(worker.epoll.get(), events, 64, -1);
    for (int i = 0; i < count && !worker.done; i++) dispatch(worker, events[i]);
    const std::int64_t now = now_ms();
    check_timers(worker, now);
    check_clients(worker, now);
    check_order(worker);
    keep_answers(worker);
    if (worker.accept_at != 0 && now >= worker.accept_at) listen_to_clients(worker, true);
    check_shutdown(worker);
    arm(worker, now);
  }
  return 0;
}

}  // namespace dm::worker
