// One logged daemon: its FIFO, what of it is staged, its log, and the notes of its starts and exits. Runs as the owner.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lib/fd.hh"
#include "lib/helper.hh"
#include "log_file.hh"
#include "log_rotate.hh"
#include "log_stage.hh"
#include "log_syslog.hh"

namespace dm {

class LogStream {
public:
  // The owner's; `name` counts only where the stage is new.
  LogStream(const std::string &home, const std::string &owner, const std::string &name, Fd fifo, Fd stage);
  // A note that stands behind all that is in the FIFO now (exited, close), or before what is not in the log yet (started).
  // Once it is staged it survives this process; one that came while none was there is lost.
  void note(const LogOrder &order);
  // Its last run has ended, and a start is not known of. False too where another dm-log saw the end.
  [[nodiscard]] bool down() const { return down_; }
  [[nodiscard]] const std::string &name() const { return name_; }
  // Notes that it is not started again, for a fault at this place of its conf.
  void note_fault(std::int32_t line, std::int32_t column);
  // The FIFO has something to read.
  void wake() { readable_ = true; }
  // Does one bounded piece of work: at most one splice and one write. False when the stream is to be forgotten.
  bool turn(std::int64_t now_ms);
  // Closes it and works on until it is done (true), or cannot be written now.
  bool finish(std::int64_t now_ms);
  // The monitor is gone. From now on the FIFO is only read from, so that its end shows when its last writer is gone. False
  // where that cannot be had.
  bool orphan();
  // Another dm-log wants it, and goes on at any point where this one stops.
  [[nodiscard]] bool wanted() const { return stage_.wanted(); }
  // Nobody can write to the FIFO any more, and it is empty.
  [[nodiscard]] bool abandoned() const;
  // Whether the stage is this one's.
  [[nodiscard]] bool holds() const { return stage_.taken(); }
  [[nodiscard]] bool leaving() const { return leaving_; }
  // Nobody is there to wait for: the next turns take what is in the FIFO now. A line that has only begun stays for the successor.
  void leave();
  // A start is coming: the FIFO waits a moment for the note of it, which belongs before what the daemon writes.
  void expect_start(std::int64_t now_ms);
  // Where the log NAME is and how it is kept, from the next plan on: its conf says so.
  void set_terms(const std::string &name, const LogTerms &terms);
  // Has an old log compressed, where its terms want that. False where there is none left.
  bool compress(Compressor &compressor) const;
  [[nodiscard]] bool wants_compressor() const { return rotated_; }
  void compressed() { rotated_ = false; }
  // The slot goes on: a close that was ordered does not count any more, and the owner may have mended or moved his log.
  void reopen();
  // Opens the log anew at once: what comes from now on belongs into the file that has its name now.
  void open_anew();

  // When to call turn again: now (0), at a time in ms, or (-1) when the FIFO has something.
  [[nodiscard]] std::int64_t due() const;
  // Whether these are the FIFO and stage that it has.
  [[nodiscard]] bool same(const Fd &fifo, const Fd &stage) const;
  // True once, when it has got hold of its stage. Only then is the FIFO worth watching.
  [[nodiscard]] bool taken() { return std::exchange(new_, false); }
  [[nodiscard]] int fifo() const { return fifo_.get(); }

private:
  static constexpr std::int64_t crowded_ms = 50;  // how soon it tries again while the stage is full: the daemon may be waiting
  static std::int64_t wall_clock_ns();

  // log_stream.cc: from the FIFO to the stage.
  bool take(std::int64_t now_ms);
  // True where the log is another now, and is to be opened.
  bool adopt_terms();
  void open_log();
  void fill(std::int64_t now_ms);
  void rest();
  void add(StageNote note);
  [[nodiscard]] bool wants_fifo() const;
  [[nodiscard]] std::uint64_t waiting() const;

  // log_write.cc: from the stage to the log.
  bool plan();
  void write_out(std::int64_t now_ms);
  void send_out(std::int64_t now_ms);
  void written();
  void make_room();
  // Between two plans, so that a successor that finds one of them knows by the file whether it was written. `size`: of the log.
  void rotate(std::uint64_t size);

  std::string home_, owner_, name_;
  Fd fifo_;
  LogStage stage_;
  LogFile file_;
  LogSyslog syslog_;
  bool to_syslog_ = false;  // else into the file
  std::vector<LogOrder> early_;  // that came before the stage was ours
  std::pair<std::string, LogTerms> told_terms_;  // of this log, until they count
  std::uint64_t rotate_at_ = 0;  // bytes; 0: as the terms say
  std::string text_;             // of the plan
  std::size_t done_ = 0;         // so much of it stands in the log
  std::uint64_t leave_at_ = ~std::uint64_t{0};
  std::int64_t retry_ms_ = 0, fill_ms_ = 0, pause_ms_ = 0;
  bool readable_ = true, recovered_ = false, leaving_ = false, closed_ = false, idle_ = false, new_ = false, rotated_ = false, down_ = false;
};

}  // namespace dm
