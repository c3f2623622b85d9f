// The way to the manager: which socket, and frames over it. The caller's privilege; the other end may be hostile.
#include "dmctl/connection.hh"

#include "settings.hh"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace dm::dmctl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t header_size = 8;

std::uint32_t get_u32(const char *at) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; i++) value |= std::uint32_t{static_cast<unsigned char>(at[i])} << (8 * i);
  return value;
}

// 0 and a connected socket, or the errno. Never blocks for ever: a full backlog (EAGAIN) is waited for, 60 s at most.
int connect_one(const std::string &path, Fd &socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  socket = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno;
  const Clock::time_point deadline = Clock::now() + std::chrono::seconds(60);
  while (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) {
    if ((errno != EAGAIN && errno != EINTR) || Clock::now() >= deadline) return errno;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return 0;
}

bool exists(const std::string &path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0;
}

}  // namespace

std::vector<std::string> socket_paths() {
  if (::geteuid() == 0) return {DM_RUN_DIR "/root.sock"};
  std::vector<std::string> paths;
  const passwd *me = ::getpwuid(::geteuid());  // not $HOME: it may be unset, or somebody else's
  if (me != nullptr && me->pw_dir != nullptr && me->pw_dir[0] == '/')
    paths.push_back(std::string(me->pw_dir) + "/.daemon-manager/command.sock");
  paths.emplace_back(DM_RUN_DIR "/command.sock");
  return paths;
}

Result<Fd> connect_to(std::span<const std::string> paths, const std::string &run_dir, Patience patience, std::vector<Attempt> &tried) {
  const Clock::time_point deadline = Clock::now() + patience;
  for (;;) {
    tried.clear();
    bool may_come = true;
    for (const std::string &path : paths) {
      Fd socket;
      const int error = connect_one(path, socket);
      if (error == 0) return socket;
      tried.push_back({path, error});
      may_come = may_come && (error == ENOENT || error == ECONNREFUSED || error == ENAMETOOLONG);
    }
    if (!may_come || Clock::now() >= deadline || !exists(run_dir)) return Error{"connect", tried.empty() ? ENOENT : tried.back().error, {}};
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

bool Connection::wait(short events, Patience patience) const {
  const bool limited = patience >= Patience::zero();
  const Clock::time_point deadline = Clock::now() + patience;
  for (;;) {
    int timeout = -1;
    if (limited) {
      const auto left = std::chrono::ceil<Patience>(deadline - Clock::now());
      timeout = left.count() < 0 ? 0 : static_cast<int>(left.count());
    }
    pollfd on{socket_.get(), events, 0};
    const int n = ::poll(&on, 1, timeout);
    if (n > 0) return true;
    if (n == 0 || errno != EINTR) return false;
  }
}

bool Connection::send(std::string_view frame, Patience patience) {
  while (!frame.empty()) {
    const ssize_t n = ::send(socket_.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
    if (n >= 0) frame.remove_prefix(static_cast<std::size_t>(n));
    else if (errno == EPIPE || errno == ECONNRESET) return true;
    else if (errno == EAGAIN) {
      if (!wait(POLLOUT, patience)) return false;
    } else if (errno != EINTR) return false;
  }
  return true;
}

bool Connection::ready() const {
  if (buffer_.size() - at_ < header_size) return false;
  return buffer_.size() - at_ - header_size >= get_u32(&buffer_[at_ + 4]);
}

Connection::Got Connection::next(Frame &frame, Patience patience) {
  constexpr std::size_t chunk = 64 * 1024;
  for (;;) {
    const std::size_t have = buffer_.size() - at_;
    if (have >= header_size) {
      const std::uint32_t kind = get_u32(&buffer_[at_]), size = get_u32(&buffer_[at_ + 4]);
      const bool known = kind >= static_cast<std::uint32_t>(FrameKind::row) && kind <= static_cast<std::uint32_t>(FrameKind::reason);
      if (!known || size > max_answer_frame) return Got::nonsense;
      if (have - header_size >= size) {
        frame = {static_cast<FrameKind>(kind), std::string_view(buffer_).substr(at_ + header_size, size)};
        at_ += header_size + size;
        return Got::frame;
      }
    }
    buffer_.erase(0, at_);
    at_ = 0;
    if (!wait(POLLIN, patience)) return Got::silence;
    const std::size_t old = buffer_.size();
    buffer_.resize(old + chunk);
    const ssize_t n = ::recv(socket_.get(), &buffer_[old], chunk, 0);
    const int error = errno;
    buffer_.resize(old + (n > 0 ? static_cast<std::size_t>(n) : 0));
    if (n == 0 || (n < 0 && error != EAGAIN && error != EINTR)) return Got::closed;
    total_ += buffer_.size() - old;
    if (total_ > max_answer) return Got::nonsense;
  }
}

}  // namespace dm::dmctl
