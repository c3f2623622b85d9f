// The slot table: all that the monitor knows about daemons, in a file on tmpfs that outlives it. Root's alone (0600).
//
// Recovery: the table is mapped shared and is the only copy. A child that is to become a daemon writes its own pid and
// identity into its slot while it is still root and before it gives root up, so whatever runs is on record. A monitor that
// finds a table of its own version and boot takes each slot by itself: one whose fields are out of range is dropped; one
// that says "runs" is believed only when the process of that pid still has that identity.
#pragma once

#include <cstdint>
#include <cstdio>

#include "lib/fd.hh"
#include "lib/message.hh"

namespace dm::monitor {

// A short text with a number: a name below the run directory, a word of a helper's.
struct Label {
  char text[32];
  explicit Label(const char *format, long long number) { std::snprintf(text, sizeof text, format, number); }
  explicit Label(long long number) : Label("%lld", number) {}
};

enum SlotFlags : std::uint32_t {
  slot_logged = 1,
  slot_killed = 2,   // its cgroup has seen cgroup.kill
  slot_grouped = 4,  // it has no cgroup: its process group must do
  slot_connected = 8,  // since it was armed a connection has come
  slot_notified = 16,  // its last run may send to its notify socket
  slot_armed = 32,     // the first connection to its sockets is to be told
};

struct Slot {
  std::uint32_t generation;
  std::uint32_t flags;
  std::uint32_t owner_uid, target_uid;
  std::uint32_t entry;     // in the book it was last started from
  std::uint32_t instance;  // that it was last started as
  DM_SLOT_FACTS(DM_FIELD)  // while draining, pid is the process group too
  std::uint64_t identity;  // of `pid`: identity_of()
  std::uint64_t socket_inodes[max_sockets];  // tell the daemon's listening sockets from whatever else it has open
};

// The file is this, then Slot[max_slots]. One that was cut short is taken as far as it goes; a head that is damaged is mended by the
// copy in `state.head`; one of another boot or version is not believed.
struct TableHeader {
  std::uint32_t magic, version, slot_size, slots;
  std::uint64_t instance;  // names the cgroup: of the run directory, so that a table made anew finds the same one
  char boot_id[40];
  std::uint32_t high;  // Table::high
  std::uint32_t upgrades, refused_upgrades, zero;  // how SIGUSR2 ended so far: `daemon-manager --upgrade` waits for the change
};

struct Table {
  Fd file;
  TableHeader *header = nullptr;
  Slot *slots = nullptr;
  std::uint32_t high = 0;    // slots from here on are free
  std::uint32_t backed = 0;  // slots up to here have memory of their own: to touch others would be death on a full tmpfs
};

// Moves `high`, and gets memory for what is below; false (errno set) when there is none.
bool set_high(Table &table, std::uint32_t high);

// How a table was found.
struct Found {
  bool fresh = false;         // it was made anew, empty
  bool foreign = false;       // because there was one, but not of this version and boot
  bool mended = false;        // its head was damaged, and is as it was
  std::uint32_t lost = 0;     // places that were used and are not there: it was cut short
  std::uint32_t damaged = 0;  // places with fields out of range: dropped
};
// Maps `state` in the directory, or makes it anew. False with errno set where neither is possible. Root, at start.
bool map_table(int run_dir, Table &table, Found &found);

// A table that is nobody's, for --selftest. False as above, or where the file is a table that this program cannot go on with.
bool map_scratch(int run_dir, Table &table);
// The header of the running manager's table, read-only, or nullptr.
const TableHeader *look_at_table(int run_dir);

// What tells this process from any other that has or had its pid: the inode of its pidfd on pidfs (kernel 6.9 on), else its
// start time in ticks since boot. 0 when it cannot be told. Async-signal-safe.
std::uint64_t identity_of(std::int32_t pid);

// Writes down run number `runs` of the place, whose process is `pid`. Async-signal-safe.
void note_run(Slot &slot, std::int32_t pid, std::uint32_t runs);
// The same of the caller, who is to become the daemon; false where `monitor` has died before it noted the run, or the next one has
// struck it out: then it is none. Whatever of a dead monitor's children the next one finds without an identity never becomes a daemon,
// nor counts as one. Async-signal-safe.
bool sign(Slot &slot, std::uint32_t runs, std::int32_t monitor);

// Milliseconds of CLOCK_BOOTTIME.
std::int64_t now_ms();

}  // namespace dm::monitor
