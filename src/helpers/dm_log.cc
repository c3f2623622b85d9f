// dm-log: writes the output of an owner's daemons into his log files (lib/helper.hh tells how it is called). Runs as
// the owner. The orders are the monitor's; what comes through the FIFOs may be anything.
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <map>
#include <string>

#include "lib/helper.hh"
#include "log_book.hh"
#include "log_clock.hh"
#include "log_lend.hh"
#include "log_orders.hh"
#include "log_stream.hh"
#include "own.hh"

namespace {

using namespace dm;

constexpr std::uint64_t orders_tag = ~std::uint64_t{0}, compressor_tag = orders_tag - 1, lender_tag = orders_tag - 2, signals_tag = orders_tag - 3;
constexpr unsigned orders_at_once = 64;
constexpr std::int64_t look_ms = 100;  // how often an orphan looks whether it is still needed
// With the monitor and the daemon gone and the disk full there is nothing to wait for: what is staged is the successor's.
constexpr std::int64_t patience_ms = 10'000;

class Logger {
public:
  Logger(const char *home, const char *owner) : home_(home), owner_(owner), lender_(home) {}

  int run() {
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    signals_ = Fd(signalfd(-1, &hangup, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!epoll_ || !signals_ || sigprocmask(SIG_BLOCK, &hangup, nullptr) != 0) return 1;
    if (!watch(helper_fd, EPOLLIN, orders_tag) || !watch(signals_.get(), EPOLLIN, signals_tag)) return 1;
    while (!ended_ || !streams_.empty()) {
      if (!wait()) return 1;
      if (ended_) look_after();
      for (auto it = streams_.begin(); it != streams_.end();) {
        const bool goes_on = it->second.due() < 0 || it->second.turn(clock_ms());
        // Edge-triggered: what is left in the FIFO for want of room would be reported for ever.
        if (goes_on && (!it->second.taken() || watch(it->second.fifo(), EPOLLIN | EPOLLET, it->first))) ++it;
        else it = forget(it);
      }
      compress();
    }
    return 0;
  }

private:
  // By a number of their own: one that has lost its slot may still have something to write.
  using Streams = std::map<std::uint64_t, LogStream>;

  bool watch(int fd, std::uint32_t events, std::uint64_t tag) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }

  Streams::iterator forget(Streams::iterator it) {
    // The monitor holds the FIFO too: closing it here would not end the events.
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, it->second.fifo(), nullptr);
    return streams_.erase(it);
  }

  // Milliseconds until a stream wants its turn, -1 for none.
  [[nodiscard]] int timeout() const {
    std::int64_t least = ended_ ? look_ms : -1;
    const std::int64_t now = clock_ms();
    for (const auto &[id, stream] : streams_) {
      const std::int64_t due = stream.due();
      if (due < 0) continue;
      const std::int64_t left = std::clamp<std::int64_t>(due - now, 0, 1'000);
      if (least < 0 || left < least) least = left;
    }
    return static_cast<int>(least);
  }

  bool wait() {
    epoll_event events[64];
    const int n = epoll_wait(epoll_.get(), events, 64, timeout());
    if (n < 0) return errno == EINTR;
    for (int i = 0; i < n; i++) {
      if (events[i].data.u64 == orders_tag) {
        take_orders();
        continue;
      }
      if (events[i].data.u64 == compressor_tag) {
        compressor_.finish();
        continue;
      }
      if (events[i].data.u64 == lender_tag) {
        lender_.serve();
        continue;
      }
      if (events[i].data.u64 == signals_tag) {
        hang_up();
        continue;
      }
      const auto it = streams_.find(events[i].data.u64);
      if (it != streams_.end()) it->second.wake();
    }
    return true;
  }

  void compress() {
    for (auto it = streams_.begin(); it != streams_.end() && !compressor_.busy(); ++it) {
      if (!it->second.wants_compressor()) continue;
      if (!it->second.compress(compressor_)) it->second.compressed();
      else if (!watch(compressor_.fd(), EPOLLIN, compressor_tag)) compressor_.finish();  // waits for it
    }
  }

  // The owner, or a logrotate of his, has moved logs away.
  void hang_up() {
    signalfd_siginfo info;
    if (read(signals_.get(), &info, sizeof info) != sizeof info) return;
    for (auto &[id, stream] : streams_) stream.open_anew();
  }

  void take_orders() {
    for (unsigned i = 0; i < orders_at_once && !ended_; i++) {
      ReceivedOrder received;
      switch (receive_order(helper_fd, received)) {
        case Receive::order: obey(received); break;
        case Receive::bad: break;
        case Receive::nothing: return;
        case Receive::ended: end(); return;
      }
    }
  }

  // The monitor is gone, killed or upgraded. The logs go on, until the next monitor's dm-log wants them or nobody writes.
  void end() {
    ended_ = true;
    give_up_ms_ = clock_ms() + patience_ms;
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, helper_fd, nullptr);
    for (auto &[id, stream] : streams_) {
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, stream.fifo(), nullptr);
      if (!stream.orphan()) leave(stream);
    }
  }

  void leave(LogStream &stream) {
    stream.leave();
    give_up_ms_ = clock_ms() + patience_ms;
  }

  void look_after() {
    for (auto it = streams_.begin(); it != streams_.end();) {
      LogStream &stream = it->second;
      // One that never got its stage is not missed: who has it goes on.
      const bool idle = stream.leaving() || !stream.holds();
      if (stream.wanted() || (idle && clock_ms() > give_up_ms_)) {
        it = forget(it);
        continue;
      }
      if (!stream.leaving() && stream.abandoned()) leave(stream);
      ++it;
    }
  }

  // The stream that has the slot now.
  Streams::iterator of_slot(std::uint32_t slot) {
    const auto it = slots_.find(slot);
    return it == slots_.end() ? streams_.end() : streams_.find(it->second);
  }

  void obey(ReceivedOrder &received) {
    const LogOrder &order = received.order;
    if (order.kind == LogKind::open) return open(received);
    if (order.kind == LogKind::lend) return lend(received);
    const auto it = of_slot(order.slot);
    if (it == streams_.end()) return;
    if (order.kind == LogKind::started) it->second.reopen();
    it->second.note(order);
  }

  void lend(ReceivedOrder &received) {
    const BookLog log = read_book_log(received, home_, owner_);
    if (log.name.empty()) return;
    const bool first = lender_.fd() < 0;
    lender_.lend(log, static_cast<uid_t>(received.order.value), std::move(received.fifo));
    if (first && lender_.fd() >= 0) (void)watch(lender_.fd(), EPOLLIN, lender_tag);
  }

  void open(ReceivedOrder &received) {
    const LogOrder &order = received.order;
    if (!usable(received.fifo, received.stage)) return;
    const auto old = of_slot(order.slot);
    const auto [name, terms, fault] = read_book_log(received, home_, owner_);
    if (old != streams_.end() && old->second.same(received.fifo, received.stage)) {
      LogStream &stream = old->second;
      stream.reopen();
      // With a conf that has a fault nothing is started: the worker has the log opened so that its owner reads why.
      const bool moved = stream.down() && name != stream.name();
      const std::optional<FaultPlace> found = moved ? find_fault(received.book.get(), stream.name(), home_, owner_) : fault;
      if (found && stream.down()) stream.note_fault(static_cast<std::int32_t>(found->line), static_cast<std::int32_t>(found->column));
      if (found) return;
      stream.set_terms(name, terms);
      if (order.value == 0) stream.expect_start(clock_ms());
      return;
    }
    if (old != streams_.end() && old->second.finish(clock_ms())) forget(old);
    const std::uint64_t id = ++last_id_;
    const auto it =
        streams_.try_emplace(id, home_, owner_, name, std::move(received.fifo), std::move(received.stage)).first;
    slots_[order.slot] = id;
    if (!name.empty()) it->second.set_terms(name, terms);
    if (order.value == 0) it->second.expect_start(clock_ms());
  }

  std::string home_, owner_;
  Fd epoll_, signals_;
  Compressor compressor_;
  Lender lender_;
  Streams streams_;
  std::map<std::uint32_t, std::uint64_t> slots_;
  std::uint64_t last_id_ = 0;
  bool ended_ = false;
  std::int64_t give_up_ms_ = 0;
};

}  // namespace

int main(int argc, char **argv) {
  if (!undumpable() || !no_new_privileges()) return 1;
  if (argc != 3) return 1;
  (void)prctl(PR_SET_NAME, "dm-log");  // for pkill: executed by descriptor, an old kernel names it by that
  umask(077);
  (void)std::signal(SIGXFSZ, SIG_IGN);  // over a file size limit write(2) fails, as on a full disk
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;  // four descriptors for each log
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  return Logger(argv[1], argv[2]).run();
}
