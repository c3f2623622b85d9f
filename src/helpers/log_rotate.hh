// Old logs: NAME.log.1 is the youngest, and each may be compressed as NAME.log.N.gz. Runs as the owner.
//
// Nothing is lost when dm-log is killed in between: names move from the oldest on, and a compressed log gets its name only when it is
// whole, after which the plain one goes. What a kill leaves is put in order the next time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "lib/fd.hh"

namespace dm {

// Makes NAME.log the first of `keep` old logs in this directory; `log` is "NAME.log". Those behind it move up by one as far as there is
// no gap, and the one that would be too many goes; with `keep` 0 that is NAME.log itself. False with errno where it stays NAME.log.
bool rotate_log(int directory, const std::string &log, std::uint32_t keep);

// Compresses old logs, one at a time, in a process of its own that does nothing else.
class Compressor {
public:
  // Begins with the youngest of the old logs that is not compressed yet. False where there is none, or it cannot be done now.
  bool start(int directory, const std::string &log, std::uint32_t keep);
  [[nodiscard]] bool busy() const { return child_ > 0; }
  // Becomes readable when the process has ended; then finish() puts the compressed log in the plain one's place.
  [[nodiscard]] int fd() const { return ended_.get(); }
  void finish();

private:
  Fd directory_, ended_;
  std::string log_;
  std::uint32_t keep_ = 0;
  pid_t child_ = -1;
  std::uint64_t inode_ = 0;  // of the plain log, whatever number it has by then
};

}  // namespace dm
