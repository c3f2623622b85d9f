// The monitor's whole state, and what its parts do with it. Root, with SETUID, SETGID, KILL and SYS_CHROOT alone, and
// with NET_BIND_SERVICE where root grants low ports.
#pragma once

#include <sys/resource.h>

#include <span>

#include "lib/fd.hh"
#include "lib/history.hh"
#include "lib/log.hh"
#include "lib/message.hh"
#include "lib/policy.hh"
#include "monitor/slots.hh"
#include "monitor/spawn.hh"
#include "monitor/tree.hh"

namespace dm::monitor {

// The programs, opened once, so that an upgrade of the package under a running manager never mixes versions.
struct Programs {
  Fd policy, worker, scan, listen, run, log;
};

// Our children by their pids, so that each end is found at once: open addressing. More places than twice the children there
// can be, so that there are always gaps.
enum class ChildKind : std::uint32_t { none, daemon, command, sockets, scan, listen, log, worker, policy, selftest };
struct Child {
  pid_t pid;
  ChildKind kind;
  std::uint32_t index;  // daemon, command, sockets (dm-listen for a daemon): the slot; scan, listen, log: the owner's uid
};
inline constexpr std::uint32_t child_places = 1U << 18;
static_assert(child_places > 2 * (3 * max_slots + 3 * max_users + 3));

// What the worker does not know: a bit for each owner, then one for each slot.
inline constexpr std::uint32_t dirty_bits = max_users + max_slots;

// A helper on its way. pid 0: none. It keeps its place until it is reaped, even when SIGKILL cannot end it.
struct Errand {
  pid_t pid = 0;
  bool told = false;           // its failure has been told at the deadline
  std::int64_t deadline = 0;
  Fd first, second;            // the memfds, or the socket, that it fills, or the pipe that it reports to
};

// What the monitor holds for one user of the policy; the same index as his row. All zero: nothing.
struct Owner {
  std::uint32_t uid = 0;
  bool in_use = false;
  bool scan_again = false, scan_create = false;
  bool book_dirty = false, listener_dirty = false, no_slot_dirty = false;
  BookResult book_result = BookResult::ok;
  std::uint32_t book_errno = 0;
  std::int32_t listen_result = 0;
  std::uint32_t no_slot_cookie = 0, no_slot_errno = 0;
  std::uint64_t generation = 0;  // of the book; 0: none yet
  Fd book, full_book, listener;
  Errand scan, listen;
  pid_t log_pid = 0;
  Fd log;                        // orders to dm-log
  std::uint32_t log_run = 0;     // which of all dm-logs that is
  std::uint32_t places = 0;      // slots that are his
  std::int64_t tokens = 0, tokens_at = 0;  // thousandths of a start; ms
};

// What the monitor holds for one slot beside the table. All zero: nothing.
struct Running {
  Fd report;      // while starting: read end of the report pipe
  Fd events;      // while draining: the cgroup's events
  Fd pidfd;       // an adopted process
  Fd fifo;        // of a logged daemon: keeps what it wrote while no dm-log has it
  std::int64_t deadline = 0;
  std::uint32_t log_run = 0;  // the dm-log that knows of this run; 0: none
  Errand listen;              // dm-listen, that binds the sockets (while the slot has none) or removes their files
  Fd sockets[max_sockets];
  pid_t command = 0;          // stop= or reload=, beside the daemon
  Fd notify;                  // its end of notify/SLOT, for the worker alone
  gid_t notify_gid = 0;       // who may send to it
  bool notify_dirty = false;
};

enum class WorkerState { none, starting, serving };

struct Worker {
  pid_t pid = 0;
  WorkerState state = WorkerState::none;
  Fd socket;
  std::int64_t started = 0, start_at = 0;  // start_at: not before this time (ms)
  std::int64_t stuck_since = 0;            // it has not taken a message since; 0: it has
  unsigned failures = 0;                   // in a row
  unsigned told = 0;                       // of what each worker is told once: the two sockets in /run, and Replayed
  std::uint32_t wanted = 0;                // events of its socket that are waited for
  bool shutdown_dirty = false;
};

struct Monitor {
  Log log{2, LogSink::stream};
  Log worker_log{2, LogSink::stream};  // the same, but with --background from the first moment what `log` becomes later
  const char *config = nullptr;
  Programs programs;
  const char *run_path = nullptr;
  Fd epoll, signals, run_dir, lock, root_socket, shared_socket;
  Fd history, told_history;  // lib/history.hh: to write, and for the workers to read
  Fd handed;               // --handoff: what the monitor before the upgrade gave us
  const char *pidfile = nullptr;
  bool background = false, selftest = false, leave = false;  // leave: end, and let the daemons run on
  std::int64_t selftest_until = 0;  // our own, or that of the new program
  pid_t selftest_pid = 0;  // the new program, proving itself before an upgrade
  Fd ready;  // --background: the parent waits at the other end until the manager serves
  uid_t worker_uid = 0;
  gid_t worker_gid = 0;
  rlimit files{};
  Stages stages;
  Trees trees;
  Table table;
  Running *running = nullptr;       // [max_slots]
  std::uint32_t first_free = 0;     // no slot below it is free
  bool low_ports = false;           // NET_BIND_SERVICE is there
  bool recovered = false;           // there were daemons when we came
  std::uint32_t alive = 0;          // slots that have a process, or may have: starting, running, draining; and dm-listens for slots
  std::uint64_t *dirty = nullptr;   // [dirty_bits / 64]
  std::uint32_t dirty_count = 0;
  Child *children = nullptr;        // [child_places]
  std::uint32_t log_runs = 0;
  Owner *owners = nullptr;          // [max_users]
  Owner *next_owners = nullptr;     // [max_users], for the change of policy
  Policy policy;
  std::size_t policy_size = 0;
  Fd policy_file;
  Errand policy_run;
  Worker worker;
  std::uint64_t generation = 0;
  bool reload_again = false;
  bool busy = false;           // something has a deadline: it is looked at again at
  std::int64_t next_tick = 0;  // this time
  std::int64_t reap_at = 1;    // when to look for children whose signals were merged into another's, or came before us; 0: none
  bool stopping = false, done = false;
  std::int64_t stop_deadline = 0;
  bool retrying = false;
  unsigned policy_tries = 0;  // that a signal ended, before there was any policy
  std::int64_t policy_retry = 0;  // when the config is read again because of names that did not resolve; 0: never
  int exit_code = 0;
};

// What an epoll event is about; the low 32 bits are the slot.
enum class Source : std::uint64_t { worker = 1, signals, stages, report, events, pidfd, sockets };

// setup.cc: everything before the loop. False: said why.
bool set_up(Monitor &monitor, Found &found);
// A bound socket below the run directory, root's and that group's alone. Empty with errno set.
Fd make_socket(const Monitor &monitor, const char *name, int type, mode_t mode, gid_t gid);
// All but four, and NET_BIND_SERVICE where `low_ports` and it is there. False: said why.
bool drop_capabilities(Monitor &monitor, bool low_ports);
// announce.cc
// The manager serves: tells systemd, or the waiting parent, after which the log goes to syslog.
void announce(Monitor &monitor);
// For --background: what the worker logs to from its start, and the monitor once it has let its caller go.
void open_syslog(Monitor &monitor);
bool connect_syslog(int socket);
// upgrade.cc: the new program takes over this process. Its first act is a test of itself, as a child.
void test_upgrade(Monitor &monitor);
void test_ended(Monitor &monitor, int code, int status);
void check_test(Monitor &monitor, std::int64_t now);
// The installed program, here and now; it returns where that fails, having said so.
void become_new(Monitor &monitor);
// --selftest is passed when the config is accepted and a worker has come to serve.
void check_selftest(Monitor &monitor, std::int64_t now);
// What the program before us handed over: its lock and listening sockets, and the limits it was started with.
bool take_handed(Monitor &monitor);
// Gives the owners of a first policy the sockets that were handed over.
void match_handed(Monitor &monitor);
// Gives daemons the sockets that were handed over: each slot's, in their order.
void take_sockets(Monitor &monitor);
// `daemon-manager --upgrade`: tells the running manager, and waits for what comes of it. The exit code.
int request_upgrade();
// recover.cc: what a table that was found says, made true or dropped. Before the capabilities go.
void recover(Monitor &monitor, const Found &found);
void adopted_ended(Monitor &monitor, std::uint32_t slot);
void check_adopted(Monitor &monitor, std::uint32_t slot, std::int64_t now);

// children.cc
pid_t launch(Monitor &monitor, const Spawn &what, ChildKind kind, std::uint32_t index);
void expect_child(Monitor &monitor, const Child &child);
// Takes it out of the table; kind none where it was not there.
Child forget_child(Monitor &monitor, pid_t pid);
// A child that becomes the worker's user, or `user`, and runs `program`, with what all children have in common.
Spawn child_of(const Monitor &monitor, const Fd &program, const char *const *argv);
Spawn child_as(const Monitor &monitor, const PolicyUser &user, const Fd &program, const char *const *argv);
// That child, if it has ended, or (0) all that have, for which the kernel looks at each child that there is.
void reap(Monitor &monitor, pid_t pid);
// Of those whose signals were merged daemons and dm-scans are asked for by their pids: for each other that has ended the kernel walks
// over all children, again and again.
void reap_merged(Monitor &monitor);

// loop.cc
int run(Monitor &monitor);
// True when the kernel will report it; `fd` stays the caller's.
bool watch(Monitor &monitor, int fd, std::uint32_t events, Source source, std::uint32_t slot);
// Takes the descriptor out of the loop and closes it: a child before its exec still holds copies, so closing is not enough.
void unwatch(Monitor &monitor, Fd &fd);
void say(Monitor &monitor, const char *format, ...) __attribute__((format(printf, 2, 3)));

// signals.cc
void read_signals(Monitor &monitor);
void check_shutdown(Monitor &monitor, std::int64_t now);
int leave(Monitor &monitor);  // the exit code

// worker.cc
void start_worker(Monitor &monitor);
// Kills the worker; a fresh one follows. Daemons do not notice.
void reject_worker(Monitor &monitor, const char *why);
// Its end of the socket is closed: it has died, or must. How it died is said when it is reaped.
void hang_up(Monitor &monitor);
// The same without blame: for a new policy.
void retire_worker(Monitor &monitor);
void worker_ended(Monitor &monitor, int code, int status);

// tell.cc: what the worker does not know yet is dirty, and is told as it then stands when the socket takes it.
void mark_owner(Monitor &monitor, std::uint32_t owner);
void mark_slot(Monitor &monitor, std::uint32_t slot);
void mark_all(Monitor &monitor);
void flush(Monitor &monitor);
// One datagram, with up to three descriptors; never waits. False with errno set.
bool send_datagram(const Fd &socket, const void *bytes, std::size_t size, std::span<const int> attached);

// requests.cc
void receive(Monitor &monitor);

// policy.cc
void load_policy(Monitor &monitor);
void policy_ended(Monitor &monitor, int code, int status);
// Reads the config again when it is time: a name that did not resolve may do so by now.
void check_retry(Monitor &monitor, std::int64_t now);

// errands.cc: dm-scan, dm-listen
void start_scan(Monitor &monitor, std::uint32_t owner);
void start_listen(Monitor &monitor, std::uint32_t owner);
// Sends it on its way, with a deadline. False with errno set.
bool start_errand(Monitor &monitor, Errand &errand, Spawn &what, ChildKind kind, std::uint32_t index);
void errand_ended(Monitor &monitor, const Child &child, int code, int status);
void check_errands(Monitor &monitor);
// Takes one start from the owner's allowance; false: over it.
bool take_token(Monitor &monitor, std::uint32_t owner);

// sockets.cc: what a daemon listens on, and the socket by which it says that it is ready
Refusal bind_sockets(Monitor &monitor, std::uint32_t slot, const AskBind &ask);
void unbind_sockets(Monitor &monitor, std::uint32_t slot);
// `status`: the exit code of dm-listen, or -errno.
void sockets_done(Monitor &monitor, std::uint32_t slot, int status);
void watch_sockets(Monitor &monitor, std::uint32_t slot);
void sockets_event(Monitor &monitor, std::uint32_t slot, std::uint32_t events);
void drop_sockets(Monitor &monitor, std::uint32_t slot);
bool make_notify(Monitor &monitor, std::uint32_t slot, gid_t gid);
void drop_notify(Monitor &monitor, std::uint32_t slot);

// logs.cc: dm-log
bool make_fifo(Monitor &monitor, std::uint32_t slot);
void order_log(Monitor &monitor, std::uint32_t slot, LogKind kind);
// Has the owner's dm-log expect a reader.
void lend_log(Monitor &monitor, std::uint32_t owner, const AskLend &ask);
void log_ended(Monitor &monitor, const Child &child);
void check_logs(Monitor &monitor);

// daemons.cc: dm-run and what becomes of it
Refusal start_daemon(Monitor &monitor, std::uint32_t slot, const AskStart &ask);
// stop= or reload=, beside the daemon.
Refusal run_command(Monitor &monitor, std::uint32_t slot, const AskCommand &ask);
void command_ended(Monitor &monitor, std::uint32_t slot, int code, int status);
void read_report(Monitor &monitor, std::uint32_t slot);
void main_ended(Monitor &monitor, std::uint32_t slot, int code, int status);
void watch_draining(Monitor &monitor, std::uint32_t slot);
void check_tree(Monitor &monitor, std::uint32_t slot);
void check_starts(Monitor &monitor);
void signal_slot(Monitor &monitor, std::uint32_t slot, Scope scope, int signal);

// The row of the policy for a uid that the monitor holds something for, or no_user.
std::uint32_t owner_of(const Monitor &monitor, std::uint32_t uid);

}  // namespace dm::monitor
