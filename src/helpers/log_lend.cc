// Lends an owner's logs to those who manage him. Runs as the owner; whoever connects, and what he asks, is judged here.
#include "log_lend.hh"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/conf.hh"
#include "log_clock.hh"
#include "log_place.hh"

namespace dm {
namespace {

constexpr std::size_t most_loans = 32;
constexpr std::int64_t wait_ms = 10'000;
constexpr std::int64_t lend_ms = 60'000;  // then he asks the worker again, which knows whether he still may
constexpr std::uint64_t timer_id = 0;

// One answer, with the file where there is one. False where he does not take it.
bool answer(const Fd &to, const Fd &file, int error) {
  LendAnswer text{error};
  iovec part{&text, sizeof text};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{nullptr, 0, &part, 1, control, file ? sizeof control : 0, 0};
  if (cmsghdr *item = CMSG_FIRSTHDR(&header); item != nullptr) {
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = file.get();
    memcpy(CMSG_DATA(item), &fd, sizeof fd);
  }
  return sendmsg(to.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof text;
}

std::string file_of(const BookLog &log) {
  return log.terms.file.empty() ? log.name + ".log" : log.terms.file.substr(log.terms.file.rfind('/') + 1);
}

}  // namespace

bool Lender::watch(int fd, std::uint64_t id) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Lender::lend(const BookLog &log, uid_t reader, Fd socket) {
  if (!epoll_) {
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    timer_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!epoll_ || !timer_ || !watch(timer_.get(), timer_id)) return epoll_.reset();
  }
  // Who was expected and did not come makes room.
  const auto idle = std::find_if(loans_.begin(), loans_.end(), [](const Loan &it) { return !it.connected; });
  if (loans_.size() >= most_loans && idle != loans_.end()) loans_.erase(idle);
  if (loans_.size() >= most_loans || listen(socket.get(), 4) != 0 || !watch(socket.get(), ++last_id_)) return;
  loans_.push_back({last_id_, file_of(log), log.terms.file, reader, std::move(socket), false, clock_ms() + wait_ms});
  const itimerspec each_second{{1, 0}, {1, 0}};
  timerfd_settime(timer_.get(), 0, &each_second, nullptr);
}

void Lender::serve() {
  epoll_event events[most_loans + 1];
  const int count = epoll_wait(epoll_.get(), events, most_loans + 1, 0);
  for (int i = 0; i < count; i++) {
    const auto loan = std::find_if(loans_.begin(), loans_.end(), [&](const Loan &it) { return it.id == events[i].data.u64; });
    if (loan == loans_.end()) continue;
    if (!loan->connected) meet(*loan);
    else if (!serve(*loan)) loans_.erase(loan);
  }
  std::uint64_t ticks;
  if (read(timer_.get(), &ticks, sizeof ticks) < 0) return;
  std::erase_if(loans_, [now = clock_ms()](const Loan &it) { return now > it.until; });
  const itimerspec off{};
  if (loans_.empty()) timerfd_settime(timer_.get(), 0, &off, nullptr);
}

// Safe because the kernel says who he is. All others are turned away, and he is still waited for: he may read it twice at a time.
void Lender::meet(const Loan &loan) {
  Fd peer(accept4(loan.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  ucred who{};
  socklen_t size = sizeof who;
  if (!peer || getsockopt(peer.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || who.uid != loan.reader) return;
  if (loans_.size() < most_loans && watch(peer.get(), ++last_id_))
    loans_.push_back({last_id_, loan.log, loan.path, loan.reader, std::move(peer), true, clock_ms() + lend_ms});
}

// One request, so that nobody who has many keeps the logs waiting.
bool Lender::serve(Loan &loan) const {
  LendRequest request{};
  // With one byte more than there should be, so that a longer one is not taken for a sound one.
  char bytes[sizeof request + 1];
  const ssize_t size = recv(loan.socket.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size != sizeof request) return false;
  memcpy(&request, bytes, sizeof request);
  if (request.number > most_logs_kept || request.packed > 1 || (request.packed != 0 && request.number == 0)) return false;
  errno = ELOOP;
  const Fd file = open(loan, request);
  return answer(loan.socket, file, file ? 0 : errno);
}

// Only a plain file of the owner's, in his own directory: he could else have others read in his name what they could not. Empty with
// errno set.
Fd Lender::open(const Loan &loan, const LendRequest &request) const {
  const OwnDirectory logs = loan.path.empty() ? open_logs(home_, false) : open_log_directory(home_, loan.path);
  if (!logs.fd) return errno = logs.problem == BookProblem::missing ? ENOENT : ELOOP, Fd();
  std::string name = loan.log;
  if (request.number != 0) name += "." + std::to_string(request.number) + (request.packed != 0 ? ".gz" : "");
  Fd file = open_beneath(logs.fd.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!file) return {};
  struct stat info {};
  if (fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid()) return file;
  return errno = ELOOP, Fd();
}

}  // namespace dm
