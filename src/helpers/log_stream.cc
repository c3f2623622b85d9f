// Moves one daemon's output from its FIFO into its log, and notes starts and exits in between. Runs as the owner.
#include "log_stream.hh"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <utility>

#include "lib/text.hh"

namespace dm {
namespace {

constexpr std::size_t chunk_size = 16384;     // per turn: nobody's flood keeps the others waiting
constexpr std::size_t max_notes = 64;         // while the disk is full
constexpr std::int64_t retry_after_ms = 1'000;

std::int64_t wall_clock_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::string describe(const LogOrder &order) {
  if (order.kind == LogKind::started) return "started, pid " + std::to_string(order.value);
  if (order.code == CLD_EXITED) return "exited with code " + std::to_string(order.value);
  if (order.code == CLD_KILLED) return "killed by " + signal_name(order.value);
  if (order.code == CLD_DUMPED) return "killed by " + signal_name(order.value) + ", core dumped";
  return "ended";
}

bool same_file(int a, int b) {
  struct stat first {}, second {};
  if (fstat(a, &first) != 0 || fstat(b, &second) != 0) return false;
  return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace

LogStream::LogStream(const std::string &home, std::string name, Fd fifo)
    : name_(std::move(name)), fifo_(std::move(fifo)), file_(home, name_) {
  file_.open();
}

std::uint64_t LogStream::waiting() const {
  int bytes = 0;
  return ioctl(fifo_.get(), FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
}

void LogStream::note(const LogOrder &order) {
  std::uint64_t before = 0;
  if (order.kind != LogKind::started) {
    before = waiting();
    for (const Note &ahead : notes_) before -= std::min(before, ahead.before);
  }
  if (before > 0) readable_ = true;  // epoll may not have told yet
  // A close must not be lost.
  if (notes_.size() >= max_notes && order.kind != LogKind::close) {
    lost_notes_++;
    return;
  }
  notes_.push_back({order, before});
}

void LogStream::put_note(const Note &note) {
  lines_.finish(out_);
  if (note.order.kind == LogKind::close) {
    done_ = true;
    return;
  }
  put_stamp(out_, note.order.time_ns);
  out_ += "--- " + describe(note.order);
  if (lost_notes_ > 0)
    out_ += " (" + std::to_string(std::exchange(lost_notes_, 0)) + " later starts and exits are not noted)";
  out_ += " ---\n";
}

void LogStream::read_some() {
  char chunk[chunk_size];
  const bool bounded = !notes_.empty();
  std::size_t most = chunk_size;
  if (bounded) most = static_cast<std::size_t>(std::min<std::uint64_t>(most, notes_.front().before));
  const ssize_t n = read(fifo_.get(), chunk, most);
  if (n <= 0) {
    if (n < 0 && errno == EINTR) return;
    // Empty, or no writer at the moment: epoll tells (edge-triggered) when there is more.
    readable_ = false;
    if (bounded) notes_.front().before = 0;
    return;
  }
  std::int64_t time_ns = wall_clock_ns();
  if (bounded) {
    // Written before the event that the note tells of: no line shall seem to come after its daemon's end.
    time_ns = std::min(time_ns, notes_.front().order.time_ns);
    notes_.front().before -= static_cast<std::uint64_t>(n);
  }
  lines_.take({chunk, static_cast<std::size_t>(n)}, time_ns, out_);
}

void LogStream::write_out(std::int64_t now_ms) {
  if (out_.empty()) return;
  file_.put(out_, now_ms);
  if (out_.empty()) out_.shrink_to_fit();
  else retry_ms_ = now_ms + retry_after_ms;
}

bool LogStream::turn(std::int64_t now_ms) {
  if (!out_.empty()) {
    // The disk is full: the FIFO is left alone, so that the daemon waits and nothing is lost.
    if (now_ms >= retry_ms_) write_out(now_ms);
    return !(done_ && out_.empty());
  }
  if (done_) return false;
  if (readable_ && (notes_.empty() || notes_.front().before > 0)) read_some();
  else if (!notes_.empty()) notes_.front().before = 0;
  while (!notes_.empty() && notes_.front().before == 0 && !done_) {
    put_note(notes_.front());
    notes_.pop_front();
  }
  write_out(now_ms);
  return !(done_ && out_.empty());
}

void LogStream::finish(std::int64_t now_ms) {
  LogOrder close{};
  close.kind = LogKind::close;
  close.time_ns = wall_clock_ns();
  note(close);
  readable_ = true;
  while (turn(now_ms) && out_.empty()) {}
}

void LogStream::replace_fifo(Fd fifo, std::int64_t now_ms) {
  if (!same_file(fifo_.get(), fifo.get())) finish(now_ms);
  // The slot lives on: neither that close nor one of the monitor's before it counts any more.
  std::erase_if(notes_, [](const Note &note) { return note.order.kind == LogKind::close; });
  done_ = false;
  fifo_ = std::move(fifo);
  readable_ = true;
}

std::int64_t LogStream::due() const {
  if (!out_.empty()) return retry_ms_;
  return readable_ || !notes_.empty() || done_ ? 0 : -1;
}

}  // namespace dm
