// Sends dm-scan and dm-listen on their way, each as the owner, and takes what they bring. Root with four capabilities.
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

constexpr std::int64_t errand_ms = 10'000;  // then a home that does not answer is given up
constexpr int all_seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
constexpr std::uint32_t table_room = 2U << 20;  // beside the texts a book holds its table of entries

// A helper on a short errand for one owner.
Spawn as_owner(const Monitor &monitor, std::uint32_t owner, const Fd &program, const char *const *argv) {
  Spawn what = child_as(monitor, monitor.policy.users[owner], program, argv);
  what.parent = ::getpid();  // beside the next monitor's helper it would bind or unlink what is the other's
  return what;
}

bool sealed(const Fd &file, off_t most) {
  struct stat status;
  return file && ::fcntl(file.get(), F_GET_SEALS) == all_seals && ::fstat(file.get(), &status) == 0 &&
         status.st_size <= most;
}

void tell_book(Monitor &monitor, std::uint32_t owner, BookResult result, int errno_value) {
  Owner &it = monitor.owners[owner];
  it.book_result = result;
  it.book_errno = static_cast<std::uint32_t>(errno_value);
  it.book_dirty = true;
  mark_owner(monitor, owner);
}

void tell_listener(Monitor &monitor, std::uint32_t owner, int result) {
  Owner &it = monitor.owners[owner];
  it.listen_result = result;
  it.listener_dirty = true;
  mark_owner(monitor, owner);
}

void scan_ended(Monitor &monitor, std::uint32_t index, bool good) {
  Owner &owner = monitor.owners[index];
  Fd book = std::move(owner.scan.first), full = std::move(owner.scan.second);
  const bool told = owner.scan.told;
  owner.scan = Errand{};
  const off_t most = static_cast<off_t>(monitor.policy.users[index].limits.book_bytes) + table_room;
  if (good && sealed(book, most) && sealed(full, most)) {
    owner.book = std::move(book);
    owner.full_book = std::move(full);
    // Of daemons that were taken over only we hold what they said last, until a dm-log can be told whose it is: now it can.
    if (monitor.recovered && owner.generation == 0) monitor.next_tick = 0;
    owner.generation = ++monitor.generation;
    tell_book(monitor, index, BookResult::ok, 0);
  } else if (!told) {
    say(monitor, "the confs of uid %u could not be read: dm-scan %s", owner.uid, good ? "left books that are not sealed, or too large" : "failed");
    tell_book(monitor, index, good ? BookResult::unsealed : BookResult::failed, 0);
  }
  if (owner.scan_again) start_scan(monitor, index);
}

void listen_ended(Monitor &monitor, std::uint32_t index, bool exited, int status) {
  Owner &owner = monitor.owners[index];
  Fd socket = std::move(owner.listen.first);
  const bool told = owner.listen.told;
  owner.listen = Errand{};
  const bool good = exited && status == static_cast<int>(ListenExit::done);
  if (good) owner.listener = std::move(socket);
  if (good || !told) tell_listener(monitor, index, exited ? status : -1);
}

// At its deadline a helper is killed and its failure told; one that does not even die then keeps its place until it does.
void check(Monitor &monitor, Errand &errand, std::int64_t now, std::uint32_t owner, bool scan) {
  if (errand.pid == 0 || errand.told) return;
  monitor.busy = true;
  if (now < errand.deadline) return;
  ::kill(errand.pid, SIGKILL);
  errand.told = true;
  say(monitor, "%s for uid %u did not end in 10 s and is killed: is his home reachable?", scan ? "dm-scan" : "dm-listen",
      monitor.policy.users[owner].uid);
  if (scan) tell_book(monitor, owner, BookResult::timed_out, 0);
  else tell_listener(monitor, owner, -1);
}

}  // namespace

bool take_token(Monitor &monitor, std::uint32_t index) {
  Owner &owner = monitor.owners[index];
  const Limits &limits = monitor.policy.users[index].limits;
  // All of an owner's daemons may start at once after a boot; from then on so many a second.
  const std::int64_t most = (std::int64_t{limits.starts} + limits.daemons) * 1000, now = now_ms();
  if (owner.tokens_at == 0) owner.tokens = most;
  else owner.tokens += (now - owner.tokens_at) * limits.starts;
  owner.tokens_at = now;
  if (owner.tokens > most) owner.tokens = most;
  if (owner.tokens < 1000) return false;
  owner.tokens -= 1000;
  return true;
}

void start_scan(Monitor &monitor, std::uint32_t index) {
  Owner &owner = monitor.owners[index];
  const bool known = (monitor.policy.users[index].flags & user_resolved) != 0;
  monitor.busy = true;
  if (!known) owner.scan_again = false;
  if (!known || owner.scan.pid != 0 || !take_token(monitor, index)) return;  // check_errands tries again
  const PolicyUser &user = monitor.policy.users[index];
  char limit[16];
  std::snprintf(limit, sizeof limit, "%u", user.limits.book_bytes);
  const char *argv[] = {"dm-scan", monitor.policy.text(user.home), monitor.policy.text(user.name), owner.scan_create ? "create" : "look", limit, nullptr};
  Spawn what = as_owner(monitor, index, monitor.programs.scan, argv);
  Fd book(::memfd_create("book", MFD_CLOEXEC | MFD_ALLOW_SEALING)), full(::memfd_create("book", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  what.own[0] = book.get();
  what.own[1] = full.get();
  what.file_limit = std::uint64_t{user.limits.book_bytes} + table_room;
  owner.scan_again = owner.scan_create = false;
  const pid_t pid = book && full ? launch(monitor, what, ChildKind::errand, user.uid) : -1;
  if (pid < 0) return tell_book(monitor, index, BookResult::failed, errno);
  owner.scan.pid = pid;
  owner.scan.deadline = now_ms() + errand_ms;
  owner.scan.first = std::move(book);
  owner.scan.second = std::move(full);
}

void start_listen(Monitor &monitor, std::uint32_t index) {
  Owner &owner = monitor.owners[index];
  if (owner.listen.pid != 0) return;  // its answer is on the way
  if (owner.listener) return tell_listener(monitor, index, 0);
  const char *argv[] = {"dm-listen", monitor.policy.text(monitor.policy.users[index].home), nullptr};
  Spawn what = as_owner(monitor, index, monitor.programs.listen, argv);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  what.own[0] = socket.get();
  const pid_t pid = socket && take_token(monitor, index) ? launch(monitor, what, ChildKind::errand, what.uid) : -1;
  if (pid < 0) return tell_listener(monitor, index, -1);
  monitor.busy = true;
  owner.listen.pid = pid;
  owner.listen.deadline = now_ms() + errand_ms;
  owner.listen.first = std::move(socket);
}

void errand_ended(Monitor &monitor, const Child &child, int code, int status) {
  const std::uint32_t index = owner_of(monitor, child.index);
  if (index == no_user) return;  // gone with the policy that knew him
  const Owner &owner = monitor.owners[index];
  const bool exited = code == CLD_EXITED;
  if (owner.scan.pid == child.pid) scan_ended(monitor, index, exited && status == 0);
  else if (owner.listen.pid == child.pid) listen_ended(monitor, index, exited, status);
  else if (owner.log_pid == child.pid) log_ended(monitor, index);
}

void check_errands(Monitor &monitor) {
  const std::int64_t now = now_ms();
  for (std::uint32_t i = 0; i < monitor.policy.count(); i++) {
    Owner &owner = monitor.owners[i];
    if (owner.scan_again && owner.scan.pid == 0) start_scan(monitor, i);
    monitor.busy = monitor.busy || owner.scan_again;
    check(monitor, owner.scan, now, i, true);
    check(monitor, owner.listen, now, i, false);
  }
  if (monitor.policy_run.pid != 0 && now > monitor.policy_run.deadline) ::kill(monitor.policy_run.pid, SIGKILL);
}

}  // namespace dm::monitor
