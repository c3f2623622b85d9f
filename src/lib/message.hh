// The messages between monitor (root) and worker (sandboxed): the one table of their kinds, and their fixed layouts.
// SOCK_SEQPACKET: one datagram is one message of exactly its struct's size. The worker asks (`ask_x` sends Ask*), the monitor
// does (`do_x` in src/monitor/requests.cc) and tells (Tell*). Neither ever waits for the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lib/helper.hh"

namespace dm {

// Kinds, in wire order. Kept from changing meaning; new ones go to the end.
#define DM_ASK_KINDS(X) X(Ready) X(Scan) X(Listen) X(Slot) X(Free) X(Remember) X(Start) X(Signal) X(Done) X(Bind) X(Unbind) X(Command) X(Lend) X(Record)
#define DM_TELL_KINDS(X) X(Slot) X(NoSlot) X(Book) X(Listener) X(Replayed) X(Shutdown) X(Notify)

#define DM_NAME(name) name,
enum class AskKind : std::uint32_t { DM_ASK_KINDS(DM_NAME) };
enum class TellKind : std::uint32_t { DM_TELL_KINDS(DM_NAME) };
#undef DM_NAME
#define DM_ONE(name) +1
inline constexpr std::uint32_t ask_kinds = 0 DM_ASK_KINDS(DM_ONE);
inline constexpr std::uint32_t tell_kinds = 0 DM_TELL_KINDS(DM_ONE);
#undef DM_ONE

inline constexpr std::size_t max_message = 512;
inline constexpr std::uint32_t max_slots = 16384;
inline constexpr std::uint32_t max_sockets = 8;      // listening sockets of one daemon
inline constexpr std::uint32_t max_instances = 100;  // of one conf
inline constexpr std::uint16_t first_free_port = 1024;  // those below are root's word

// A daemon's place in the monitor's table. The generation changes whenever the place is given to another daemon.
struct Handle {
  std::uint32_t slot, generation;
  bool operator==(const Handle &) const = default;
};

// The worker's memory of one daemon, kept by the monitor for the worker's successor and never read by it.
struct Memo {
  std::uint8_t bytes[192];
};

// Something that happened to a daemon (lib/history.hh), kept likewise.
struct Event {
  std::uint8_t bytes[20];
};
inline constexpr std::uint32_t events_kept = 20;  // of each place

enum class SlotState : std::uint32_t {
  free,      // nobody's
  idle,      // a daemon's, and no process of it is left
  starting,  // a child is on its way to becoming the daemon
  running,   // the daemon has been executed
  draining,  // its main process is gone, others of its tree are left
};
inline constexpr std::uint32_t slot_states = 5;

// ---- the worker asks ----
// "I am in my sandbox": the first message, once. From here on the monitor tells what it knows.
struct AskReady {
  AskKind kind;
  std::uint32_t zero;
};
// Read the confs of `owner` (a row of the policy) again; TellBook follows. `create`: make his directories first.
struct AskScan {
  AskKind kind;
  std::uint32_t owner, create, zero;
};
// Make the owner's command socket, if there is none; TellListener follows.
struct AskListen {
  AskKind kind;
  std::uint32_t owner;
};
// A place for a daemon of `owner`: TellSlot with the cookie follows, or TellNoSlot. One at a time for each owner.
struct AskSlot {
  AskKind kind;
  std::uint32_t owner, cookie, zero;
  Memo memo;
};
// Give an idle place back.
struct AskFree {
  AskKind kind;
  std::uint32_t zero;
  Handle handle;
};
// Remember this. With a cookie TellSlot follows, with that: then this, and all that was asked for before, is done, or kept so that the
// next worker sees to it.
struct AskRemember {
  AskKind kind;
  std::uint32_t cookie;
  Handle handle;
  Memo memo;
};
enum StartFlags : std::uint32_t {
  start_logged = 1,
  start_notified = 2,    // it may send datagrams to its place's notify socket; TellNotify follows where this worker has none yet
  start_after_exit = 4,  // the run is that of after_exit=, told how the run before it ended
};
// Start entry `entry` of the owner's book of generation `book` as `target`; TellSlot follows. It is handed the place's sockets.
struct AskStart {
  AskKind kind;
  std::uint32_t target;  // a row of the policy
  Handle handle;
  std::uint64_t book;
  std::uint32_t entry;
  std::uint32_t flags;
  std::uint32_t instance;  // of 1 … max_instances; 0: its conf has no instances
  std::uint32_t zero;
  Memo memo;
};
enum class Scope : std::uint32_t { main, tree, log };
// Signal the main process (nothing happens when it is gone), or everything of the tree; or have dm-log open its log anew.
struct AskSignal {
  AskKind kind;
  std::int32_t signal;  // 1 … 64
  Handle handle;
  Scope scope;
  std::uint32_t zero;
  Memo memo;
};
// Everything is stopped, after TellShutdown.
struct AskDone {
  AskKind kind;
  std::uint32_t zero;
};
enum class Family : std::uint16_t { local = 1, inet, inet6 };
// One listen= line. The address is in the book alone, but for a port below first_free_port, which the monitor binds by root's
// word and from here: then dm-listen only listens.
struct SocketSpec {
  Family family;
  std::uint16_t port;        // 0: dm-listen binds it, to what the book says
  std::uint8_t address[16];  // network order, in the first 4 bytes for inet; zeros without a port
};
enum BindFlags : std::uint32_t { bind_armed = 1 };  // tell of the first connection that waits (once)
// Make the place's listening sockets by dm-listen, as the owner with the target's gid, unless it has them; TellSlot follows, with
// `binds` one higher, and `sockets` or a report. The place must be idle, or running without sockets (it shut them down).
struct AskBind {
  AskKind kind;
  std::uint32_t target;
  Handle handle;
  std::uint64_t book;
  std::uint32_t entry;
  std::uint32_t flags;
  std::uint32_t instance;
  std::uint32_t count;  // 1 … max_sockets
  SocketSpec sockets[max_sockets];
  Memo memo;
};
// Close the place's sockets and remove their files; TellSlot follows, with `binds` one higher.
struct AskUnbind {
  AskKind kind;
  std::uint32_t zero;
  Handle handle;
};
enum class Command : std::uint32_t { stop, reload };
// Run stop= or reload= of the entry, as its target, beside the running daemon; TellSlot follows, with `commands` one higher when it
// has ended. One at a time.
struct AskCommand {
  AskKind kind;
  std::uint32_t target;
  Handle handle;
  std::uint64_t book;
  std::uint32_t entry;
  std::uint32_t instance;
  Command command;
  std::uint32_t zero;
  Memo memo;
};
inline constexpr std::uint32_t reader_root = 0xfffffffe;
// Let `reader`, who manages the owner, read the log of entry `entry`: dm-log, as the owner, expects him at read/SLOT in the run
// directory. What he reads passes neither the monitor nor the worker. Nothing follows; where it cannot be done nobody comes.
struct AskLend {
  AskKind kind;
  std::uint32_t reader;  // a row of the policy, or reader_root
  Handle handle;
  std::uint64_t book;
  std::uint32_t entry;
  std::uint32_t instance;
};

// Keep this as the place's event number `at` of 0 … events_kept - 1. Nothing follows.
struct AskRecord {
  AskKind kind;
  std::uint32_t at;
  Handle handle;
  Event event;
};

// ---- the monitor tells ----
enum class Refusal : std::uint32_t {
  none,
  throttled,   // over the owner's starts per second: ask again a little later
  stale_book,  // the owner has a newer book
  not_allowed, // the policy has no such pair, or one of them does not resolve
  busy,        // the place is not idle
  shutdown,
};
// What the monitor keeps of a place and tells as it stands: X(type, name).
inline constexpr std::int32_t command_handed = -1;
#define DM_SLOT_FACTS(X) \
  X(std::uint32_t, cookie)       /* of the AskSlot or AskRemember that this answers, else 0 */ \
  X(SlotState, state) \
  X(Refusal, refusal)            /* of the last AskStart, AskBind, AskUnbind or AskCommand, told once */ \
  X(std::int32_t, pid)           /* of the main process; in TellSlot 0 where there is none */ \
  X(std::uint32_t, runs)         /* starts so far */ \
  X(std::int32_t, end_code)      /* waitid's si_code of the last run (CLD_EXITED …), 0: none or unknown */ \
  X(std::int32_t, end_status)    /* waitid's si_status */ \
  X(RunReport, report)           /* why the last start or bind failed; stage none: it did not */ \
  X(std::uint32_t, sockets)      /* listening sockets that the place has */ \
  X(std::uint32_t, binds)        /* AskBind and AskUnbind that have ended so far */ \
  X(std::uint32_t, commands)     /* AskCommand that have ended so far; how the last did: */ \
  X(std::int32_t, command_code)  /* waitid's si_code, 0: it could not be run */ \
  X(std::int32_t, command_status) /* command_handed with code 0: not killed but upgraded, the monitor has lost nothing that a daemon said */ \
  X(std::int64_t, started_ms)    /* CLOCK_BOOTTIME */ \
  X(std::int64_t, ended_ms) \
  X(Memo, memo)
#define DM_FIELD(type, name) type name;
// How a place stands now. Several changes may be told as one: compare `runs`.
struct TellSlot {
  TellKind kind;
  std::uint32_t owner;   // row of the policy, or no_user where the owner is not in it any more
  Handle handle;
  std::uint32_t owner_uid, zero;
  std::uint32_t target;  // likewise; of the last start
  std::uint32_t connected; // 1: a connection has come since it was armed
  DM_SLOT_FACTS(DM_FIELD)
};
struct TellNoSlot {
  TellKind kind;
  std::uint32_t owner, cookie;
  std::uint32_t errno_value;  // why the table cannot grow (EUSERS: all places are taken), or 0: the owner has all that he may have
};
enum class BookResult : std::uint32_t { ok, timed_out, failed, unsealed };
// The owner's book, attached as a descriptor where the result is ok.
struct TellBook {
  TellKind kind;
  std::uint32_t owner;
  BookResult result;
  std::uint32_t errno_value;
  std::uint64_t generation;
};
// Listeners that are nobody's home's.
inline constexpr std::uint32_t listener_root = 0xfffffffe;    // root.sock
inline constexpr std::uint32_t listener_shared = 0xfffffffd;  // command.sock in /run
// A listening command socket, attached where the result is done.
struct TellListener {
  TellKind kind;
  std::uint32_t owner;   // row of the policy, or listener_root, listener_shared
  std::int32_t result;   // ListenExit; -1: timed out or killed
  std::uint32_t zero;
};
// The place's notify socket, attached: datagrams of its target's, or of whoever is in the target's group. Hostile.
struct TellNotify {
  TellKind kind;
  std::uint32_t zero;
  Handle handle;
};
// All that was there at AskReady has been told.
struct TellReplayed {
  TellKind kind;
  std::uint32_t zero;
};
// Stop everything, then AskDone.
struct TellShutdown {
  TellKind kind;
  std::uint32_t timeout_ms;
};

template <AskKind kind> struct AskType;
template <TellKind kind> struct TellType;
#define DM_ASK_TYPE(name) \
  template <> struct AskType<AskKind::name> { using type = Ask##name; }; \
  static_assert(sizeof(Ask##name) <= max_message && std::is_trivially_copyable_v<Ask##name>);
#define DM_TELL_TYPE(name) \
  template <> struct TellType<TellKind::name> { using type = Tell##name; }; \
  static_assert(sizeof(Tell##name) <= max_message && std::is_trivially_copyable_v<Tell##name>);
DM_ASK_KINDS(DM_ASK_TYPE)
DM_TELL_KINDS(DM_TELL_TYPE)
#undef DM_ASK_TYPE
#undef DM_TELL_TYPE

// The exact size of each kind's datagram.
#define DM_SIZE(name) sizeof(AskType<AskKind::name>::type),
inline constexpr std::size_t ask_sizes[] = {DM_ASK_KINDS(DM_SIZE)};
#undef DM_SIZE
#define DM_SIZE(name) sizeof(TellType<TellKind::name>::type),
inline constexpr std::size_t tell_sizes[] = {DM_TELL_KINDS(DM_SIZE)};
#undef DM_SIZE
#define DM_TEXT(name) #name,
inline constexpr const char *ask_names[] = {DM_ASK_KINDS(DM_TEXT)};
inline constexpr const char *tell_names[] = {DM_TELL_KINDS(DM_TEXT)};
#undef DM_TEXT

// What the worker is started with: descriptors 3 to 6, and one argument, the LogSink as a digit.
inline constexpr int worker_socket_fd = 3, worker_policy_fd = 4, worker_log_fd = 5, worker_history_fd = 6;

}  // namespace dm
