// One ~/.daemon-manager/logs/NAME.log, or the file that output= names, opened so that nobody can turn it into another file. Runs as the owner.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lib/fd.hh"

namespace dm {

class LogFile {
public:
  enum class State { waiting, good, refused };
  // Which file it is, and how long.
  struct Place {
    std::uint64_t device = 0, inode = 0;
    std::int64_t size = 0;
  };

  // The log NAME in his home, or, where it is not empty, `path`.
  LogFile(std::string home, const std::string &name, std::string path = "");
  // Opens it anew, making it (and logs/) where it is missing. Nobody else's dm-log, nor another log of this one, has it then.
  void open();
  // Good: the place is where the next text goes. Waiting: it cannot be opened now (errno in error()), try again in a second.
  // Refused (a link, FIFO, device, somebody else's …): all is dropped until the next open.
  State look(std::int64_t now_ms, Place &place);
  // Appends; the number of bytes written, less than all where errno says why.
  std::size_t write(std::string_view text);
  [[nodiscard]] int error() const { return error_; }
  // Makes it an old log, and opens a new one. False where it goes on as it is.
  bool rotate(std::uint32_t keep);
  // Where it and the old logs are; -1 where it is not open.
  [[nodiscard]] int directory() const { return state_ == State::good ? directory_.get() : -1; }
  [[nodiscard]] const std::string &name() const { return file_; }

private:
  [[nodiscard]] bool replaced() const;
  std::string home_, path_, file_;
  Fd directory_, fd_;
  State state_ = State::waiting;
  int error_ = 0;
  std::int64_t checked_ms_ = 0;
};

}  // namespace dm
