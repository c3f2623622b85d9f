// What somebody who manages a log's owner, and dm-log, which runs as that owner, say to each other over the socket read/SLOT of the
// run directory: SOCK_SEQPACKET, each datagram exactly one of these.
#pragma once

#include <cstdint>

namespace dm {

// Open this one of the log's files for me.
struct LendRequest {
  std::uint32_t number;  // 0: the log itself; from 1 on those that were rotated away, the youngest first
  std::uint32_t packed;  // 1: as NAME.log.N.gz
};

// The answer: the file's descriptor, for reading, is attached where errno is 0.
struct LendAnswer {
  std::int32_t errno_value;  // ELOOP: what is there is no plain file of the owner's
};

}  // namespace dm
