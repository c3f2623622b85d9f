// Sends dm-scan and dm-listen on their way, each as the owner, and takes what they bring. Root with few capabilities.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

constexpr std::int64_t errand_ms = 10'000;  // then a home that does not answer is given up
constexpr int all_seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
constexpr std::uint32_t table_room = 2U << 20;  // beside the texts a book holds its table of entries

bool sealed(const Fd &file, off_t most) {
  struct stat status;
  return file && ::fcntl(file.get(), F_GET_SEALS) == all_seals && ::fstat(file.get(), &status) == 0 &&
         status.st_size <= most;
}

void scan_done(Monitor &monitor, std::uint32_t index, int status) {
  Owner &owner = monitor.owners[index];
  const off_t most = static_cast<off_t>(monitor.policy.users[index].limits.book_bytes) + table_room;
  owner.book_result = status == -ETIMEDOUT ? BookResult::timed_out : BookResult::failed;
  if (status == 0) owner.book_result = sealed(owner.scan.first, most) && sealed(owner.scan.second, most) ? BookResult::ok : BookResult::unsealed;
  if (owner.book_result == BookResult::ok) {
    owner.book = std::move(owner.scan.first);
    owner.full_book = std::move(owner.scan.second);
    // Of daemons that were taken over only we hold what they said last, until a dm-log can be told whose it is: now it can.
    if (monitor.recovered && owner.generation == 0) monitor.next_tick = 0;
    owner.generation = ++monitor.generation;
  } else {
    say(monitor, "the confs of uid %u could not be read: dm-scan %s", owner.uid, status == 0 ? "left books that are not sealed, or too large" : "failed");
  }
  owner.book_errno = 0;
  owner.book_dirty = true;
  mark_owner(monitor, index);
}

void listen_done(Monitor &monitor, std::uint32_t index, int status) {
  Owner &owner = monitor.owners[index];
  if (status == static_cast<int>(ListenExit::done)) owner.listener = std::move(owner.listen.first);
  owner.listen_result = status < 0 ? -1 : status;
  owner.listener_dirty = true;
  mark_owner(monitor, index);
}

// That of a kind, of an owner or a slot; and who takes what came of it: the exit code, or -errno.
Errand &errand_of(Monitor &monitor, ChildKind kind, std::uint32_t index) {
  if (kind == ChildKind::sockets) return monitor.running[index].listen;
  return kind == ChildKind::scan ? monitor.owners[index].scan : monitor.owners[index].listen;
}
void errand_done(Monitor &monitor, ChildKind kind, std::uint32_t index, int status) {
  (kind == ChildKind::sockets ? sockets_done : kind == ChildKind::scan ? scan_done : listen_done)(monitor, index, status);
}

// At its deadline a helper is killed and its failure told; one that does not even die then keeps its place until it does.
void check(Monitor &monitor, ChildKind kind, std::uint32_t index, std::uint32_t uid, std::int64_t now) {
  Errand &errand = errand_of(monitor, kind, index);
  if (errand.pid == 0 || errand.told) return;
  monitor.busy = true;
  if (now < errand.deadline) return;
  ::kill(errand.pid, SIGKILL);
  errand.told = true;
  say(monitor, "%s for uid %u did not end in 10 s and is killed: is his home reachable?", kind == ChildKind::scan ? "dm-scan" : "dm-listen", uid);
  errand_done(monitor, kind, index, -ETIMEDOUT);
}

}  // namespace

bool take_token(Monitor &monitor, std::uint32_t index) {
  Owner &owner = monitor.owners[index];
  const Limits &limits = monitor.policy.users[index].limits;
  // All of an owner's daemons may start at once after a boot; from then on so many a second.
  const std::int64_t most = (std::int64_t{limits.starts} + limits.daemons) * 1000, now = now_ms();
  owner.tokens = owner.tokens_at == 0 ? most : std::min(most, owner.tokens + (now - owner.tokens_at) * limits.starts);
  owner.tokens_at = now;
  const bool enough = owner.tokens >= 1000;
  if (enough) owner.tokens -= 1000;
  return enough;
}

bool start_errand(Monitor &monitor, Errand &errand, Spawn &what, ChildKind kind, std::uint32_t index) {
  what.parent = ::getpid();  // beside the next monitor's helper it would bind or unlink what is the other's
  const pid_t pid = launch(monitor, what, kind, index);
  if (pid < 0) return false;
  monitor.busy = true;
  errand.pid = pid;
  errand.deadline = now_ms() + errand_ms;
  return true;
}

void start_scan(Monitor &monitor, std::uint32_t index) {
  Owner &owner = monitor.owners[index];
  const PolicyUser &user = monitor.policy.users[index];
  const bool known = (user.flags & user_resolved) != 0;
  monitor.busy = true;
  if (!known) owner.scan_again = false;
  if (owner.scan.pid != 0 && owner.scan.told && known)  // it hangs still, as was said
    return owner.scan_again = owner.scan_create = false, owner.book_result = BookResult::timed_out, owner.book_dirty = true, mark_owner(monitor, index);
  if (!known || owner.scan.pid != 0 || !take_token(monitor, index)) return;  // check_errands tries again
  const Label limit(user.limits.book_bytes);
  const char *argv[] = {"dm-scan", monitor.policy.text(user.home), monitor.policy.text(user.name), owner.scan_create ? "create" : "look", limit.text, nullptr};
  Spawn what = child_as(monitor, user, monitor.programs.scan, argv);
  for (Fd *book : {&owner.scan.first, &owner.scan.second}) *book = Fd(::memfd_create("book", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  what.own[0] = owner.scan.first.get();
  what.own[1] = owner.scan.second.get();
  what.file_limit = std::uint64_t{user.limits.book_bytes} + table_room;
  owner.scan_again = owner.scan_create = false;
  if (owner.scan.first && owner.scan.second && start_errand(monitor, owner.scan, what, ChildKind::scan, user.uid)) return;
  const int why = errno;
  scan_done(monitor, index, -why);
  owner.book_errno = static_cast<std::uint32_t>(why);
}

void start_listen(Monitor &monitor, std::uint32_t index) {
  Owner &owner = monitor.owners[index];
  if (owner.listen.pid != 0) return;  // its answer is on the way
  if (owner.listener) return owner.listen_result = 0, owner.listener_dirty = true, mark_owner(monitor, index);
  const PolicyUser &user = monitor.policy.users[index];
  const char *argv[] = {"dm-listen", monitor.policy.text(user.home), nullptr};
  Spawn what = child_as(monitor, user, monitor.programs.listen, argv);
  owner.listen.first = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  what.own[0] = owner.listen.first.get();
  if (!owner.listen.first || !take_token(monitor, index) || !start_errand(monitor, owner.listen, what, ChildKind::listen, user.uid))
    listen_done(monitor, index, -1);
}

void errand_ended(Monitor &monitor, const Child &child, int code, int status) {
  const std::uint32_t index = child.kind == ChildKind::sockets ? child.index : owner_of(monitor, child.index);
  Errand *errand = index == no_user ? nullptr : &errand_of(monitor, child.kind, index);
  if (errand == nullptr || errand->pid != child.pid) return;  // gone with the policy that knew its owner
  if (!errand->told) errand_done(monitor, child.kind, index, code == CLD_EXITED ? status : -EINTR);
  else if (child.kind == ChildKind::sockets) monitor.table.slots[index].binds++, mark_slot(monitor, index);  // the place is to be had again
  *errand = Errand{};
  if (child.kind == ChildKind::scan && monitor.owners[index].scan_again) start_scan(monitor, index);
}

void check_errands(Monitor &monitor) {
  const std::int64_t now = now_ms();
  for (std::uint32_t i = 0; i < monitor.policy.count(); i++) {
    const Owner &owner = monitor.owners[i];
    if (owner.scan_again && owner.scan.pid == 0) start_scan(monitor, i);
    monitor.busy = monitor.busy || owner.scan_again;
    check(monitor, ChildKind::scan, i, owner.uid, now);
    check(monitor, ChildKind::listen, i, owner.uid, now);
  }
  for (std::uint32_t i = 0; i < monitor.table.high; i++) check(monitor, ChildKind::sockets, i, monitor.table.slots[i].owner_uid, now);
}

}  // namespace dm::monitor
