// The worker's whole state. Its own uid, empty chroot, no capability, seccomp: it may talk to the monitor and to clients.
#pragma once

#include <cerrno>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/client.hh"
#include "lib/conf.hh"
#include "lib/conf_expand.hh"
#include "lib/fd.hh"
#include "lib/log.hh"
#include "lib/message.hh"
#include "lib/policy.hh"
#include "worker/client.hh"
#include "worker/daemon.hh"
#include "worker/history.hh"
#include "worker/words.hh"

namespace dm::worker {

struct Worker {
  Log log{2, LogSink::stream};
  Policy policy;
  Fd epoll, timer, monitor, history;
  Asks to_monitor;
  std::int64_t first_until = 0;           // until then requests wait for the first readings
  bool resuming = false;                  // what is started now was meant to run before: nobody asks for it anew
  bool monitor_full = false, replayed = false, stopping = false, done = false;
  std::deque<Recorded> recorded;          // what was sent to it last, and may not be there yet
  std::string host;                       // this machine's name, for host= in confs
  std::vector<Owner> owners;
  std::size_t owners_stopped = 0;         // while stopping: the first so many have
  std::vector<Daemon *> by_slot;          // as far as places were told of
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
  std::vector<ClientId> keeping;                  // whose answers end when all is kept that is asked for in this turn
  std::deque<Unkept> unkept;                      // those of former turns, in the order in which they were asked
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
// Has the monitor say when all is kept that was asked for so far, for a client who waits for that (take_kept). False where there is no
// place to be told of.
bool ask_kept(Worker &worker, ClientId client);
void ask_start(Worker &worker, Daemon &daemon, bool after_exit = false);
void ask_bind(Worker &worker, Daemon &daemon, const std::vector<SocketSpec> &sockets, bool armed);
void ask_unbind(Worker &worker, Daemon &daemon);
void ask_command(Worker &worker, Daemon &daemon, Command command);
void ask_signal(Worker &worker, Daemon &daemon, int signal, Scope scope);
void ask_lend(Worker &worker, const Daemon &daemon, std::uint32_t reader);
// Keep an event as the one of its number.
void ask_record(Worker &worker, const Daemon &daemon, const HistoryEvent &event);
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
// Likewise its entry, as it stands there.
std::optional<BookConf> read_entry(const Worker &worker, const Daemon &daemon);
// Gives a daemon without place the next step to one.
void place_next(Worker &worker, std::uint32_t owner);
// What it reads in the book's entry `entry` for the one daemon, again.
void read_again(Worker &worker, Daemon &daemon, std::uint32_t entry);
// Sets as whom it is to run, as its conf says.
void aim(const Worker &worker, Daemon &daemon);
// Whether what is in no book is no conf: a home that cannot be read just now is no reason to forget who lives in it.
bool confs_known(const Owner &owner);
// Whether it may still be said what its conf is: after a takeover places are known before the first reading is there.
bool awaits_conf(const Worker &worker, const Daemon &daemon);
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
bool may_have_daemons(const Worker &worker, std::uint32_t user);  // root lists him under [runs_as]
// Whether the monitor reads his confs and gives him places; to ask it for those of others would be a fault of ours.
bool is_served(const Worker &worker, std::uint32_t user);
// Whether his line under [runs_as] is gone, though he has a row: he manages somebody, is managed, or is a target. What he has is
// forgotten then, as that of one who has no row any more.
bool is_struck(const Worker &worker, std::uint32_t user);
// Whether root allows what its place runs, or is to run; to ask the monitor for a start, sockets or a command as another would be a
// fault of ours.
bool is_allowed(const Worker &worker, const Daemon &daemon);
std::string no_confs_of(const Worker &worker, std::string_view whom);
std::string unresolved_text(const Worker &worker, std::uint32_t user);

// daemons.cc
void raise(Worker &worker, Daemon &daemon, Event event);
void want_up(Worker &worker, Daemon &daemon);
void want_down(Worker &worker, Daemon &daemon);
// Stops it and forgets it, for what `why` says.
void retire(Worker &worker, Daemon &daemon, std::string_view why);
// Of one whose conf is gone, or does not mean it any more.
std::string_view why_gone(Worker &worker, const Daemon &daemon);
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
// Has the conf read, so that what runs is not taken down for a faulty one, and then one, or a family (`again`), stopped and started.
void restart(Worker &worker, Daemon &daemon, ClientId client);
void restart_family(Worker &worker, std::span<Daemon *const> family, Client &client, Again again);
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
// It is meant to run and does not, and nobody has asked anew: it is started as by itself, and nothing that has ended for good with it.
void resume(Worker &worker, Daemon &daemon);
// The daemons of all confs that have a tie to this one, until `what` says false; `needed`: that require it.
void each_dependant(Worker &worker, const Daemon &daemon, bool needed, const std::function<bool(Daemon &)> &what);
// Those who require it and are up, or meant to be.
std::vector<Daemon *> dependants(Worker &worker, const Daemon &daemon);
// Those it requires; all that it has a tie to where not only those are `needed`.
std::vector<Daemon *> required(Worker &worker, const Daemon &daemon, bool needed = true);
// Does what all that asks for, until there is no more.
void check_order(Worker &worker);

// stops.cc: who stops before whom
// Stops them all, each after those that depend on it.
void stop_in_order(Worker &worker, std::span<Daemon *const> daemons);
// Stops one that lingers if it is its turn.
void release(Worker &worker, Daemon &daemon);
// It lingers no more, for it stops or is wanted again: those that wait for it to go look again. False where it did not.
bool end_lingering(Worker &worker, Daemon &daemon);
// After a takeover nobody knows who depends on whom before all confs are read: then those who linger go, each at its turn.
void await_ties(Worker &worker);

// endings.cc: its tree is gone; what now is for its conf to say. `late`: without that, for it does not come.
void finish(Worker &worker, Daemon &daemon, bool late = false);
// What was put off until its conf is there is done: that has come, or, `late`, does not.
void decide(Worker &worker, Daemon &daemon, std::int64_t now, bool late);
inline constexpr std::int64_t conf_ms = 10'000;  // dm-scan has as long
// A client who had no answer asks again for a start that he asked for first at `first_ms` (0: he does not): true where it has begun to
// run since, and is not started again: he is told what came of it, or goes on waiting for that.
bool take_up_start(Worker &worker, Daemon &daemon, Client *client, std::int64_t first_ms);
// after_exit= is over, or was not to be run.
void finished(Worker &worker, Daemon &daemon);
void cool(Worker &worker, Daemon &daemon, std::int64_t now);

// Whether of what was asked for something has not ended yet; the counts go round.
inline bool is_due(std::uint32_t asked, std::uint32_t ended) { return static_cast<std::int32_t>(asked - ended) > 0; }

// output.cc
void take_output(const Worker &worker, Daemon &daemon, const Conf &conf);
// Of an owner's daemons only one can write to a file: those behind the first that name it get a warning.
void warn_of_shared_logs(const Worker &worker, std::span<Daemon *const> daemons);
// The path of its log, in_syslog, or "" where it has none.
std::string log_of(const Worker &worker, const Daemon &daemon);

// sockets.cc
// What the signs in the values of its conf stand for.
Meanings meanings_of(const Worker &worker, const Daemon &daemon);
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
void order_stop(Worker &worker, Daemon &daemon, std::int64_t now, bool late = false);
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
// There is no such verb: dmctl may tell of versions.
void say_unknown(Client &client, std::string_view text);
void say_text(Client &client, std::string_view text);
// Ends the answer when nothing is pending, and sends what there is.
void advance(Worker &worker, Client &client);
void add_waiter(Worker &worker, Daemon &daemon, Client &client, Wait wait);
// Those who wait for it do so as if from now on, and for so much longer.
void renew_waiters(Daemon &daemon, Wait wait, std::int64_t more_ms);
Client *find_client(Worker &worker, ClientId id);
// Has the monitor tell when all is kept that was asked for in this turn, for those whose answers end then.
void keep_answers(Worker &worker);
// The monitor has kept what was asked for up to that cookie. And where one waits for that at a place that is given back, he waits at another.
void take_kept(Worker &worker, std::uint32_t cookie);
void ask_kept_elsewhere(Worker &worker, std::uint32_t slot);
void check_clients(Worker &worker, std::int64_t now);

// verbs.cc
void serve(Worker &worker, Client &client, std::string_view payload);
// Serves those who waited for confs that are read now, or for too long.
void serve_deferred(Worker &worker, std::int64_t now);
bool sees(const Worker &worker, const Client &client, std::uint32_t owner);

}  // namespace dm::worker
