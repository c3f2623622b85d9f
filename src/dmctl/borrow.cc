// Borrows the files of a log from its owner's dm-log. The caller's privilege; whoever answers must be the owner.
#include "dmctl/borrow.hh"

#include "dmctl/talk.hh"
#include "lib/lend.hh"
#include "settings.hh"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr int patience_ms = 5'000, again_ms = 1'000, pause_ms = 20;

LogFault fault_of(int error) {
  switch (error) {
  case 0: return LogFault::none;
  case ENOENT: return LogFault::missing;
  case ELOOP: return LogFault::not_a_log;
  default: return LogFault::failed;
  }
}

Fd connect_as(const std::string &path, uid_t owner) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket || path.size() >= sizeof address.sun_path) return {};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ucred who{};
  socklen_t size = sizeof who;
  if (::connect(socket.get(), static_cast<sockaddr *>(static_cast<void *>(&address)), sizeof address) != 0 ||
      ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || who.uid != owner)
    return {};
  return socket;
}

}  // namespace

// The place where it is to be had is made only now: it, and who waits there, are there in a moment. Another's reader may take it over.
bool Borrowed::meet() {
  for (int waited = 0; waited < patience_ms; waited += again_ms) {
    std::string path;
    if (!find(path)) return false;
    if (connect(path)) return true;
  }
  why_ = "nobody came to hand it out; too many may be reading logs of this owner, or he has used up his starts for the moment. Try again";
  return false;
}

// Asks the manager for the place.
bool Borrowed::find(std::string &path) {
  Printer nobody(-1, -1);
  const Answer answer = ask_manager({.verb = "lend", .arguments = {id_}, .keep_text = true}, nobody);
  std::uint32_t slot = 0;
  const auto [end, error] = std::from_chars(answer.text.data(), answer.text.data() + answer.text.size(), slot);
  if (answer.code == Exit::done && error == std::errc{} && *end == '\n') {
    path = fmt::format("{}/read/{}", DM_RUN_DIR, slot);
    return true;
  }
  why_ = "the manager does not let you read it now; dmctl status " + id_ + " may tell why";
  return false;
}

bool Borrowed::connect(const std::string &path) {
  for (int waited = 0; waited < again_ms; waited += pause_ms) {
    OpenedLog unused;
    lender_ = connect_as(path, owner_);
    // One who expected somebody else turns us away at once; the right one answers.
    if (lender_ && ask(0, false, unused)) return true;
    const timespec pause{0, pause_ms * 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
  lender_.reset();
  return false;
}

// False where whoever lends it has gone.
bool Borrowed::ask(std::uint32_t number, bool packed, OpenedLog &log) const {
  const LendRequest request{number, packed ? 1U : 0U};
  if (::send(lender_.get(), &request, sizeof request, MSG_NOSIGNAL) != sizeof request) return false;
  pollfd on{lender_.get(), POLLIN, 0};
  if (::poll(&on, 1, patience_ms) != 1) return false;
  LendAnswer answer{};
  iovec part{&answer, sizeof answer};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header{nullptr, 0, &part, 1, control, sizeof control, 0};
  if (::recvmsg(lender_.get(), &header, MSG_CMSG_CLOEXEC) != sizeof answer) return false;
  Fd file;
  if (const cmsghdr *item = CMSG_FIRSTHDR(&header); item != nullptr && item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(item), sizeof fd);
    file = Fd(fd);
  }
  struct stat info;
  const bool plain = file && ::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == owner_;
  log = {plain ? std::move(file) : Fd(), answer.errno_value == 0 && !plain ? LogFault::not_a_log : fault_of(answer.errno_value), answer.errno_value};
  return true;
}

OpenedLog Borrowed::open(std::uint32_t number, bool packed) {
  OpenedLog log;
  why_.clear();
  if (lender_ && ask(number, packed, log)) return log;
  if (meet() && ask(number, packed, log)) return log;
  return {Fd(), LogFault::failed, ETIMEDOUT};
}

}  // namespace dm::dmctl
