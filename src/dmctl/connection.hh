// The way to the manager: which socket, and frames over it. The caller's privilege; the other end may be hostile.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/client.hh"
#include "lib/fd.hh"
#include "lib/result.hh"

namespace dm::dmctl {

using Patience = std::chrono::milliseconds;
inline constexpr Patience for_ever{-1};
// What one answer may come to in all: 1.6 million daemons (16,384 owners of 100 each) of 160 bytes.
inline constexpr std::size_t max_answer = std::size_t{256} << 20;

// Sockets to try, in this order: root's own; else the one in the home that the user database names, then the common one.
std::vector<std::string> socket_paths();

// A path that was tried, and the errno that came of it.
struct Attempt {
  std::string path;
  int error;
};

// Connects to the first path that takes us. While all of them are missing or refuse, as they do for a moment when a manager
// is restarted, it tries again for `patience`, provided that `run_dir` exists. `tried` tells of each path
// how it went at last.
Result<Fd> connect_to(std::span<const std::string> paths, const std::string &run_dir, Patience patience, std::vector<Attempt> &tried);

// One request and its answer.
class Connection {
public:
  explicit Connection(Fd socket) : socket_(std::move(socket)) {}
  // Sends a request frame. A peer that closes early is no error here: its answer may say why.
  bool send(std::string_view frame, Patience patience);

  enum class Got { frame, closed, silence, nonsense };
  struct Frame {
    FrameKind kind;
    std::string_view payload;  // valid until the next call
  };
  // The next frame of the answer. `silence`: no byte came for `patience`. `nonsense`: not a frame, or too big.
  Got next(Frame &frame, Patience patience);
  // True where the next frame is here already, so that `next` will not wait.
  [[nodiscard]] bool ready() const;

private:
  [[nodiscard]] bool wait(short events, Patience patience) const;
  Fd socket_;
  std::string buffer_;
  std::size_t at_ = 0;     // first byte in buffer_ not yet given out
  std::size_t total_ = 0;  // bytes received in all
};

}  // namespace dm::dmctl
