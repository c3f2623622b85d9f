// The worker's whole state. Its own uid, empty chroot, no capability, seccomp: it may talk to the monitor and to clients.
#pragma once

#include <cerrno>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/book.hh"
#include "lib/client.hh"
#include "lib/conf.hh"
#include "lib/fd.hh"
#include "lib/log.hh"
#include "lib/message.hh"
#include "lib/policy.hh"
#include "worker/kin.hh"
#include "worker/life.hh"

namespace dm::worker {

using ClientId = std::uint64_t;

// What a client waits for at one daemon.
enum class Wait : std::uint8_t { running, stopped, reloaded };
struct Waiter {
  ClientId client;
  Wait wait;
  std::int64_t until;  // then it is told how things stand
};

// How a daemon that is stopped came to that, when nobody stopped it.
enum class Rest : std::uint8_t { none, done, failed };
inline constexpr unsigned rest_count = 3;

// What went wrong with a run beside its end and its RunReport.
enum class Fault : std::uint8_t {
  none,
  slow,     // it was not ready within start_timeout
  silent,   // nothing was heard of it for as long as watchdog= says
  unbound,  // its listening sockets could not be had: it was not run at all
};
inline constexpr unsigned fault_count = 4;

// What its conf says of sockets, readiness and commands, as far as it is needed at every turn.
struct Terms {
  std::uint32_t listens = 0;      // listening sockets
  std::uint32_t listen_hash = 0;  // tells them from others
  std::uint32_t start_timeout_ms = 60'000, watchdog_ms = 0;
  Ready ready = Ready::started;
  bool on_connection = false, before = false, after_exit = false, stop_command = false;
};

// A run of stop= or reload= that is on its way.
enum class Underway : std::uint8_t { none, stop, reload };
inline constexpr unsigned underway_count = 3;

struct Daemon {
  std::string name;  // of its conf, and with instances= a colon and its number
  std::uint32_t instance = 0;                 // of 1 … max_instances; 0: its conf has no instances=
  std::uint32_t scaled = 0, scaled_from = 0;  // as in Kin; each of a family remembers it
  bool task = false;        // type=task
  bool lift_later = false;  // it waits for what is in no book that was read yet, and is to be started when it is
  bool lingers = false;     // not wanted any more, and stopped as soon as those who depend on it have
  std::uint32_t owner = no_user;
  Handle handle{max_slots, 0};
  bool placed = false;      // the handle is valid
  bool queued = false;      // in Owner::unplaced
  bool in_book = false;
  bool wanted = false;      // the wish: up
  bool rescan_first = false;  // a restart: when it has stopped, read the conf again and start
  bool slot_running = false;  // the monitor says its main process is there
  State state = State::stopped;
  std::uint8_t step = 0;
  Rest rest = Rest::none;
  bool particular = false;  // its conf says something of the end of a run
  std::uint32_t ends = 0;   // since ends_since, for give_up_after
  std::int64_t ends_since = 0;
  std::uint32_t entry = 0;
  std::uint32_t target = no_user;
  bool logged = false, autostart = true, usable = false;
  int stop_signal = 15;
  std::uint32_t stop_timeout_ms = 10'000;
  bool throttled = false;           // its start is being put off, and has been counted
  bool hurry = false;               // started by hand while it was being cleared: no cooldown
  bool elsewhere = false;           // host= in its conf means other machines
  std::string warning;              // the first of its conf's warnings
  std::string problem;              // why it cannot be started as it is written; "" when it can
  std::uint64_t conf_hash = 0, started_hash = 0;
  std::int32_t pid = 0;
  std::uint32_t last_runs = 0;      // the place's count, as last told
  std::uint32_t runs = 0;           // and as it was when we last asked for a start
  std::uint32_t respawns = 0;
  std::uint64_t total_ms = 0;       // of the runs that have ended
  std::int64_t started_ms = 0, ended_ms = 0, timer_ms = 0;
  std::int32_t end_code = 0, end_status = 0;
  RunReport report{};
  std::vector<Waiter> waiters;
  [[nodiscard]] std::string_view family() const { return std::string_view(name).substr(0, name.find(':')); }  // its conf's name

  Terms terms;
  std::uint32_t sockets = 0;        // that its place has
  std::uint32_t binds = 0, binds_due = 0;        // AskBind and AskUnbind that have ended, and that have been asked
  std::uint32_t commands = 0, commands_due = 0;  // likewise, AskCommand
  std::uint32_t held_hash = 0;      // of the listen= lines that its sockets were asked for
  bool unbinding = false;           // the last of `binds_due` is an AskUnbind
  bool settling = false;            // it has stopped, but for its sockets
  bool arming = false;              // they are asked for so that the first connection starts it
  bool rearm = false;               // after its cooldown it waits for a connection again
  bool undecided = false;           // it has ended, and its conf is not there yet to say what now
  bool rebind = false;              // lost sockets are asked for once more: when its timer expires, it is announced or its watchdog is heard
  std::int64_t rebind_at = 0;       // (of the last, not before this time)
  bool ordered = false;             // somebody wanted its end
  bool aside = false;               // what its place runs, or ran last, is after_exit=: the facts are those of the run before
  bool executed = false;            // the monitor says that dm-run has become it
  bool is_ready = false;            // it said so
  bool unheard = false;             // the monitor was killed before: what ready=fd:N writes reaches nobody any more
  bool barked = false;              // it was sent SIGABRT
  bool pid_refused = false;         // MAINPID= has been noted for this run
  bool reloading = false, leaving = false;  // it said so
  bool stop_due = false;            // stop= is to be run when what is underway has ended
  Fault fault = Fault::none;
  Underway underway = Underway::none;
  std::uint32_t watchdog_ms = 0;    // of this run
  std::int64_t extended_until = 0;  // EXTEND_TIMEOUT_USEC goes no further
  std::string status;               // STATUS=
};

// What a reading is for, where what runs is to be restarted: that daemon, all of its family, or those of the family that run.
enum class Again : std::uint8_t { none, one, family, running };

// One who waits for a reading of an owner's confs.
struct ScanWaiter {
  ClientId client;
  bool list;          // dmctl rescan: wants the differences told
  std::string start;  // start this daemon then; "" none
  Again again = Again::none;
};

struct Owner {
  Fd book;
  std::uint64_t generation = 0;
  BookProblem problem = BookProblem::none;
  std::uint32_t detail = 0, where = 0;
  BookResult result = BookResult::ok;
  std::uint32_t scan_errno = 0;  // why the monitor could not even begin
  std::vector<std::string> misnamed;  // what there is to say of files whose names are none
  bool scanned = false;      // a book, or the news that there is none, has come
  bool listening = false, listen_asked = false;
  bool scan_asked = false, scan_create = false;
  std::uint32_t slot_cookie = 0;                  // of the AskSlot on its way
  bool slot_freed = false;                        // a place was given back since
  std::deque<std::string> unplaced;               // daemons that want a slot
  std::vector<ScanWaiter> waiting, waiting_next;  // for the reading on its way, and for the one after
  std::map<std::string, std::unique_ptr<Daemon>, std::less<>> daemons;
  std::map<std::string, Kin, std::less<>> kins;   // by the conf's name
  unsigned connections = 0;
};

struct Client {
  Fd socket;
  ClientId id = 0;
  std::uint32_t uid = 0;
  std::uint32_t user = no_user;  // his row
  std::string in, out;
  std::optional<std::string> deferred;  // a request that waits for the first reading of confs
  std::size_t sent = 0;
  bool asked = false, ended = false, closing = false, no_wait = false, with_dependants = false, writable_wanted = false;
  unsigned pending = 0;          // waits that are still open
  unsigned refused = 0;          // ids that were not permitted
  unsigned unknown = 0;          // and that were nobody's
  Exit code = Exit::done;
  std::int64_t until = 0;        // to have asked, or to have read on
};

struct Listener {
  Fd socket;
  std::uint32_t owner;  // row, or listener_root, listener_shared
};

// Datagrams that the monitor's socket did not take yet, in one piece of memory that goes back when they are gone: after `restart
// all` there are thousands.
struct Asks {
  std::string bytes;      // each with its size (std::uint32_t) in front
  std::size_t taken = 0;  // of the bytes
  std::size_t count = 0;
};

struct Worker {
  Log log{2, LogSink::stream};
  Policy policy;
  Fd epoll, timer, monitor;
  Asks to_monitor;
  std::int64_t first_until = 0;           // until then requests wait for the first readings
  bool monitor_full = false, replayed = false, stopping = false, done = false;
  std::string host;                       // this machine's name, for host= in confs
  std::vector<Owner> owners;
  std::size_t owners_stopped = 0;         // while stopping: the first so many have
  std::vector<Daemon *> by_slot;          // [max_slots]
  std::vector<std::unique_ptr<Daemon>> strays;  // of owners, or with memories, that nobody knows any more: only to be stopped
  std::map<std::uint32_t, Listener> listeners;
  std::map<std::uint32_t, Fd> notifies;           // by slot: what its daemon tells us
  std::map<ClientId, std::unique_ptr<Client>> clients;
  std::map<std::uint32_t, unsigned> connections;  // by uid
  std::set<std::uint32_t> served;                 // uids of which a client was read in this turn of the loop
  std::int64_t accept_at = 0;                     // no new clients before this time; 0: they are waited for
  std::int64_t waiters_until = 0;                 // the earliest deadline of any waiter; 0: none
  ClientId next_client = 1;
  std::uint32_t next_cookie = 1;
  std::set<std::pair<std::int64_t, Daemon *>> timers;
  Order order;
};

// Milliseconds of CLOCK_BOOTTIME.
std::int64_t now_ms();

// sandbox.cc: limits and the filter. False: it could not be set up, and the worker must not serve.
bool enter_sandbox();

// loop.cc
int run(Worker &worker);
// Whether a call on a socket that failed with it may go well the next time: nothing has come, or memory is short just now.
constexpr bool passing(int error) { return error == EAGAIN || error == EINTR || error == ENOMEM || error == ENOBUFS; }
bool watch(Worker &worker, int fd, std::uint32_t events, std::uint64_t tag);
inline constexpr std::uint64_t tag_monitor = 1, tag_timer = 2, tag_notify = std::uint64_t{1} << 61,
                               tag_listener = std::uint64_t{1} << 62, tag_client = std::uint64_t{1} << 63;

// asks.cc: what the worker asks of the monitor, one function a message.
void ask_ready(Worker &worker);
void ask_scan(Worker &worker, std::uint32_t owner, bool create);
void ask_listen(Worker &worker, std::uint32_t owner);
void ask_slot(Worker &worker, std::uint32_t owner);
void ask_free(Worker &worker, Daemon &daemon);
void ask_remember(Worker &worker, const Daemon &daemon);
void ask_start(Worker &worker, Daemon &daemon, bool after_exit = false);
void ask_bind(Worker &worker, Daemon &daemon, const std::vector<SocketSpec> &sockets, bool armed);
void ask_unbind(Worker &worker, Daemon &daemon);
void ask_command(Worker &worker, Daemon &daemon, Command command);
void ask_signal(Worker &worker, Daemon &daemon, int signal, Scope scope);
void ask_lend(Worker &worker, const Daemon &daemon, std::uint32_t reader);
void ask_done(Worker &worker);
// Sends what waits; called when the socket is writable.
void flush_asks(Worker &worker);

// memo.cc
Memo write_memo(const Daemon &daemon);
// False where the memo is not one a worker would write; nothing of it is taken then.
bool read_memo(const Memo &memo, Daemon &daemon);

// tells.cc
void receive(Worker &worker);

// books.cc
void take_book(Worker &worker, const TellBook &tell, Fd book);
// Reads the daemon's entry out of the book and parses it; nothing where it is not there.
std::optional<Conf> read_conf(const Worker &worker, const Daemon &daemon);
// Gives a daemon without place the next step to one.
void place_next(Worker &worker, std::uint32_t owner);
// What it reads in the book's entry `entry` for the one daemon, again.
void read_again(Worker &worker, Daemon &daemon, std::uint32_t entry);
Daemon &add_daemon(Worker &worker, std::uint32_t owner, const std::string &name);
// Tells a changed text from an unchanged one; nobody's safety hangs on it.
std::uint64_t hash(std::string_view text);

// scans.cc
// Reads the owner's confs again for somebody; `create`: makes his directories.
void rescan(Worker &worker, std::uint32_t owner, bool create, ScanWaiter waiter);
// What a book has that the one before it had not: names, and texts of what is wrong.
struct Changes {
  std::vector<std::string> fresh, gone, changed, bad, warned;
};
// Those who waited for a book are told of it, and what they asked for is done.
void answer_scan(Worker &worker, std::uint32_t owner, const std::vector<ScanWaiter> &waiting, const Changes &changes);
bool resolved(const Worker &worker, std::uint32_t user);  // by the name service
std::string unresolved_text(const Worker &worker, std::uint32_t user);

// daemons.cc
void raise(Worker &worker, Daemon &daemon, Event event);
void want_up(Worker &worker, Daemon &daemon);
void want_down(Worker &worker, Daemon &daemon);
// Stops it and forgets it: its conf or its owner is gone.
void retire(Worker &worker, Daemon &daemon);
// It has stopped. True when the daemon is gone afterwards; false, too, where its sockets must go first.
bool settle(Worker &worker, Daemon &daemon);
void set_timer(Worker &worker, Daemon &daemon, std::int64_t at);
void check_timers(Worker &worker, std::int64_t now);
// places.cc: what the monitor says of a daemon's place becomes events.
void take_slot(Worker &worker, const TellSlot &tell, bool known);
// Waiters for `wait` get their answer; the others, when `wait` cannot come true any more, a refusal.
void answer_waiters(Worker &worker, Daemon &daemon, Wait wait, Exit code, const std::string &text);
void check_shutdown(Worker &worker);

// families.cc: confs with instances=, dmctl scale, and restarts one by one.
// A conf's knowledge of its kin, or nullptr where it has none.
Kin *kin_of(Worker &worker, std::uint32_t owner, std::string_view family);
// The daemons of that name: the one, or all of a family in the order of their numbers.
std::vector<Daemon *> named(Worker &worker, std::uint32_t owner, std::string_view name);
// The names of the daemons that a conf stands for. `instances`: what it says; nothing where it is not sound.
std::vector<std::string> members(Worker &worker, std::uint32_t owner, const std::string &family, std::optional<std::uint32_t> instances);
// After the replay: families have the size that their memories tell.
void inherit_families(Worker &worker, std::uint32_t owner);
// Makes `size` daemons of a family. False, with the reason, where that cannot be. New and surplus ones are told.
bool scale(Worker &worker, std::uint32_t owner, std::string_view family, std::uint32_t size, std::vector<Daemon *> &fresh,
           std::vector<Daemon *> &surplus, std::string &why);
// Stops it and starts it with its conf read again.
void restart_one(Worker &worker, Daemon &daemon, ScanWaiter waiter);
// It runs, and could not be started again as its conf was when last read.
bool faulty_now(const Daemon &daemon);
// Restarts what `waiter` asked for now that its conf was read, or says why it runs on.
void restart_read(Worker &worker, Daemon &daemon, const ScanWaiter &waiter);
// Restarts a family one by one and tells the client.
void begin_roll(Worker &worker, Kin &kin, std::span<Daemon *const> family, Client *client);
void advance_roll(Worker &worker, const Key &key);
void forget_roller(Worker &worker, ClientId id);

// ties.cc: what requires= and after= name
// Forgets what the owner's confs were tied to, before they are read again; and forgets what is of no use afterwards.
void untie(Worker &worker, std::uint32_t owner);
void drop_kins(Worker &worker, std::uint32_t owner);
void tie(Worker &worker, std::uint32_t owner, const std::string &family, std::uint32_t entry, const Conf &conf);
// Finds names that are none and cycles in the ties of an owner and of all who are tied to him; such confs get a problem.
void judge_ties(Worker &worker, std::uint32_t owner);

// order.cc: who waits for whom
// True when it may not be started yet: it waits then, and what it requires is started. `by_hand`: also what has failed.
bool held_back(Worker &worker, Daemon &daemon, bool by_hand);
// What it waits for, for a person.
std::string describe_wait(Worker &worker, const Daemon &daemon);
// Something about a daemon changes: those who wait for it look again before the loop does.
void touch(Worker &worker, const Daemon &daemon);
void touch_all(Worker &worker, std::uint32_t owner);
// A start of it has come to an end.
void hear(Worker &worker, const Daemon &daemon, bool good, const std::string &text);
// Those who require it and are up, or meant to be.
std::vector<Daemon *> dependants(Worker &worker, const Daemon &daemon);
// Those it requires.
std::vector<Daemon *> required(Worker &worker, const Daemon &daemon);
// Stops them all, each after those that depend on it.
void stop_in_order(Worker &worker, std::span<Daemon *const> daemons);
// Does what all that asks for, until there is no more.
void check_order(Worker &worker);

// endings.cc: its tree is gone; what now is for its conf to say.
void finish(Worker &worker, Daemon &daemon);
// after_exit= is over, or was not to be run.
void finished(Worker &worker, Daemon &daemon);
void cool(Worker &worker, Daemon &daemon, std::int64_t now);

// Whether of what was asked for something has not ended yet; the counts go round.
inline bool is_due(std::uint32_t asked, std::uint32_t ended) { return static_cast<std::int32_t>(asked - ended) > 0; }

// sockets.cc
// What the conf says, for take_conf.
Terms read_terms(const Worker &worker, const Daemon &daemon, const Conf &conf);
// Why its owner may not have the sockets that its conf asks for, "" where he may.
std::string judge_listen(const Worker &worker, const Daemon &daemon, const Conf &conf);
// Brings the place's sockets to what the conf says, and goes on when they are there.
void bind_sockets(Worker &worker, Daemon &daemon);
void take_sockets(Worker &worker, Daemon &daemon, const TellSlot &tell);
// Lost ones of one that runs are asked for again: those that its run was started with, never others.
void tend_sockets(Worker &worker, Daemon &daemon);
// Likewise, where that has failed and is due once more.
void retry_sockets(Worker &worker, Daemon &daemon);
// True when there are sockets that must go first; settle() is called again when they are gone.
bool release_sockets(Worker &worker, Daemon &daemon);
// They did not go in time: it settles without that.
void abandon_sockets(Worker &worker, Daemon &daemon);
inline constexpr std::int64_t release_ms = 12'000;  // dm-listen has 10 s

// notify.cc
void take_notify(Worker &worker, const TellNotify &tell, Fd socket);
void notify_ready(Worker &worker, std::uint32_t slot);
void drop_notify(Worker &worker, std::uint32_t slot);
// What a former run has left unread is thrown away.
void drain_notify(Worker &worker, const Daemon &daemon);
void await_ready(Worker &worker, Daemon &daemon, std::int64_t now);
void become_ready(Worker &worker, Daemon &daemon);
void bark(Worker &worker, Daemon &daemon, std::int64_t now);

// commands.cc
void order_stop(Worker &worker, Daemon &daemon, std::int64_t now);
void take_commands(Worker &worker, Daemon &daemon, const TellSlot &tell);
void reload(Worker &worker, Daemon &daemon, Client &client);

// clients.cc
void accept_client(Worker &worker, std::uint32_t listener);
// Whether new clients are waited for; off lasts a tenth of a second.
void listen_to_clients(Worker &worker, bool on);
void client_ready(Worker &worker, ClientId id, std::uint32_t events);
void say_outcome(Client &client, Exit code, std::string_view id, std::string_view text);
// It was not stopped because others require it: dmctl may ask whether those shall be stopped too.
void say_held(Client &client, std::string_view id, std::string_view text);
void say_text(Client &client, std::string_view text);
// Ends the answer when nothing is pending, and sends what there is.
void advance(Worker &worker, Client &client);
void add_waiter(Worker &worker, Daemon &daemon, Client &client, Wait wait);
// Those who wait for it do so as if from now on, and for so much longer.
void renew_waiters(Daemon &daemon, Wait wait, std::int64_t more_ms);
Client *find_client(Worker &worker, ClientId id);
void check_clients(Worker &worker, std::int64_t now);

// verbs.cc
void serve(Worker &worker, Client &client, std::string_view payload);
// Serves those who waited for confs that are read now, or for too long.
void serve_deferred(Worker &worker, std::int64_t now);
bool sees(const Worker &worker, const Client &client, std::uint32_t owner);

// words.cc: what people read
std::string id_of(const Worker &worker, const Daemon &daemon);
std::string user_name(const Worker &worker, std::uint32_t user);
std::string describe_problem(const Worker &worker, std::uint32_t owner, BookProblem problem, std::uint32_t detail,
                             const std::string &path);
std::string describe_end(const Daemon &daemon);
std::string describe_fault(const Worker &worker, const Daemon &daemon);
// What to do about it, behind a colon; "" where nothing is known.
std::string describe_remedy(const Daemon &daemon);
std::string describe_command(std::int32_t code, std::int32_t status);
// True where the report is of a bind.
bool of_bind(RunStage stage);
// True where the last run came to be the daemon at all.
bool began(const Daemon &daemon);
std::string describe_failure(const Worker &worker, const Daemon &daemon);
std::string describe_note(const Worker &worker, const Daemon &daemon, std::int64_t now);
// (of a daemon of a family it is the family's)
std::string conf_path(const Worker &worker, std::uint32_t owner, std::string_view name);
std::string conf_file(const Worker &worker, std::uint32_t owner, std::string_view name);
const char *state_name(const Daemon &daemon);
// A line of the manager's log.
void note(Worker &worker, const std::string &text);

}  // namespace dm::worker
