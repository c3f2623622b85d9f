// The kernel that the monitor sees in the fuzz target. Linked with --wrap for each call below; `spawn` takes the place of
// src/monitor/spawn.cc and forks nothing.
#include "monitor_world.hh"

#include <fcntl.h>
#include <poll.h>
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <utility>

#include "policies.hh"

namespace dm::fuzz {
namespace {

constexpr pid_t no_real_pid = 5'000'000;  // above the kernel's own limit: a signal that went astray would hit nobody

using monitor::Spawn;

World *world = nullptr;
std::unique_ptr<monitor::Monitor> machine;

template <typename T>
T *reserve(std::size_t count) {
  void *map = ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  must(map != MAP_FAILED, "there is memory for the tables");
  return static_cast<T *>(map);
}

// As setup.cc leaves it; the tables are the same in each run, and clean at its beginning.
monitor::Monitor &make_monitor() {
  static monitor::TableHeader header{};
  static auto *slots = reserve<monitor::Slot>(max_slots);
  static auto *running = reserve<monitor::Running>(max_slots);
  static auto *dirty = reserve<std::uint64_t>(monitor::dirty_bits / 64);
  static auto *children = reserve<monitor::Child>(monitor::child_places);
  static auto *owners = reserve<monitor::Owner>(max_users);
  static auto *next_owners = reserve<monitor::Owner>(max_users);
  static const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  static std::string dir = std::string(::getenv("TMPDIR") == nullptr ? "/tmp" : ::getenv("TMPDIR")) + "/dm-fuzz-XXXXXX";
  static const int run_dir = ::mkdtemp(dir.data()) == nullptr ? -1 : ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  static const int log_dir = ::mkdirat(run_dir, "log", 0700);
  static const int notify_dir = ::mkdirat(run_dir, "notify", 0711);
  must(log_dir == 0 && notify_dir == 0 && null >= 0, "there is a run directory");
  header = {};
  machine = std::make_unique<monitor::Monitor>();
  monitor::Monitor &it = *machine;
  it.log = it.worker_log = Log(null, LogSink::stream);
  it.config = "/dev/null";
  for (Fd *fd : {&it.programs.policy, &it.programs.worker, &it.programs.scan, &it.programs.listen, &it.programs.run,
                 &it.programs.log, &it.lock, &it.root_socket, &it.shared_socket})
    *fd = Fd(::dup(null));
  it.epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
  it.run_dir = Fd(::dup(run_dir));
  it.run_path = dir.c_str();
  it.worker_uid = it.worker_gid = 990;
  it.table.header = &header;
  it.table.slots = slots;
  it.running = running;
  it.dirty = dirty;
  it.children = children;
  it.owners = owners;
  it.next_owners = next_owners;
  return it;
}

void clean(World &w) {
  monitor::Monitor &it = w.it;
  for (std::uint32_t i = 0; i < it.policy.count(); i++) it.owners[i] = monitor::Owner{};
  for (std::uint32_t i = 0; i < w.most_slots; i++) {
    const std::string name = "log/" + std::to_string(i);
    if (it.running[i].fifo) ::unlinkat(it.run_dir.get(), name.c_str(), 0);
    ::unlinkat(it.run_dir.get(), (name + ".stage").c_str(), 0);
    ::unlinkat(it.run_dir.get(), ("notify/" + std::to_string(i)).c_str(), 0);
    it.running[i] = monitor::Running{};
    it.table.slots[i] = monitor::Slot{};
  }
  for (const auto &[pid, kid] : w.kids) monitor::forget_child(it, pid);
  std::memset(it.dirty, 0, monitor::dirty_bits / 8);
  if (it.policy.header != nullptr) ::munmap(const_cast<PolicyHeader *>(it.policy.header), it.policy_size);
  machine.reset();
}

// What root's config says must be true of a daemon's identity, whoever asked for it.
void judge_start(const Spawn &what, std::uint32_t slot) {
  const monitor::Monitor &it = world->it;
  const monitor::Slot &place = it.table.slots[slot];
  const std::uint32_t owner = monitor::owner_of(it, place.owner_uid), target = it.policy.find_uid(what.uid);
  must(owner != no_user && target != no_user, "a daemon's owner and target are in the policy");
  must(it.policy.may_run(owner, target), "the policy has the pair of owner and target");
  must(world->policy == policy_count || policy_allows(world->policy, place.owner_uid, what.uid), "root allows the pair");
  const PolicyUser &user = it.policy.users[target];
  must(what.gid == user.gid && what.group_count == user.groups_count && what.groups == it.policy.groups + user.groups_at,
       "a daemon has its target's groups");
  must(what.own[1] == it.owners[owner].full_book.get(), "a daemon comes out of its owner's book");
  must(!world->groups.contains(place.pid), "nothing of the daemon's last run is left when it starts");
  must(world->find("dm-run", slot) == 0, "one place has one daemon");
}

// A low port is bound by root's word alone, and nothing else is bound by the monitor.
void judge_sockets(const Spawn &what, std::uint32_t owner) {
  for (int i = 2; i < monitor::own_count; i++) {
    sockaddr_in6 address{};
    socklen_t size = sizeof address;
    if (what.own[i] < 0 || ::getsockname(what.own[i], reinterpret_cast<sockaddr *>(&address), &size) != 0) continue;
    const bool bound = address.sin6_family != AF_UNIX && address.sin6_port != 0;
    must(!bound || world->it.policy.may_bind(owner, ntohs(address.sin6_port)), "root grants every port that the monitor binds");
  }
}

// dm-listen for a place: the owner, in the group of one as whom root lets him run something.
void judge_listen(const Spawn &what, const Kid &kid) {
  const monitor::Monitor &it = world->it;
  const std::uint32_t owner = it.policy.find_uid(what.uid);
  must(owner != no_user && (it.policy.users[owner].flags & user_runs) != 0, "sockets are those of one who may run something");
  must(what.group_count == it.policy.users[owner].groups_count && what.groups == it.policy.groups + it.policy.users[owner].groups_at,
       "dm-listen has its owner's groups");
  bool allowed = what.gid == it.policy.users[owner].gid;
  for (std::uint32_t i = 0; i < it.policy.count(); i++)
    allowed = allowed || (it.policy.may_run(owner, i) && (it.policy.users[i].flags & user_resolved) != 0 && it.policy.users[i].gid == what.gid);
  must(allowed || kid.program == "dm-listen remove", "and the gid of one of its owner's targets");
  must(what.own[1] < 0 || what.own[1] == it.owners[owner].full_book.get(), "and its owner's book");
  must(what.parent == ::getpid(), "a helper on an errand ends with the monitor");
  judge_sockets(what, owner);
}

// stop= or reload=: the same identity as a daemon's.
void judge_command(const Spawn &what) {
  const monitor::Monitor &it = world->it;
  const std::uint32_t target = it.policy.find_uid(what.uid);
  bool allowed = false, his = false;
  for (std::uint32_t i = 0; i < it.policy.count() && target != no_user; i++) {
    allowed = allowed || (it.policy.may_run(i, target) && what.own[1] == it.owners[i].full_book.get());
    his = what.gid == it.policy.users[target].gid && what.groups == it.policy.groups + it.policy.users[target].groups_at;
  }
  must(allowed && his && what.own[2] < 0, "a command runs as a target of the owner's whose book it is from, and without sockets");
}

// Killed, or without its orders: one whose owner left the policy, and who is listed again.
bool let_go(const Kid &kid) {
  pollfd socket{kid.first.get(), 0, 0};
  return kid.killed || (kid.program == "dm-log" && ::poll(&socket, 1, 0) == 1);
}

void judge_helper(const Spawn &what, const Kid &kid) {
  const monitor::Monitor &it = world->it;
  const std::uint32_t owner = it.policy.find_uid(what.uid);
  must(owner != no_user, "a helper runs as somebody of the policy");
  const std::uint32_t flags = it.policy.users[owner].flags;
  must((flags & (kid.program == "dm-listen" ? user_runs | user_manages : user_runs)) != 0, "a helper runs as one who is listed");
  must(kid.program == "dm-log" || what.parent == ::getpid(), "a helper on an errand ends with the monitor");
  for (const auto &[pid, other] : world->kids)
    must(other.program != kid.program || other.uid != kid.uid || let_go(other), "an owner has one helper of a kind");
}

void judge(const Spawn &what, const Kid &kid) {
  const monitor::Monitor &it = world->it;
  must((what.slot != nullptr) == (kid.program == "dm-run"), "a daemon, and nothing else, has a place");
  must(what.files == &it.files, "a child has the limits that the monitor found");
  if (kid.program.starts_with("dm-listen ")) return judge_listen(what, kid);
  if (kid.program.starts_with("dm-run ")) return judge_command(what);
  if (kid.program == "dm-run") return judge_start(what, kid.slot);
  if (kid.program == "dm-scan" || kid.program == "dm-listen" || kid.program == "dm-log") return judge_helper(what, kid);
  must(world->find(kid.program) == 0, "there is one worker, one dm-policy and one self-test");
  must(what.sandboxed == (kid.program == "dm-worker") && (what.root != nullptr) == what.sandboxed, "the worker is caged");
  must(what.uid == (kid.program == "daemon-manager" ? 0 : it.worker_uid), "worker and dm-policy are the worker's user");
}

}  // namespace

World::World(Input bytes) : input(bytes), it(make_monitor()), last_pid(no_real_pid) {
  world = this;
  int ends[2];
  must(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "there are pipes");
  it.signals = Fd(ends[0]);
  signals = Fd(ends[1]);
  monitor::watch(it, ends[0], EPOLLIN, monitor::Source::signals, 0);
}

World::~World() {
  clean(*this);
  world = nullptr;
}

pid_t World::find(std::string_view program, std::uint32_t slot) const {
  for (const auto &[pid, kid] : kids)
    if (kid.program == program && (program != "dm-run" || slot == max_slots || kid.slot == slot)) return pid;
  return 0;
}

void World::signal(int number) {
  signalfd_siginfo info{};
  info.ssi_signo = static_cast<std::uint32_t>(number);
  must(::write(signals.get(), &info, sizeof info) == sizeof info, "a signal arrives");
}

void World::end(pid_t pid, int code, int status) {
  siginfo_t info{};
  info.si_pid = pid;
  info.si_code = code;
  info.si_status = status;
  ended = info;
  signal(SIGCHLD);
}

}  // namespace dm::fuzz

namespace dm::monitor {

using fuzz::world;

// Stands in for src/monitor/spawn.cc.
pid_t spawn(Stages &, const Spawn &what) {
  fuzz::Kid kid;
  kid.program = what.argv[0];
  if (kid.program == "dm-run" && what.slot == nullptr) kid.program += std::string(" ") + what.argv[1];
  if (kid.program == "dm-listen" && what.argv[2] != nullptr) kid.program += " bind";
  else if (kid.program == "dm-listen" && std::string_view(what.argv[1]) == "remove") kid.program += " remove";
  kid.uid = what.uid;
  if (what.slot != nullptr) kid.slot = static_cast<std::uint32_t>(what.slot - world->it.table.slots);
  fuzz::judge(what, kid);
  if (std::exchange(world->no_forks, false)) return errno = EAGAIN, -1;
  kid.first = Fd(what.own[0] < 0 ? -1 : ::dup(what.own[0]));
  kid.second = Fd(what.own[1] < 0 ? -1 : ::dup(what.own[1]));
  const pid_t pid = ++world->last_pid;
  if (what.slot != nullptr) {
    what.slot->pid = pid;
    what.slot->identity = static_cast<std::uint64_t>(pid);
    world->groups.insert(pid);
    world->daemon_acts++;
  }
  if (kid.program == "dm-worker") world->worker = Fd(::dup(what.own[0]));
  world->kids[pid] = std::move(kid);
  return pid;
}

void adopted_ended(Monitor &, std::uint32_t) {}
void check_adopted(Monitor &, std::uint32_t, std::int64_t) {}
bool drop_capabilities(Monitor &monitor, bool low_ports) { return monitor.low_ports = low_ports, true; }
// As setup.cc makes it, but in nobody's group.
Fd make_socket(const Monitor &monitor, const char *name, int type, mode_t, gid_t) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", monitor.run_path, name);
  Fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlinkat(monitor.run_dir.get(), name, 0);
  return ::bind(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0 ? std::move(fd) : Fd();
}
void free_stages(Stages &, pid_t) {}
void announce(Monitor &) {}
bool connect_syslog(int) { return false; }

}  // namespace dm::monitor

using dm::fuzz::must;
using dm::fuzz::world;

extern "C" {

int __real_epoll_wait(int epoll, epoll_event *events, int most, int timeout);
int __wrap_epoll_wait(int epoll, epoll_event *events, int most, int timeout) {
  if (world == nullptr) return __real_epoll_wait(epoll, events, most, timeout);
  if (!dm::fuzz::step(*world)) world->it.leave = true;
  return __real_epoll_wait(epoll, events, most, 0);
}

int __real_clock_gettime(clockid_t clock, timespec *now);
int __wrap_clock_gettime(clockid_t clock, timespec *now) {
  if (world == nullptr || clock != CLOCK_BOOTTIME) return __real_clock_gettime(clock, now);
  *now = {world->now_ms / 1000, world->now_ms % 1000 * 1'000'000};
  return 0;
}

int __wrap_waitid(idtype_t, id_t, siginfo_t *info, int) {
  info->si_pid = 0;
  if (!world->ended) return 0;
  *info = *world->ended;
  world->ended.reset();
  world->kids.erase(info->si_pid);
  return 0;
}

// Negative: a process group. What was reaped, and a group that is empty, has a number that may be another's by now.
int __wrap_kill(pid_t pid, int signal) {
  const auto kid = world->kids.find(pid);
  if (pid < 0) {
    const auto command = world->kids.find(-pid);
    if (command != world->kids.end() && command->second.program.starts_with("dm-run ")) return command->second.killed = true, 0;
    const bool left = world->groups.contains(-pid);
    if (left && signal != 0) world->daemon_acts++;
    return left ? 0 : (errno = ESRCH, -1);
  }
  must(kid != world->kids.end(), "only children that were not reaped are signalled");
  must(signal >= 1 && signal <= 64, "there is such a signal");
  must(signal == SIGKILL || kid->second.program == "dm-run", "helpers are only ever killed");
  if (kid->second.program == "dm-run") world->daemon_acts++;
  kid->second.killed = kid->second.killed || signal == SIGKILL;
  return 0;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  must(number == SYS_pidfd_open || number == SYS_pidfd_send_signal, "the monitor makes no other call by number");
  errno = ESRCH;
  return -1;
}

int __wrap_execv(const char *, char *const *) { return errno = EACCES, -1; }

}  // extern "C"
