// dm-worker: parses confs, serves dmctl, decides. Own uid, empty chroot, no capability, seccomp; linked static.
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "worker/worker.hh"

namespace {

using namespace dm;
using namespace dm::worker;

// What a long list or a crowd of waiters took goes back to the kernel when it is freed. glibc would raise both bounds to what
// it has seen, and keep it for ever.
constexpr int give_back = 128 * 1024;

bool map_policy(Worker &worker) {
  struct stat status;
  if (::fstat(worker_policy_fd, &status) != 0 || status.st_size <= 0) return false;
  const auto size = static_cast<std::size_t>(status.st_size);
  const void *map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, worker_policy_fd, 0);
  return map != MAP_FAILED && check_policy(map, size, worker.policy);
}

}  // namespace

int main(int argc, char **argv) {
  const int sink = argc == 2 ? argv[1][0] - '0' : 0;
  ::mallopt(M_MMAP_THRESHOLD, give_back);
  ::mallopt(M_TRIM_THRESHOLD, give_back);
  Worker worker;
  worker.log = Log(worker_log_fd, sink >= 0 && sink <= 2 ? static_cast<LogSink>(sink) : LogSink::stream);
  if (::getuid() == 0 || ::geteuid() == 0) return worker.log.line("worker: not as root"), 1;
  worker.monitor = Fd(worker_socket_fd);
  worker.history = Fd(worker_history_fd);
  worker.epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
  worker.timer = Fd(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!worker.epoll || !worker.timer || !map_policy(worker)) return worker.log.line("worker: cannot set up"), 1;
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  worker.host = host;
  worker.owners.resize(worker.policy.count());
  if (!enter_sandbox()) return worker.log.line("worker: the sandbox cannot be set up, so it does not serve"), 1;
  return run(worker);
}
