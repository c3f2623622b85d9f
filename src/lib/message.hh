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
#define DM_ASK_KINDS(X) X(Ready) X(Scan) X(Listen) X(Slot) X(Free) X(Remember) X(Start) X(Signal) X(Done)
#define DM_TELL_KINDS(X) X(Slot) X(NoSlot) X(Book) X(Listener) X(Replayed) X(Shutdown)

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

// A daemon's place in the monitor's table. The generation changes whenever the place is given to another daemon.
struct Handle {
  std::uint32_t slot, generation;
  bool operator==(const Handle &) const = default;
};

// The worker's memory of one daemon, kept by the monitor for the worker's successor and never read by it.
struct Memo {
  std::uint8_t bytes[152];
};

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
// Remember this.
struct AskRemember {
  AskKind kind;
  std::uint32_t zero;
  Handle handle;
  Memo memo;
};
enum StartFlags : std::uint32_t { start_logged = 1 };
// Start entry `entry` of the owner's book of generation `book` as `target`; TellSlot follows.
struct AskStart {
  AskKind kind;
  std::uint32_t target;  // a row of the policy
  Handle handle;
  std::uint64_t book;
  std::uint32_t entry;
  std::uint32_t flags;
  Memo memo;
};
enum class Scope : std::uint32_t { main, tree };
// Signal the main process (nothing happens when it is gone) or everything of the tree.
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

// ---- the monitor tells ----
enum class Refusal : std::uint32_t {
  none,
  throttled,   // over the owner's starts per second: ask again a little later
  stale_book,  // the owner has a newer book
  not_allowed, // the policy has no such pair, or one of them does not resolve
  busy,        // the place is not idle
  shutdown,
};
// How a place stands now. Several changes may be told as one: compare `runs`.
struct TellSlot {
  TellKind kind;
  std::uint32_t owner;   // row of the policy, or no_user where the owner is not in it any more
  Handle handle;
  std::uint32_t target;  // likewise; of the last start
  std::uint32_t cookie;  // of the AskSlot that this answers, else 0
  SlotState state;
  Refusal refusal;         // of the last AskStart
  std::int32_t pid;        // 0 when there is none
  std::uint32_t runs;      // starts so far
  std::int32_t end_code;   // waitid's si_code of the last run (CLD_EXITED …), 0: none or unknown
  std::int32_t end_status; // waitid's si_status
  RunReport report;        // why the last start failed; stage none: it did not
  std::int64_t started_ms, ended_ms;  // CLOCK_BOOTTIME
  Memo memo;
};
struct TellNoSlot {
  TellKind kind;
  std::uint32_t owner, cookie, zero;
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

// What the worker is started with: descriptors 3, 4 and 5, and one argument, the LogSink as a digit.
inline constexpr int worker_socket_fd = 3, worker_policy_fd = 4, worker_log_fd = 5;

}  // namespace dm
