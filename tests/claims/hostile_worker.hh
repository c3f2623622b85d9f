// A worker that somebody has taken over: what all its deeds have in common. The tests write an order into the program and put it
// in dm-worker's place. It has the worker's uid, chroot and descriptors, but no filter: the worst that could stand there.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "lib/message.hh"
#include "lib/policy.hh"

namespace hostile {

using namespace dm;

inline constexpr int most_places = 64;

struct Place {
  Handle handle;
  std::uint32_t owner, target;
  SlotState state;
  std::uint32_t sockets;
  Memo memo;
};

// What the monitor has told so far.
struct Known {
  Policy policy;
  std::uint32_t owner = 0;  // of the place below
  Handle handle{};
  std::uint64_t book = 0;
  Place places[most_places] = {};  // those of its predecessor's
  int count = 0;
};

using Words = char[4][40];

struct Deed {
  const char *name;
  void (*go)(Known &, const Words &);
};
extern const Deed wrong_messages[], evil_deeds[], socket_deeds[];  // the last has no name
void forge(Known &known, const Words &words);
void lie(Known &known, const Words &words);
void fuzz(Known &known, const Words &words);

void say(const char *text, long long value);  // into the manager's log
[[noreturn]] void wait_for_the_end();
// A number, the name of a user, "count" of users, or "next": the first place that was never issued.
std::uint32_t number(const Known &known, const char *word);

// Sends a datagram with these descriptors; false where the monitor has gone, or at once where it shall not wait.
bool put(const void *bytes, std::size_t size, const int *descriptors = nullptr, std::size_t count = 0, bool wait = true);
template <typename Ask>
void ask(const Ask &it) { put(&it, sizeof it); }
// Reads one message; a descriptor that comes with it is dropped. 0 where there is none and it shall not wait.
std::size_t take(std::uint8_t (&bytes)[max_message], bool wait = true);
// Reads on until one of this kind comes.
void wait_tell(TellKind kind, void *out, std::size_t size);
template <typename Tell>
Tell wait_tell(TellKind kind) {
  Tell tell;
  wait_tell(kind, &tell, sizeof tell);
  return tell;
}

AskSignal signal_of(const Handle &handle, int number, Scope scope);
TellSlot wait_slot(const Handle &handle);

void get_ready(Known &known);
// A book and a place of `owner`'s, as an honest worker gets them.
void get_place(Known &known, const char *owner);
AskStart start_of(const Known &known, std::uint32_t entry, std::uint32_t target);
// One Unix socket.
AskBind bind_of(const Known &known, std::uint32_t entry, std::uint32_t target);
AskCommand command_of(const Known &known, std::uint32_t entry, std::uint32_t target, Command command);
// A message of this kind that nothing is wrong with; returns its size.
std::size_t sound(const Known &known, std::uint32_t kind, std::uint8_t *out);
// As far as a sound message of that kind needs it.
void prepare(Known &known, std::uint32_t kind);

}  // namespace hostile
