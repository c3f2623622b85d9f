// Whom the worker talks to: clients, and the monitor as far as it does not listen just now. Sandboxed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "lib/client.hh"
#include "lib/fd.hh"
#include "lib/policy.hh"
#include "worker/daemon.hh"

namespace dm::worker {

struct Client {
  Fd socket;
  ClientId id = 0;
  std::uint32_t uid = 0;
  std::uint32_t user = no_user;  // his row
  std::string in, out;
  std::optional<std::string> deferred;  // a request that waits for the first reading of confs
  std::size_t sent = 0;
  bool changes = false;          // what he asked for is to be kept before his answer ends
  bool asked = false, ended = false, closing = false, no_wait = false, with_dependants = false, long_rows = false, writable_wanted = false;
  unsigned pending = 0;          // waits that are still open
  unsigned refused = 0;          // ids that were not permitted
  unsigned unknown = 0;          // and that were nobody's
  Exit code = Exit::done;
  std::int64_t first_ms = 0;     // when he asked for this first, where he had no answer and asks again; 0: this is the first time
  std::int64_t until = 0;        // to have asked, or to have read on
};

// A client whose answer ends when the monitor has told of this cookie.
struct Unkept {
  std::uint32_t cookie, slot;
  ClientId client;
};

struct Listener {
  Fd socket;
  std::uint32_t owner;  // row, or listener_root, listener_shared
};

// Datagrams that the monitor's socket did not take yet, in one piece of memory that goes back when they are gone: after `restart
// all` there are thousands.
struct Asks {
  std::string bytes;      // each with its size (std::uint32_t) in front
  std::size_t taken = 0;  // of the bytes
  std::size_t count = 0;
};

}  // namespace dm::worker
