// The writing half of a stream: decides on a text, and puts it into the log once, whoever is killed meanwhile. Runs as the owner.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "log_lines.hh"
#include "log_stream.hh"
#include "log_text.hh"

namespace dm {
namespace {

constexpr std::int64_t retry_after_ms = 1'000;
constexpr std::int64_t least_pause_ms = 2;

std::int32_t offset_of(Stamp stamp, std::int64_t time_ns) {
  if (stamp != Stamp::local) return stamp == Stamp::none ? no_stamp : 0;
  const time_t seconds = time_ns / 1'000'000'000;
  tm there{};
  return localtime_r(&seconds, &there) != nullptr ? static_cast<std::int32_t>(there.tm_gmtoff) : 0;
}

}  // namespace

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
  next.offset = to_syslog_ ? no_stamp : offset_of(stage_.terms().stamp, next.time_ns);
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
  next.origin = 0;
  stage_.commit(next);
  compose_plan(stage_, text_);
  done_ = 0;
  return true;
}

// What syslog has been told is on record line by line: a successor sends at most one of them again.
void LogStream::send_out(std::int64_t now_ms) {
  StageRecord plan = stage_.record();
  if (recovered_ && plan.inode == 0) done_ = std::min(static_cast<std::size_t>(plan.origin), text_.size());
  recovered_ = false;
  const std::size_t before = done_;
  while (done_ < text_.size()) {
    const std::size_t sent = syslog_.send_line(std::string_view(text_).substr(done_), plan.time_ns);
    if (sent == 0) break;
    done_ += sent;
    plan.device = plan.inode = 0;
    plan.origin = static_cast<std::int64_t>(done_);
    stage_.commit(plan);
  }
  if (done_ == text_.size()) return written();
  // It is busy, and takes more in a moment, or it is away.
  pause_ms_ = done_ > before ? least_pause_ms : std::clamp<std::int64_t>(2 * pause_ms_, least_pause_ms, stage_.has_room() ? retry_after_ms : crowded_ms);
  retry_ms_ = now_ms + pause_ms_;
}

void LogStream::write_out(std::int64_t now_ms) {
  if (to_syslog_) return send_out(now_ms);
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
    if (done_ == text_.size()) {
      written();
      return rotate(static_cast<std::uint64_t>(origin + size));
    }
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
  next.error = static_cast<std::uint32_t>(to_syslog_ ? syslog_.error() : file_.error());
  stage_.commit(next);
  stage_.punch();
}

bool LogStream::compress(Compressor &compressor) const {
  return stage_.taken() && stage_.terms().compress && file_.directory() >= 0 &&
         compressor.start(file_.directory(), file_.name(), stage_.terms().keep);
}

void LogStream::rotate(std::uint64_t size) {
  const LogTerms terms = stage_.terms();
  if (terms.size == 0 || size < std::max(terms.size, rotate_at_)) return;
  const bool done = file_.rotate(terms.keep);
  rotated_ = rotated_ || (done && terms.compress);
  rotate_at_ = done ? 0 : size + terms.size;
}

}  // namespace dm
