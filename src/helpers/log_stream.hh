// One logged daemon: its FIFO, its log, and the notes of its starts and exits between the lines. Runs as the owner.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "lib/fd.hh"
#include "lib/helper.hh"
#include "log_file.hh"
#include "log_lines.hh"

namespace dm {

class LogStream {
public:
  LogStream(const std::string &home, std::string name, Fd fifo);
  // A note that stands behind all that is in the FIFO now (exited, close), or before it (started).
  void note(const LogOrder &order);
  // The FIFO has something to read.
  void wake() { readable_ = true; }
  // Does one bounded piece of work: at most one read and one write. False when the stream is to be forgotten.
  bool turn(std::int64_t now_ms);
  // Works until the note that is last now stands in the log, or until it cannot be written.
  void finish(std::int64_t now_ms);
  // Goes on with another FIFO for the same log.
  void replace_fifo(Fd fifo, std::int64_t now_ms);
  // Opens the log anew: the owner may have mended or moved it.
  void reopen() { file_.open(); }

  // When to call turn again: now (0), at a time in ms, or (-1) when the FIFO has something.
  [[nodiscard]] std::int64_t due() const;
  [[nodiscard]] const std::string &name() const { return name_; }
  [[nodiscard]] int fifo() const { return fifo_.get(); }

private:
  struct Note {
    LogOrder order;
    std::uint64_t before;  // bytes to read between the note ahead of it and this one
  };
  void read_some();
  void put_note(const Note &note);
  void write_out(std::int64_t now_ms);
  [[nodiscard]] std::uint64_t waiting() const;

  std::string name_;
  Fd fifo_;
  LogFile file_;
  LogLines lines_;
  std::string out_;  // stamped, not written yet
  std::deque<Note> notes_;
  std::uint64_t lost_notes_ = 0;
  std::int64_t retry_ms_ = 0;
  bool readable_ = true, done_ = false;
};

}  // namespace dm
