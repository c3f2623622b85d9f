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

#include "log_lines.hh"
#include "log_text.hh"

namespace dm {
namespace {

constexpr std::size_t max_early = 64;
constexpr std::int64_t lock_retry_ms = 20;
constexpr std::int64_t retry_after_ms = 1'000;
constexpr std::int64_t start_ms = 500;   // the daemon may write before the monitor comes to say that it has started
constexpr std::int64_t crowded_ms = 50;  // the same while the stage is full: the daemon may be waiting

std::int64_t wall_clock_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::int32_t offset_of(Stamp stamp, std::int64_t time_ns) {
  if (stamp != Stamp::local) return stamp == Stamp::none ? no_stamp : 0;
  const time_t seconds = time_ns / 1'000'000'000;
  tm there{};
  return localtime_r(&seconds, &there) != nullptr ? static_cast<std::int32_t>(there.tm_gmtoff) : 0;
}

bool same_file(int a, int b) {
  struct stat first {}, second {};
  if (fstat(a, &first) != 0 || fstat(b, &second) != 0) return false;
  return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace

LogStream::LogStream(const std::string &home, const std::string &name, Fd fifo, Fd stage)
    : home_(home), name_(name), fifo_(std::move(fifo)), stage_(std::move(stage)), file_(home, name) {}

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
  if (told_terms_.first == name_) stage_.set_terms(told_terms_.second);
  file_ = LogFile(home_, name_);
  file_.open();
  rotated_ = stage_.terms().compress;  // a dm-log before may have been killed in the middle
  recovered_ = stage_.record().writing != 0;
  if (recovered_) compose_plan(stage_, text_);
  new_ = true;
  retry_ms_ = 0;
  if (leaving_) leave();
  for (const LogOrder &order : std::exchange(early_, {})) note(order);
  return true;
}

void LogStream::set_terms(const std::string &name, const LogTerms &terms) {
  told_terms_ = {name, terms};
  if (!stage_.taken() || name != name_) return;
  rotated_ = rotated_ || (terms.compress && !stage_.terms().compress);
  stage_.set_terms(terms);
  rotate_at_ = 0;
}

bool LogStream::compress(Compressor &compressor) const {
  return stage_.taken() && stage_.terms().compress && file_.directory() >= 0 &&
         compressor.start(file_.directory(), file_.name(), stage_.terms().keep);
}

// Between two plans, so that a successor that finds one of them knows by the file whether it was written.
void LogStream::rotate() {
  const LogTerms terms = stage_.terms();
  LogFile::Place place;
  if (terms.size == 0 || file_.look(0, place) != LogFile::State::good) return;
  const auto size = static_cast<std::uint64_t>(place.size);
  if (size < std::max(terms.size, rotate_at_)) return;
  if (file_.rotate(terms.keep)) {
    rotated_ = terms.compress;
    rotate_at_ = 0;
  } else {
    rotate_at_ = size + terms.size;
  }
}

void LogStream::note(const LogOrder &order) {
  if (!stage_.taken()) {
    if (early_.size() < max_early || order.kind == LogKind::close) early_.push_back(order);
    return;
  }
  idle_ = false;
  fill_ms_ = 0;
  std::uint64_t at = stage_.record().next;
  if (order.kind != LogKind::started) {
    const std::uint64_t more = waiting();
    at = stage_.size() + more;
    if (more > 0) readable_ = true;  // epoll may not have told yet
  }
  stage_.add({std::max(at, stage_.last_at()), order.time_ns, order.kind, order.value, order.code, 0});
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
  file_.open();
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

// Decides on the next text and puts that on record. False when there is nothing to write.
bool LogStream::plan() {
  StageRecord next = stage_.record();
  const bool noted = next.first_note != next.end_note;
  std::uint64_t limit = stage_.size();
  if (noted) limit = std::min(limit, std::max(next.from, stage_.note(next.first_note).at));
  const bool to_note = noted && stage_.note(next.first_note).at <= limit;
  const std::string_view data = stage_.read(next.from, limit);
  const bool last = to_note && data.size() == limit - next.from;
  next.time_ns = wall_clock_ns();
  next.offset = offset_of(stage_.terms().stamp, next.time_ns);
  // Written before the event that the note tells of: no line shall seem to come after its daemon's end.
  if (noted) next.time_ns = std::min(next.time_ns, std::max(next.since_ns, stage_.note(next.first_note).time_ns));
  if (next.since_ns == 0 && !data.empty()) next.since_ns = next.time_ns;
  next.to = next.next = next.from + count_lines(data, last).used;
  if (last)
    while (next.notes < next.end_note - next.first_note) {
      const StageNote &note = stage_.note(next.first_note + next.notes);
      if (note.at > next.to) break;
      next.notes++;
      if (note.kind == LogKind::close) break;
    }
  next.told_dropped = next.dropped;
  if (next.notes == next.end_note - next.first_note) next.told_lost = next.lost_notes;
  if (next.to == next.from && next.notes == 0 && next.told_dropped == 0 && next.told_lost == 0) {
    // A line that has begun keeps the time of its beginning.
    if (next.since_ns != stage_.record().since_ns) stage_.commit(next);
    return false;
  }
  next.writing = 1;
  next.device = next.inode = 0;
  stage_.commit(next);
  compose_plan(stage_, text_);
  done_ = 0;
  return true;
}

void LogStream::write_out(std::int64_t now_ms) {
  LogFile::Place place;
  const LogFile::State state = file_.look(now_ms, place);
  if (state == LogFile::State::refused) return written();
  if (state == LogFile::State::good) {
    StageRecord plan = stage_.record();
    const bool same = plan.device == place.device && plan.inode == place.inode;
    const auto size = static_cast<std::int64_t>(text_.size());
    if (recovered_ && same) done_ = static_cast<std::size_t>(std::clamp<std::int64_t>(place.size - plan.origin, 0, size));
    recovered_ = false;
    const std::int64_t origin = place.size - static_cast<std::int64_t>(done_);
    if (!same || plan.origin != origin) {
      plan.device = place.device;
      plan.inode = place.inode;
      plan.origin = origin;
      stage_.commit(plan);
    }
    done_ += file_.write(std::string_view(text_).substr(done_));
    if (done_ == text_.size()) return written();
  }
  retry_ms_ = now_ms + (stage_.has_room() ? retry_after_ms : crowded_ms);
}

void LogStream::written() {
  StageRecord next = stage_.record();
  for (std::uint32_t i = 0; i < next.notes; i++)
    closed_ = closed_ || stage_.note(next.first_note + i).kind == LogKind::close;
  // What follows had come by now; but what was dropped in between tells nothing of it.
  next.since_ns = next.next == next.to && next.next < stage_.size() ? next.time_ns : 0;
  next.from = next.to = next.next;
  next.first_note += next.notes;
  next.dropped -= next.told_dropped;
  next.lost_notes -= next.told_lost;
  next.notes = next.writing = 0;
  next.told_dropped = next.told_lost = 0;
  stage_.commit(next);
  text_.clear();
  done_ = 0;
  recovered_ = false;
  stage_.punch();
  rotate();
}

// The log cannot be written, the stage is full, and so is the FIFO: the daemon would wait for ever. Lines go, the oldest
// behind the text that waits, and are counted.
void LogStream::make_room() {
  pollfd fifo{fifo_.get(), POLLOUT, 0};
  // Without a monitor it is only read from and does not tell whether it is full; then the daemon waits.
  const bool tells = (fcntl(fifo_.get(), F_GETFL) & O_ACCMODE) == O_RDWR;
  if (stage_.has_room() || !tells || poll(&fifo, 1, 0) != 0) return;
  StageRecord next = stage_.record();
  const Lines lines = count_lines(stage_.read(next.next, stage_.size()), false);
  next.next += lines.used;
  next.dropped += lines.count;
  next.error = static_cast<std::uint32_t>(file_.error());
  stage_.commit(next);
  stage_.punch();
}

bool LogStream::turn(std::int64_t now_ms) {
  if (!stage_.taken() && (now_ms < retry_ms_ || !take(now_ms))) return !closed_;
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
