// What the worker knows of one daemon, and of one owner of daemons. Sandboxed.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/book.hh"
#include "lib/conf.hh"
#include "lib/fd.hh"
#include "lib/history.hh"
#include "lib/message.hh"
#include "lib/policy.hh"
#include "worker/kin.hh"
#include "worker/life.hh"
#include "worker/rare_text.hh"

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
  std::uint32_t stray_uid = no_user;  // where it has none: whose place it is
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
  RareText log_file;        // that its conf names, or in_syslog, or ""
  bool logged = false, autostart = true, usable = false;
  int stop_signal = 15;
  std::uint32_t stop_timeout_ms = 10'000;
  bool astray = false;              // `target` is whom it runs as, and its conf may say another
  bool throttled = false;           // its start is being put off, and has been counted
  bool hurry = false;               // started by hand while it was being cleared: no cooldown
  bool elsewhere = false;           // host= in its conf means other machines
  bool secrets = false;             // of what it exports only the file's own mark tells whether it has changed
  RareText warning;                 // the first of its conf's warnings
  RareText problem;                 // why it cannot be started as it is written; "" when it can
  std::uint64_t conf_hash = 0, started_hash = 0;  // of its conf, as it is and as it was: the lower half of what a run does not follow any more
  // What runs does not do as its conf says now.
  [[nodiscard]] bool outdated() const { return static_cast<std::uint32_t>(conf_hash) != static_cast<std::uint32_t>(started_hash); }
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
  bool undecided = false;           // it has ended, or is to be stopped, and its conf is not there yet to say what now, or how
  bool rebind = false;              // lost sockets are asked for once more: when its timer expires, it is announced or its watchdog is heard
  std::int64_t rebind_at = 0;       // (of the last, not before this time)
  bool ordered = false;             // somebody wanted its end
  bool tree_gone = false;           // with its main process all of its tree has ended: nothing is left to be killed
  bool aside = false;               // what its place runs, or ran last, is after_exit=: the facts are those of the run before
  bool executed = false;            // the monitor says that dm-run has become it
  Ready ready_by = Ready::started;  // how this run becomes ready
  bool is_ready = false;            // it said so
  bool unheard = false;             // the monitor was killed before: what it said since may have reached nobody
  bool barked = false;              // it was sent SIGABRT
  bool pid_refused = false;         // MAINPID= has been noted for this run
  bool reloading = false, leaving = false;  // it said so
  bool stop_due = false;            // stop= is to be run when what is underway has ended
  Fault fault = Fault::none;
  Underway underway = Underway::none;
  std::uint32_t watchdog_ms = 0;    // of this run
  std::int64_t extended_until = 0;  // EXTEND_TIMEOUT_USEC goes no further
  RareText status;                  // STATUS=
  std::uint32_t by = by_itself;     // whose word its next start, or stop, is: a uid, or as in lib/history.hh
  std::uint32_t start_by = by_itself;  // whose its last start was
  std::uint32_t stop_by = by_itself;  // whose its stop was that is under way
  bool start_untold = false;        // the start of its last run is not in the history
  bool end_told = false;            // and its end
  std::uint16_t history_next = 0xffff;  // the number of its next event there; from history_numbers on: not known yet
  std::uint16_t history_from = 0xffff;  // those from here up to it a predecessor wrote that did not come to remember it
};

// What a reading is for, where what runs is to be restarted: that daemon, all of its family, or those of the family that run.
enum class Again : std::uint8_t { none, one, family, running };

// One who waits for a reading of an owner's confs.
struct ScanWaiter {
  ClientId client;
  bool list;          // dmctl rescan: wants the differences told
  std::string start;  // start this daemon then; "" none
  Again again = Again::none;
  bool unread = false;              // `start` was in no conf that was read before
  std::uint32_t uid = by_itself;    // whose word it is
  bool asked = false;               // by somebody, who may have gone, or not wait
  std::int64_t first_ms = 0;        // as in Client
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

}  // namespace dm::worker
