// Messages of the hostile worker's that the monitor must not take. Above each: its order.
#include <fcntl.h>
#include <sys/mman.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

#include "hostile_worker.hh"

namespace hostile {
namespace {

std::uint8_t large[256 * 1024];

struct Field {
  const char *name;
  AskKind kind;
  std::size_t at;
};
#define FIELD(kind, member) {#kind "." #member, AskKind::kind, offsetof(Ask##kind, member)}
#define HANDLE(kind) \
  {#kind ".slot", AskKind::kind, offsetof(Ask##kind, handle)}, \
  {#kind ".generation", AskKind::kind, offsetof(Ask##kind, handle) + offsetof(Handle, generation)}
constexpr Field fields[] = {
    FIELD(Ready, zero),   FIELD(Scan, owner),    FIELD(Scan, create), FIELD(Scan, zero),  FIELD(Listen, owner),
    FIELD(Slot, owner),   FIELD(Slot, cookie),   FIELD(Slot, zero),   FIELD(Free, zero),  HANDLE(Free),
    HANDLE(Remember),     FIELD(Start, target), HANDLE(Start),     FIELD(Start, book),
    FIELD(Start, entry),  FIELD(Start, flags),   FIELD(Signal, signal), HANDLE(Signal),   FIELD(Signal, scope),
    FIELD(Signal, zero),  FIELD(Done, zero),     FIELD(Start, instance), FIELD(Start, zero),
    FIELD(Bind, target),  HANDLE(Bind),          FIELD(Bind, flags),  FIELD(Bind, instance), FIELD(Bind, count),
    FIELD(Unbind, zero),  HANDLE(Unbind),        FIELD(Command, target), HANDLE(Command),  FIELD(Command, instance),
    FIELD(Command, command), FIELD(Command, zero), FIELD(Lend, reader), HANDLE(Lend),    FIELD(Lend, instance),
    FIELD(Record, at),    HANDLE(Record),
    // Family and, above it, port of the first socket; its address; and a socket beyond the count.
    {"Bind.socket", AskKind::Bind, offsetof(AskBind, sockets)},
    {"Bind.address", AskKind::Bind, offsetof(AskBind, sockets) + offsetof(SocketSpec, address)},
    {"Bind.second", AskKind::Bind, offsetof(AskBind, sockets) + sizeof(SocketSpec)},
    {"Bind.last", AskKind::Bind, offsetof(AskBind, sockets) + max_sockets * sizeof(SocketSpec) - 4},
};

// early KIND: before it is ready
void early(Known &known, const Words &words) { put(large, sound(known, number(known, words[1]), large)); }

// kind NUMBER: one that does not exist
void kind(Known &known, const Words &words) {
  get_ready(known);
  const std::uint32_t it[2] = {number(known, words[1]), 0};
  put(it, sizeof it);
}

// again: ready twice
void again(Known &known, const Words &) {
  get_ready(known);
  ask(AskReady{AskKind::Ready, 0});
}

// length KIND MORE: of so many bytes more or less
void length(Known &known, const Words &words) {
  const std::uint32_t which = number(known, words[1]);
  prepare(known, which);
  const auto size = static_cast<long long>(sound(known, which, large));
  put(large, static_cast<std::size_t>(size + std::strtoll(words[2], nullptr, 0)));
}

// bytes SIZE: zeros, the first message of all
void bytes(Known &, const Words &words) { put(large, std::strtoul(words[1], nullptr, 0)); }

// attach KIND HOW-MANY [MESSAGES]: its own end of the socket so many times, with each of so many sound messages
void attach(Known &known, const Words &words) {
  const std::uint32_t which = number(known, words[1]);
  prepare(known, which);
  int descriptors[250];
  for (int &it : descriptors) it = worker_socket_fd;
  const std::size_t size = sound(known, which, large);
  for (int i = 0; i < 1 || i < std::atoi(words[3]); i++) put(large, size, descriptors, number(known, words[2]), false);
}

// field NAME VALUE [OWNER]: a sound message for OWNER's place (david's), but for that field
void field(Known &known, const Words &words) {
  if (std::strcmp(words[1], "Ready.zero") != 0) {
    get_ready(known);
    get_place(known, words[3][0] != '\0' ? words[3] : "david");
  }
  for (const Field &it : fields)
    if (std::strcmp(it.name, words[1]) == 0) {
      const std::size_t size = sound(known, static_cast<std::uint32_t>(it.kind), large);
      const std::uint32_t value = number(known, words[2]);
      std::memcpy(large + it.at, &value, sizeof value);
      put(large, size);
      return;
    }
  say("no such field", 0);
}

// stale KIND again|never: a handle whose place was given back, and perhaps given out again
void stale(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, "david");
  const Handle old = known.handle;
  ask(AskFree{AskKind::Free, 0, old});
  if (std::strcmp(words[2], "again") == 0) get_place(known, "david");
  known.handle = old;
  put(large, sound(known, number(known, words[1]), large));
}

// twice OWNER: two places at once, of one who may have none
void twice(Known &known, const Words &words) {
  get_ready(known);
  const AskSlot it{AskKind::Slot, number(known, words[1]), 77, 0, {}};
  for (;;) ask(it);
}

// A policy in which amy may run daemons as www-data, and everybody has been given more.
std::size_t forge_policy(const Known &known) {
  const ssize_t size = pread(worker_policy_fd, large, sizeof large, 0);
  auto *header = reinterpret_cast<PolicyHeader *>(large);
  auto *users = reinterpret_cast<PolicyUser *>(header + 1);
  auto *pairs = reinterpret_cast<PolicyPair *>(users + header->users);
  for (std::uint32_t i = 0; i < header->users; i++) users[i].flags |= user_runs, users[i].limits = {9999, 1U << 30, 9999, 9999};
  for (std::uint32_t i = 0; i < header->pairs; i++)
    if (pairs[i].first == known.policy.find_name("amy")) pairs[i].second = known.policy.find_name("www-data");
  return static_cast<std::size_t>(size);
}

// policy KIND: as a sealed file with a sound message; policy bytes: as the message itself; policy write: into its own copy
void policy(Known &known, const Words &words) {
  const std::size_t size = forge_policy(known);
  if (std::strcmp(words[1], "write") == 0) {
    int done = pwrite(worker_policy_fd, large, size, 0) > 0;
    done += ftruncate(worker_policy_fd, 0) == 0 || ftruncate(worker_policy_fd, 1 << 20) == 0;
    done += mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, worker_policy_fd, 0) != MAP_FAILED;
    done += fallocate(worker_policy_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
    done += fcntl(worker_policy_fd, F_ADD_SEALS, 0) == 0;
    return say("changed the policy", done);
  }
  if (std::strcmp(words[1], "bytes") == 0) {
    get_ready(known);
    put(large, size);
    return;
  }
  const int file = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (write(file, large, size) != static_cast<ssize_t>(size)) return say("no such field", 0);
  fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  const std::uint32_t which = number(known, words[1]);
  prepare(known, which);
  put(large, sound(known, which, large), &file, 1);
}

// after: one bad message, and right behind it a KILL for every daemon
void after(Known &known, const Words &) {
  get_ready(known);
  const std::uint32_t wrong[2] = {ask_kinds, 0};
  put(wrong, sizeof wrong);
  for (int i = 0; i < known.count; i++)
    for (const Scope scope : {Scope::main, Scope::tree})
      ask(AskSignal{AskKind::Signal, SIGKILL, known.places[i].handle, scope, 0, {}});
}

}  // namespace

const Deed wrong_messages[] = {{"early", early},   {"kind", kind},   {"again", again}, {"length", length}, {"bytes", bytes},
                               {"attach", attach}, {"field", field}, {"stale", stale}, {"twice", twice},   {"policy", policy},
                               {"after", after},   {nullptr, nullptr}};

}  // namespace hostile
