// Moves one daemon's output from its FIFO into its log, and notes starts and exits in between. Runs as the owner.
#include "log_stream.hh"

#include <poll.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <utility>

#include "log_text.hh"
#include "own.hh"

namespace dm {
namespace {

constexpr std::size_t max_early = 64;
constexpr std::int64_t lock_retry_ms = 20;
constexpr std::int64_t start_ms = 500;   // the daemon may write before the monitor comes to say that it has started

}  // namespace

LogStream::LogStream(const std::string &home, const std::string &owner, const std::string &name, Fd fifo, Fd stage)
    : home_(home), owner_(owner), name_(name), fifo_(std::move(fifo)), stage_(std::move(stage)), file_(home, name) {}

bool LogStream::same(const Fd &fifo, const Fd &stage) const {
  return same_file(fifo_.get(), fifo.get()) && same_file(stage_.fd(), stage.get());
}

std::uint64_t LogStream::waiting() const {
  int bytes = 0;
  return ioctl(fifo_.get(), FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
}

bool LogStream::take(std::int64_t now_ms) {
  if (!stage_.take(name_)) {
    closed_ = errno == EINVAL;
    retry_ms_ = now_ms + lock_retry_ms;
    return false;
  }
  recovered_ = stage_.record().writing != 0;
  adopt_terms();
  open_log();
  rotated_ = stage_.terms().compress;  // a dm-log before may have been killed in the middle
  if (recovered_) compose_plan(stage_, text_);
  new_ = true;
  retry_ms_ = 0;
  if (leaving_) leave();
  for (const LogOrder &order : std::exchange(early_, {})) note(order);
  return true;
}

void LogStream::set_terms(const std::string &name, const LogTerms &terms) {
  told_terms_ = {name, terms};
  if (stage_.taken() && adopt_terms()) open_log();
}

// Not while it is unknown how much of a plan its file has: then it must be looked for there.
bool LogStream::adopt_terms() {
  if (recovered_ || told_terms_.first != name_) return false;
  const LogTerms before = stage_.terms();
  stage_.set_terms(told_terms_.second);
  told_terms_.first.clear();
  const LogTerms now = stage_.terms();
  rotated_ = rotated_ || (now.compress && !before.compress);
  rotate_at_ = 0;
  return now.output != before.output || now.file != before.file;
}

void LogStream::open_log() {
  const LogTerms terms = stage_.terms();
  to_syslog_ = terms.output == Output::syslog;
  syslog_ = LogSyslog(owner_ + "/" + name_);
  file_ = LogFile(home_, name_, terms.file);
  if (!to_syslog_) file_.open();
}

void LogStream::note(const LogOrder &order) {
  down_ = order.kind == LogKind::exited;
  if (!stage_.taken()) {
    if (early_.size() < max_early || order.kind == LogKind::close) early_.push_back(order);
    return;
  }
  add({0, order.time_ns, order.kind, order.value, order.code, 0});
}

void LogStream::note_fault(std::int32_t line, std::int32_t column) {
  if (stage_.taken()) add({0, wall_clock_ns(), LogKind::open, line, column, 1});
}

void LogStream::add(StageNote note) {
  idle_ = false;
  fill_ms_ = 0;
  std::uint64_t at = stage_.record().next;
  if (note.kind != LogKind::started) {
    const std::uint64_t more = waiting();
    at = stage_.size() + more;
    if (more > 0) readable_ = true;  // epoll may not have told yet
  }
  note.at = std::max(at, stage_.last_at());
  stage_.add(note);
}

bool LogStream::orphan() {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fifo_.get());
  Fd reader(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!reader) return false;
  fifo_ = std::move(reader);
  new_ = stage_.taken();
  readable_ = true;
  idle_ = false;
  return true;
}

bool LogStream::abandoned() const {
  pollfd state{fifo_.get(), POLLIN, 0};
  return poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) != 0 && (state.revents & POLLIN) == 0;
}

void LogStream::leave() {
  leaving_ = true;
  if (!stage_.taken()) return;
  idle_ = false;
  fill_ms_ = 0;
  leave_at_ = stage_.size() + waiting();
  readable_ = true;
}

void LogStream::expect_start(std::int64_t now_ms) { fill_ms_ = now_ms + start_ms; }

void LogStream::reopen() {
  std::erase_if(early_, [](const LogOrder &order) { return order.kind == LogKind::close; });
  if (!stage_.taken()) return;
  stage_.forget_closes();
  closed_ = idle_ = false;
  readable_ = true;
  open_anew();
}

void LogStream::open_anew() {
  if (!stage_.taken()) return;
  if (to_syslog_) syslog_.close();
  else file_.open();
  retry_ms_ = 0;
}

bool LogStream::wants_fifo() const { return readable_ && stage_.has_room() && stage_.size() < leave_at_; }

void LogStream::fill(std::int64_t now_ms) {
  if (!wants_fifo() || now_ms < fill_ms_ || stage_.fill(fifo_.get())) return;
  if (errno == EINTR) return;
  if (errno != 0) {  // /run is full
    fill_ms_ = now_ms + crowded_ms;
    return;
  }
  // Empty, or no writer at the moment: epoll tells (edge-triggered) when there is more.
  readable_ = false;
  stage_.settle_notes();
}

bool LogStream::turn(std::int64_t now_ms) {
  if (!stage_.taken() && (now_ms < retry_ms_ || !take(now_ms))) return !closed_;
  if (!told_terms_.first.empty() && adopt_terms()) open_log();
  if (stage_.record().writing != 0) {
    if (now_ms >= retry_ms_) write_out(now_ms);
    if (stage_.record().writing != 0) {
      fill(now_ms);
      make_room();
      return true;
    }
  }
  if (closed_) return false;
  fill(now_ms);
  const bool planned = plan();
  idle_ = !planned;
  if (planned) write_out(now_ms);
  const bool goes_on = stage_.record().writing != 0 || (!closed_ && !(leaving_ && !planned && !wants_fifo()));
  if (!planned) rest();
  return goes_on;
}

void LogStream::rest() {
  stage_.rest();
  std::string().swap(text_);
}

std::int64_t LogStream::wall_clock_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool LogStream::finish(std::int64_t now_ms) {
  LogOrder close{};
  close.kind = LogKind::close;
  close.time_ns = wall_clock_ns();
  note(close);
  while (turn(now_ms))
    if (due() != 0) return false;
  return true;
}

std::int64_t LogStream::due() const {
  if (!stage_.taken()) return retry_ms_;
  // First of all, without a look at the journal: there may be thousands of others, which rest.
  if (idle_) return wants_fifo() ? fill_ms_ : -1;
  if (stage_.record().writing != 0) return wants_fifo() ? std::min(fill_ms_, retry_ms_) : retry_ms_;
  return 0;
}

}  // namespace dm
