// What the hostile worker leaves to its successor, and what chance lets it ask. Above each: its order.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "hostile_worker.hh"

namespace hostile {
namespace {

// As src/worker/memo.cc writes it; `lie` says whether it still does.
struct Memory {
  char name[64];
  std::uint8_t version, wanted, state, step;
  std::uint32_t respawns, runs;
  std::uint8_t rescan_first, zero[3];
  std::uint64_t total_ms;
  std::int64_t timer_ms;
  std::uint64_t started_hash;
  std::uint32_t stop_timeout_ms;
  std::int32_t stop_signal;
  std::int64_t ended_ms;
};
static_assert(sizeof(Memory) <= sizeof(Memo));

Memo memo_of(const Memory &memory) {
  Memo memo{};
  std::memcpy(memo.bytes, &memory, sizeof memory);
  return memo;
}

Memory memory(const char *name, std::size_t size) {
  Memory it{};
  std::memcpy(it.name, name, size);
  it.version = it.wanted = 1;
  it.stop_timeout_ms = 1000;
  it.stop_signal = SIGTERM;
  return it;
}
Memory memory(const char *name) { return memory(name, std::strlen(name)); }

void leave(Known &known, const char *owner, const Memory &what) {
  get_place(known, owner);
  ask(AskRemember{AskKind::Remember, 0, known.handle, memo_of(what)});
}

void leave_names(Known &known) {
  const char *const names[] = {"../x", "..", ".", "", "/etc/passwd", "x/y", "-rf", "web\n", "\x1b[31mred", "\xe2\x80\xaeweb", " web",
                               "web", "site", "radio", "thief", "ghost"};
  for (const char *name : names) leave(known, "david", memory(name));
  leave(known, "david", memory("web\0../x", 8));
  leave(known, "david", memory("\0web", 4));
  char full[64];
  std::memset(full, 'a', sizeof full);
  leave(known, "david", memory(full, sizeof full));
  std::memset(full, '/', sizeof full);
  leave(known, "david", memory(full, sizeof full));
  leave(known, "amy", memory("thief"));
}

void leave_numbers(Known &known) {
  const auto with = [&known](auto change) {
    for (const char *name : {"web", "ghost"}) {
      Memory it = memory(name);
      change(it);
      leave(known, "david", it);
    }
  };
  for (const char state : {'\1', '\2', '\3', '\4', '\5', '\x7f'}) with([state](Memory &it) { it.state = static_cast<std::uint8_t>(state), it.step = 6; });
  for (const std::int32_t number : {0, -1, 9, 64, 65}) with([number](Memory &it) { it.stop_signal = number, it.state = 3; });
  with([](Memory &it) { it.version = 2; });
  with([](Memory &it) { it.wanted = 255; });
  with([](Memory &it) { it.respawns = it.runs = 0xffffffff, it.state = 4; });
  with([](Memory &it) { it.timer_ms = INT64_MAX, it.state = 4; });
  with([](Memory &it) { it.timer_ms = INT64_MIN; });
  with([](Memory &it) { it.total_ms = UINT64_MAX; });
  with([](Memory &it) { it.ended_ms = INT64_MIN, it.started_hash = UINT64_MAX; });
  with([](Memory &it) { it.stop_timeout_ms = 0xffffffff, it.state = 3; });
}

}  // namespace

// lie: memories of daemons that there are and of others, in each of which something is wrong
void lie(Known &known, const Words &) {
  get_ready(known);
  for (int i = 0; i < known.count; i++) {
    Memory it;
    std::memcpy(&it, known.places[i].memo.bytes, sizeof it);
    if (std::strcmp(it.name, "web") == 0) say("knows the memory", it.version == 1 && it.wanted == 1 && it.stop_signal == SIGTERM);
  }
  leave_names(known);
  leave_numbers(known);
  get_place(known, "david");  // the monitor has taken all that came before
  say("lied", 1);
  _exit(0);
}

// forge SEED: noise in new places for david, and in those of all daemons that run
void forge(Known &known, const Words &words) {
  get_ready(known);
  std::srand(number(known, words[1]));
  const auto noise = [] {
    Memo memo;
    for (std::uint8_t &byte : memo.bytes) byte = static_cast<std::uint8_t>(std::rand());
    return memo;
  };
  for (int i = 0; i < 40; i++) {
    get_place(known, "david");
    AskRemember it{AskKind::Remember, 0, known.handle, noise()};
    // Half of them with a name that one of david's daemons has, and all else noise within reach.
    if (i % 2 == 0) {
      std::memset(it.memo.bytes, 0, 64);
      std::memcpy(it.memo.bytes, "web", 3);
      it.memo.bytes[64] = 1;
      for (int j = 65; j < 68; j++) it.memo.bytes[j] = static_cast<std::uint8_t>(std::rand() % 7);
    }
    ask(it);
  }
  for (int i = 0; i < known.count; i++) ask(AskRemember{AskKind::Remember, 0, known.places[i].handle, noise()});
  get_place(known, "david");
  say("forged", 40);
  _exit(0);
}

namespace {

struct Own {
  Handle handles[16];
  std::size_t count = 0, freed = 0;
  int started = 0;
  Handle gone[1024];  // given back, perhaps

  [[nodiscard]] bool has(const Handle &handle) const { return std::find(handles, handles + count, handle) != handles + count; }
  [[nodiscard]] bool had(const Handle &handle) const { return std::find(gone, gone + freed, handle) != gone + freed; }
};

// What runs in a predecessor's place is left in peace.
bool others(const Known &known, std::uint32_t slot) {
  for (int i = 0; i < known.count; i++)
    if (known.places[i].handle.slot == slot) return true;
  return false;
}

std::uint32_t roll(std::uint32_t sides) { return static_cast<std::uint32_t>(std::rand()) % sides; }

void listen_for(Known &known, Own &own) {
  std::uint8_t bytes[max_message];
  while (take(bytes, false) != 0) {
    TellKind kind;
    std::memcpy(&kind, bytes, sizeof kind);
    if (kind == TellKind::Book) {
      TellBook tell;
      std::memcpy(&tell, bytes, sizeof tell);
      known.book = tell.generation;
    } else if (kind == TellKind::Slot) {
      TellSlot tell;
      std::memcpy(&tell, bytes, sizeof tell);
      own.started += tell.state == SlotState::running;
      if (others(known, tell.handle.slot) || own.has(tell.handle) || own.had(tell.handle)) continue;
      if (own.count < std::size(own.handles)) own.handles[own.count++] = tell.handle;
    }
  }
}

// A message of chance; nothing is wrong with most of them.
std::size_t chance(Known &known, Own &own, std::uint8_t *out) {
  if (own.count == 0) get_place(known, "david"), own.handles[own.count++] = known.handle;
  Handle &one = own.handles[roll(static_cast<std::uint32_t>(own.count))];
  known.handle = one;
  const std::size_t size = sound(known, roll(4) == 0 ? 9 + roll(3) : 1 + roll(7), out);
  AskKind kind;
  std::memcpy(&kind, out, sizeof kind);
  if (kind == AskKind::Start) {
    AskStart it = start_of(known, roll(3), known.policy.find_name(roll(2) == 0 ? "david" : "www-data"));
    it.flags = roll(8);
    std::memcpy(out, &it, sizeof it);
  } else if (kind == AskKind::Bind) {
    AskBind it = bind_of(known, roll(3), known.policy.find_name(roll(2) == 0 ? "david" : "www-data"));
    it.flags = roll(2);
    it.count = 1 + roll(max_sockets);
    for (std::uint32_t i = 0; i < it.count; i++) it.sockets[i].family = static_cast<Family>(1 + roll(3));
    std::memcpy(out, &it, sizeof it);
  } else if (kind == AskKind::Signal) {
    const AskSignal it{AskKind::Signal, static_cast<std::int32_t>(1 + roll(64)), known.handle, static_cast<Scope>(roll(2)), 0, {}};
    std::memcpy(out, &it, sizeof it);
  } else if (kind == AskKind::Free && own.freed < std::size(own.gone)) {
    own.gone[own.freed++] = one;
    one = own.handles[--own.count];
  }
  return size;
}

bool spares_others(const Known &known, const std::uint8_t *bytes) {
  static_assert(offsetof(AskFree, handle) == 8 && offsetof(AskRemember, handle) == 8 && offsetof(AskStart, handle) == 8 &&
                offsetof(AskSignal, handle) == 8 && offsetof(AskBind, handle) == 8 && offsetof(AskUnbind, handle) == 8 &&
                offsetof(AskCommand, handle) == 8 && offsetof(AskLend, handle) == 8 && offsetof(AskRecord, handle) == 8);
  std::uint32_t kind, slot;
  std::memcpy(&kind, bytes, sizeof kind);
  std::memcpy(&slot, bytes + 8, sizeof slot);
  return kind < static_cast<std::uint32_t>(AskKind::Free) || !others(known, slot);
}

}  // namespace

// fuzz SEED HOW-MANY: so many messages of chance, and then such with a byte changed, cut or doubled, until it is ended
void fuzz(Known &known, const Words &words) {
  std::srand(number(known, words[1]));
  get_ready(known);
  Own own;
  std::uint8_t out[2 * max_message] = {};
  for (int left = std::atoi(words[2]);; left--) {
    listen_for(known, own);
    std::size_t size = chance(known, own, out);
    // On a busy machine what was started takes its time.
    for (int i = 0; i < 100 && left == 0 && own.started == 0; i++) usleep(20'000), listen_for(known, own);
    if (left == 0) say("turns bad; of its places there ran", own.started);
    if (left <= 0 && roll(2) == 0) out[roll(static_cast<std::uint32_t>(size))] = static_cast<std::uint8_t>(roll(256));
    if (left <= 0 && roll(8) == 0) size = 1 + roll(2 * max_message - 1);
    const int attached = worker_log_fd;
    if (spares_others(known, out)) put(out, size, &attached, left <= 0 && roll(16) == 0 ? 1 : 0);
  }
}

}  // namespace hostile
