// One ~/.daemon-manager/logs/NAME.log, opened so that nobody can turn it into another file. Runs as the owner.
#pragma once

#include <cstdint>
#include <string>

#include "lib/fd.hh"

namespace dm {

class LogFile {
public:
  LogFile(std::string home, const std::string &name) : home_(std::move(home)), file_(name + ".log") {}
  // Opens it anew, making it and its directory where they are missing.
  void open();
  // Appends `text` and cuts off what was written. What is left could not be written now: try again in a second.
  // Where the log is refused (a link, FIFO, device, somebody else's …) all is dropped until the next open.
  void put(std::string &text, std::int64_t now_ms);

private:
  [[nodiscard]] bool replaced() const;
  enum class State { waiting, good, refused };
  std::string home_, file_;
  Fd directory_, fd_;
  State state_ = State::waiting;
  std::int64_t checked_ms_ = 0;
};

}  // namespace dm
