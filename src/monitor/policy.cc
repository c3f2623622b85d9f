// Runs dm-policy and takes what it made: a sealed memfd of fixed rows. Root with few capabilities.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "monitor/monitor.hh"

namespace dm::monitor {
namespace {

constexpr unsigned most_tries = 5;
constexpr std::int64_t again_ms = 200;
constexpr std::int64_t retry_ms = 60'000;
constexpr std::int64_t policy_ms = 60'000;  // a name service may be slow; nothing waits for it but the reload
constexpr int all_seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

// What the monitor held for users goes on under their new rows; those who are gone lose it.
void move_owners(Monitor &monitor, const Policy &next) {
  for (std::uint32_t i = 0; i < next.count(); i++) {
    const PolicyUser &user = next.users[i];
    const bool resolved = (user.flags & user_resolved) != 0;
    // One whom the name service does not know just now keeps what his name had.
    const std::uint32_t before = resolved ? owner_of(monitor, user.uid) : monitor.policy.find_name(next.text(user.name));
    Owner &owner = monitor.next_owners[i];
    owner = Owner{};
    if (before != no_user && monitor.owners[before].in_use) {
      owner = std::move(monitor.owners[before]);
      monitor.owners[before] = Owner{};  // its helpers go on, under the new row
    } else if (resolved) owner.uid = user.uid;
    owner.in_use = owner.in_use || resolved;
  }
  for (std::uint32_t i = 0; i < monitor.policy.count(); i++) {
    Owner &gone = monitor.owners[i];
    for (const pid_t pid : {gone.scan.pid, gone.listen.pid})
      if (pid > 0) ::kill(pid, SIGKILL);
    gone = Owner{};
  }
  std::swap(monitor.owners, monitor.next_owners);
}

// Whose daemons the next policy stops, all of them: nobody's line in [runs_as] has his name and uid any more.
void tell_stopped(Monitor &monitor, const Policy &next) {
  if ((next.header->settings & setting_group_unresolved) != 0) return;  // nobody's are touched
  for (std::uint32_t i = 0; i < monitor.policy.count(); i++) {
    const Owner &owner = monitor.owners[i];
    if (!owner.in_use || owner.places == 0) continue;
    const char *name = monitor.policy.text(monitor.policy.users[i].name);
    const std::uint32_t same = next.find_uid(owner.uid), named = next.find_name(name);
    const std::uint32_t row = same != no_user || named == no_user || (next.users[named].flags & user_resolved) != 0 ? same : named;
    if (row != no_user && (next.users[row].flags & user_runs) != 0) continue;
    unsigned running = 0;
    for (std::uint32_t slot = 0; slot < monitor.table.high; slot++)
      running += monitor.table.slots[slot].state >= SlotState::starting && monitor.table.slots[slot].owner_uid == owner.uid ? 1U : 0U;
    if (running != 0) say(monitor, "%u daemons of %s (uid %u) are stopped: no line of [runs_as] lets him run any", running, name, owner.uid);
  }
}

void count_places(Monitor &monitor) {
  for (std::uint32_t i = 0; i < monitor.policy.count(); i++) monitor.owners[i].places = 0;
  for (std::uint32_t i = 0; i < monitor.table.high; i++) {
    const Slot &slot = monitor.table.slots[i];
    const std::uint32_t owner = slot.state == SlotState::free ? no_user : owner_of(monitor, slot.owner_uid);
    if (owner != no_user) monitor.owners[owner].places++;
  }
}

// NET_BIND_SERVICE is kept only while there is use for it. Once it is gone only an exec of root's brings it back.
void fit_capabilities(Monitor &monitor, bool first) {
  const bool wanted = monitor.policy.low_ports();
  if (!wanted && monitor.low_ports && !drop_capabilities(monitor, false)) ::abort();
  if (!wanted || monitor.low_ports) return;
  if (!first && !monitor.stopping && ::prctl(PR_CAPBSET_READ, CAP_NET_BIND_SERVICE, 0, 0, 0) == 1) {
    say(monitor, "the master config was read again: it grants ports below 1024, and the manager executes itself anew to be able to bind them");
    return test_upgrade(monitor);
  }
  say(monitor, "ports below 1024 cannot be bound, though [ports] grants some: the manager lacks CAP_NET_BIND_SERVICE");
}

bool adopt_policy(Monitor &monitor, Fd &file) {
  struct stat status;
  if (::fcntl(file.get(), F_GET_SEALS) != all_seals || ::fstat(file.get(), &status) != 0 || status.st_size <= 0)
    return false;
  const auto size = static_cast<std::size_t>(status.st_size);
  void *map = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (map == MAP_FAILED) return false;
  if (size == monitor.policy_size && std::memcmp(map, monitor.policy.header, size) == 0) return ::munmap(map, size), true;
  Policy next;
  if (!check_policy(map, size, next)) return ::munmap(map, size), false;
  tell_stopped(monitor, next);
  move_owners(monitor, next);
  if (monitor.policy.header != nullptr)
    ::munmap(const_cast<PolicyHeader *>(monitor.policy.header), monitor.policy_size);
  const bool first = monitor.policy.header == nullptr;
  monitor.policy = next;
  monitor.policy_size = size;
  monitor.policy_file = std::move(file);
  count_places(monitor);
  monitor.trees.unwanted = (next.header->settings & setting_no_cgroup) != 0;
  if (first) match_handed(monitor);
  else retire_worker(monitor);  // the next one starts with the new policy
  fit_capabilities(monitor, first);
  return true;
}

}  // namespace

std::uint32_t owner_of(const Monitor &monitor, std::uint32_t uid) {
  const Policy &policy = monitor.policy;
  const auto his = [&](std::uint32_t i) { return monitor.owners[i].in_use && monitor.owners[i].uid == uid; };
  if (const std::uint32_t row = policy.find_uid(uid); row != no_user && his(row)) return row;
  // Last stand those whom the name service does not know just now; one of them may have run before.
  for (std::uint32_t i = policy.count(); i-- > 0 && (policy.users[i].flags & user_resolved) == 0;)
    if (his(i)) return i;
  return no_user;
}

void load_policy(Monitor &monitor) {
  if (monitor.policy_run.pid != 0) {
    monitor.reload_again = true;
    return;
  }
  // Safe because root named this path, and dm-policy looks at whose file it is before it reads it.
  const Fd config(::open(monitor.config, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  Fd out(::memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!config) {
    say(monitor, "cannot read the master config %s: %s%s", monitor.config, std::strerror(errno), monitor.policy.header == nullptr ? "" : "; the old policy stays");
    monitor.done = monitor.policy.header == nullptr;
    monitor.exit_code = monitor.done ? 1 : 0;
    return;
  }
  const char *argv[] = {"dm-policy", monitor.config, nullptr};
  Spawn what = child_of(monitor, monitor.programs.policy, argv);
  what.own[0] = config.get();
  what.own[1] = out.get();
  what.output = monitor.retrying ? -1 : monitor.log.fd();  // what it has to say has been said
  monitor.busy = true;
  monitor.policy_run.pid = out ? launch(monitor, what, ChildKind::policy, 0) : -1;
  monitor.policy_run.deadline = now_ms() + policy_ms;
  monitor.policy_run.first = std::move(out);
  if (monitor.policy_run.pid > 0) return;
  monitor.policy_run.pid = 0;
  policy_ended(monitor, CLD_EXITED, 126);
}

void check_retry(Monitor &monitor, std::int64_t now) {
  if (monitor.policy_run.pid != 0 && now > monitor.policy_run.deadline) ::kill(monitor.policy_run.pid, SIGKILL);
  if (monitor.policy_retry == 0 || now < monitor.policy_retry) return;
  monitor.policy_retry = 0;
  monitor.retrying = monitor.policy.header != nullptr;
  load_policy(monitor);
}

void policy_ended(Monitor &monitor, int code, int status) {
  Fd file = std::move(monitor.policy_run.first);
  monitor.policy_run.pid = 0;
  const bool first = monitor.policy.header == nullptr, retry = std::exchange(monitor.retrying, false);
  if (code == CLD_EXITED && status == 0 && adopt_policy(monitor, file)) {
    const bool unresolved = (monitor.policy.header->settings & setting_unresolved) != 0;
    monitor.policy_retry = unresolved ? now_ms() + retry_ms : 0;
    if (!retry && !first) say(monitor, "the master config was read again");
  } else if (first && (code != CLD_EXITED || status != 1) && monitor.policy_tries++ < most_tries) {
    say(monitor, code == CLD_EXITED ? "dm-policy could not be run (%d); it is tried again" : "dm-policy was killed by signal %d; it is run again", status);
    monitor.policy_retry = now_ms() + again_ms;
  } else if (first) {
    say(monitor, "cannot start: the master config %s was not accepted", monitor.config);
    monitor.done = true;
    monitor.exit_code = 1;
  } else {
    say(monitor, "the master config %s was not accepted; the old policy stays", monitor.config);
  }
  if (std::exchange(monitor.reload_again, false)) load_policy(monitor);
}

}  // namespace dm::monitor
