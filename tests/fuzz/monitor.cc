// The monitor under a worker that was taken over: its datagrams, and whatever children, clock, root and kernel do meanwhile.
// src/monitor runs as it is, from its loop on; each step of the fuzzer's is taken where the loop waits.
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <bit>
#include <csignal>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "monitor_world.hh"
#include "policies.hh"

namespace dm::fuzz {
namespace {

using monitor::WorkerState;

constexpr pid_t no_kid = 6'000'000;  // an orphan that came to the monitor

// What the fuzzer's first byte asks for: others that do what they should, so that a few bytes lead far.
enum Helpful : std::uint8_t { good_worker = 1, good_helpers = 2, good_reader = 4 };

struct Watch {
  std::uint8_t helpful = 0;
  bool begun = false;
  pid_t condemned = 0;  // the worker said what must end it
  unsigned acts = 0;    // with daemons, before that
  std::vector<std::uint32_t> generations{};              // of each slot, when it was last somebody's
  std::vector<bool> used{};
  std::map<std::uint32_t, std::uint32_t> places{};       // of each owner
};
Watch watched;

// ---- what holds after each step ----
void check_slots(const World &w) {
  const monitor::Monitor &it = w.it;
  std::map<std::uint32_t, std::uint32_t> places;
  std::uint32_t alive = 0;
  must(it.table.high <= max_slots && it.table.header->high == it.table.high, "the table knows how far it is used");
  watched.used.resize(w.most_slots);
  watched.generations.resize(w.most_slots);
  for (std::uint32_t i = 0; i < w.most_slots; i++) {
    const monitor::Slot &slot = it.table.slots[i];
    const bool used = slot.state != SlotState::free, runs = slot.state == SlotState::starting || slot.state == SlotState::running;
    must(static_cast<std::uint32_t>(slot.state) < slot_states && (!used || i < it.table.high), "places are sound");
    must(!used || watched.used[i] || slot.generation != watched.generations[i], "a handle is issued once");
    must(!used || !watched.used[i] || slot.generation == watched.generations[i], "a place keeps its handle");
    watched.used[i] = used;
    if (used) watched.generations[i] = slot.generation, places[slot.owner_uid]++;
    if (runs || slot.state == SlotState::draining) alive++;
    const monitor::Running &held = it.running[i];
    if (held.listen.pid != 0 && !held.listen.told) alive++;
    must(used || (held.listen.pid == 0 && held.command == 0 && !held.notify), "nothing is under way for a place that is nobody's");
    must(slot.sockets <= max_sockets && (used || slot.sockets == 0), "a place has no more sockets than there can be");
    for (std::uint32_t j = 0; j < max_sockets; j++)
      must(static_cast<bool>(held.sockets[j]) == (j < slot.sockets) || held.listen.pid != 0, "a place holds the sockets that it has");
    must(!runs || w.find("dm-run", i) == slot.pid, "what runs is a child");
    must(slot.state != SlotState::idle || !w.groups.contains(slot.pid), "nothing is left of what does not run");
  }
  must(alive == it.alive, "the monitor knows how many daemons there are");
  for (std::uint32_t i = 0; i < it.policy.count(); i++) {
    if (!it.owners[i].in_use) continue;
    const std::uint32_t uid = it.owners[i].uid, now = places.contains(uid) ? places[uid] : 0;
    must(now == it.owners[i].places, "the monitor knows how many places an owner has");
    must(now <= watched.places[uid] || now <= it.policy.users[i].limits.daemons, "nobody gets more places than his limit");
  }
  watched.places = std::move(places);
}

void check_worker(const World &w) {
  const monitor::Worker &worker = w.it.worker;
  const auto his = w.kids.find(worker.pid);
  if (watched.condemned != 0) {
    const auto condemned = w.kids.find(watched.condemned);
    must(condemned == w.kids.end() || condemned->second.killed, "a worker that says what it must not is killed");
    must(worker.pid != watched.condemned || worker.state == WorkerState::none || !worker.socket, "nothing more is taken from it");
    must(w.daemon_acts == watched.acts, "and nothing is done to any daemon");
  }
  watched.condemned = 0;
  if (worker.state == WorkerState::none) {
    must(!worker.socket && worker.told == 0, "nothing is left of a worker that was ended");
    must(worker.pid == 0 || (his != w.kids.end() && his->second.killed), "a worker that was ended is killed");
  } else {
    must(worker.pid > 0, "a worker that serves is a process");
  }
  std::uint32_t dirty = 0;
  for (std::uint32_t i = 0; i < monitor::dirty_bits / 64; i++) dirty += static_cast<std::uint32_t>(std::popcount(w.it.dirty[i]));
  must(dirty == w.it.dirty_count, "the monitor knows how much it has to tell");
}

void find_policy(World &w) {
  const std::string_view now(reinterpret_cast<const char *>(w.it.policy.header), w.it.policy_size);
  for (w.policy = 0; w.policy < policy_count && now != policy_bytes(w.policy);) w.policy++;
}

// ---- what the worker says ----
// All but the ranges of single fields: kind, length, time, and a handle that was issued and is current.
bool sound(const World &w, std::string_view bytes, WorkerState state) {
  std::uint32_t kind = ask_kinds;
  std::memcpy(&kind, bytes.data(), std::min(bytes.size(), sizeof kind));
  if (bytes.size() < sizeof kind || kind >= ask_kinds || bytes.size() != ask_sizes[kind]) return false;
  if ((static_cast<AskKind>(kind) == AskKind::Ready) != (state == WorkerState::starting)) return false;
  static_assert(offsetof(AskFree, handle) == 8 && offsetof(AskRemember, handle) == 8 && offsetof(AskStart, handle) == 8 &&
                offsetof(AskSignal, handle) == 8 && offsetof(AskBind, handle) == 8 && offsetof(AskUnbind, handle) == 8 &&
                offsetof(AskCommand, handle) == 8 && offsetof(AskLend, handle) == 8 && offsetof(AskRecord, handle) == 8);
  const auto asked = static_cast<AskKind>(kind);
  if (asked < AskKind::Free || asked == AskKind::Done) return true;
  Handle handle;
  std::memcpy(&handle, bytes.data() + 8, sizeof handle);
  return handle.slot < w.most_slots && watched.used[handle.slot] && watched.generations[handle.slot] == handle.generation;
}

void say(World &w, std::string_view bytes, unsigned attached = 0) {
  const WorkerState state = w.it.worker.state;
  int unread = 0;
  ::ioctl(w.worker.get(), SIOCOUTQ, &unread);
  std::array<int, 4> fds;
  fds.fill(w.it.lock.get());
  const bool harmless = attached == 0 && sound(w, bytes, state);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
  iovec part{const_cast<char *>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (attached != 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(attached * sizeof(int));
    cmsghdr *item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(attached * sizeof(int));
    std::memcpy(CMSG_DATA(item), fds.data(), attached * sizeof(int));
  }
  const bool taken = ::sendmsg(w.worker.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
  if (!taken || harmless || unread != 0 || state == WorkerState::none || !w.it.worker.socket) return;
  watched.condemned = w.it.worker.pid;
  watched.acts = w.daemon_acts;
}

// A message of a known kind and its exact length; what the fuzzer gives goes to its fields, the rest is zero.
std::string compose(Input &input) {
  const std::uint32_t kind = input.byte() % ask_kinds;
  std::string bytes(ask_sizes[kind], '\0');
  std::memcpy(bytes.data(), &kind, sizeof kind);
  const std::string_view fields = input.text().substr(0, bytes.size() - sizeof kind);
  bytes.replace(sizeof kind, fields.size(), fields);
  return bytes;
}

void hear(World &w) {
  for (;;) {
    std::uint8_t bytes[max_message + 1];
    alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
    iovec part{bytes, sizeof bytes};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t size = w.worker ? ::recvmsg(w.worker.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) : -1;
    if (size <= 0) return;
    Fd attached;
    if (const cmsghdr *item = CMSG_FIRSTHDR(&header); item != nullptr) {
      int fd;
      must(item->cmsg_len == CMSG_LEN(sizeof fd), "the monitor attaches one descriptor at most");
      std::memcpy(&fd, CMSG_DATA(item), sizeof fd);
      attached = Fd(fd);
    }
    std::uint32_t kind = tell_kinds;
    std::memcpy(&kind, bytes, sizeof kind);
    must(kind < tell_kinds && static_cast<std::size_t>(size) == tell_sizes[kind], "what the monitor tells is whole");
    TellBook book;
    TellListener listener;
    std::memcpy(&book, bytes, sizeof book);
    std::memcpy(&listener, bytes, sizeof listener);
    bool wanted = false;
    if (book.kind == TellKind::Book) wanted = book.result == BookResult::ok;
    if (book.kind == TellKind::Notify) wanted = true;
    if (listener.kind == TellKind::Listener) wanted = listener.result == static_cast<int>(ListenExit::done);
    must(static_cast<bool>(attached) == wanted, "books and sockets come where they are announced, and only there");
  }
}

// ---- what children do ----
void fill(const Fd &file, std::string_view bytes, bool seal) {
  (void)!::pwrite(file.get(), bytes.data(), bytes.size(), 0);
  if (seal) ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
}

void end_policy(World &w, unsigned which, bool seal, int status) {
  const pid_t pid = w.find("dm-policy");
  if (pid == 0) return;
  fill(w.kids[pid].second, which < policy_count ? policy_bytes(which) : w.input.bytes(w.input.number<std::uint16_t>()), seal);
  w.end(pid, CLD_EXITED, status);
}

void end_scan(World &w, bool seal, bool big, int code, int status) {
  const pid_t pid = w.find("dm-scan");
  if (pid == 0) return;
  for (const Fd *file : {&w.kids[pid].first, &w.kids[pid].second}) {
    if (big) (void)!::ftruncate(file->get(), 4 << 20);
    fill(*file, "book", seal);
  }
  w.end(pid, code, status);
}

void report(World &w, std::uint32_t slot, std::string_view bytes) {
  const pid_t pid = w.find("dm-run", slot);
  if (pid == 0) return;
  if (!bytes.empty() && w.kids[pid].first) (void)!::write(w.kids[pid].first.get(), bytes.data(), bytes.size());
  w.kids[pid].first.reset();
}

void end_child(World &w) {
  constexpr const char *programs[] = {"dm-run", "dm-scan", "dm-listen", "dm-log", "dm-worker", "dm-policy", "daemon-manager",
                                      "dm-listen bind", "dm-listen remove", "dm-run stop", "dm-run reload"};
  const char *program = programs[w.input.byte() % std::size(programs)];
  const std::uint8_t how = w.input.byte(), status = w.input.byte();
  const int code = (how & 1) == 0 ? CLD_EXITED : CLD_KILLED;
  if (std::string_view(program) == "dm-policy") return end_policy(w, how >> 1, (how & 1) == 0, status);
  if (std::string_view(program) == "dm-scan") return end_scan(w, (how & 2) == 0, (how & 4) != 0, code, status);
  const pid_t pid = w.find(program, how >> 1);
  if (pid != 0) w.end(pid, code, status);
}

void empty_group(World &w) {
  const std::uint8_t which = w.input.byte();
  unsigned at = 0;
  for (const pid_t group : w.groups)
    if (at++ == which % w.groups.size() && !w.kids.contains(group)) {
      w.groups.erase(group);
      return;
    }
}

// A worker that is there is ready before it says anything else; where there is none, the next one's time comes.
bool make_ready(World &w) {
  const monitor::Worker &worker = w.it.worker;
  if (worker.pid == 0 && w.it.policy.header != nullptr && worker.start_at > w.now_ms) return w.now_ms = worker.start_at, true;
  if (worker.state != WorkerState::starting) return false;
  const AskReady ready{AskKind::Ready, 0};
  return say(w, {reinterpret_cast<const char *>(&ready), sizeof ready}), true;
}

// Those who do what they should. One end a step: a signal tells of it.
void help(World &w) {
  if ((watched.helpful & good_reader) != 0) hear(w);
  for (const auto &[pid, kid] : w.kids)
    if (kid.killed && !w.ended) return w.groups.erase(pid), w.end(pid, CLD_KILLED, SIGKILL);
  if ((watched.helpful & good_helpers) == 0 || w.ended) return;
  for (const auto &[pid, kid] : w.kids)
    if (kid.program == "dm-run" && kid.first) return report(w, kid.slot, {});
  if (w.find("dm-scan") != 0) return end_scan(w, true, false, CLD_EXITED, 0);
  for (const char *program : {"dm-listen", "dm-listen bind", "dm-listen remove", "dm-run stop", "dm-run reload"})
    if (const pid_t pid = w.find(program); pid != 0) return w.end(pid, CLD_EXITED, 0);
}

void act(World &w) {
  constexpr std::array<std::uint32_t, 8> pauses{1, 100, 250, 1'000, 5'001, 10'001, 60'001, 3'600'000};
  constexpr int signals[] = {SIGHUP, SIGUSR2, SIGTERM, SIGCHLD};
  Input &input = w.input;
  switch (input.byte() % 14) {
    case 0: case 1: return say(w, compose(input));
    case 2: return say(w, input.text());
    case 3: return say(w, compose(input), 1 + input.byte() % 4);
    case 4: return hear(w);
    case 5: return w.ended ? void() : end_child(w);
    case 6: {
      const std::uint8_t slot = input.byte();
      return report(w, slot, input.text());
    }
    case 7: w.now_ms += pauses.at(input.byte() % pauses.size()); return;
    case 8: return w.signal(signals[input.byte() % std::size(signals)]);
    case 9: w.no_forks = true; return;
    case 10: return w.groups.empty() ? void() : empty_group(w);
    case 11: {
      const std::string bytes = compose(input);
      for (unsigned i = input.byte() * 4U; i > 0; i--) say(w, bytes);
      return;
    }
    case 12: return w.worker.reset();
    case 13: return w.ended ? void() : w.end(no_kid, CLD_EXITED, 0);
  }
}

}  // namespace

bool step(World &w) {
  w.most_slots = std::max(w.most_slots, w.it.table.high);
  find_policy(w);
  check_slots(w);
  check_worker(w);
  if (!std::exchange(watched.begun, true)) return end_policy(w, watched.helpful >> 4 & 3, true, 0), true;
  if (w.input.empty()) return false;
  if ((watched.helpful & good_worker) == 0 || !make_ready(w)) act(w);
  if (!w.ended) help(w);
  return true;
}

}  // namespace dm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace dm;
  const auto first_free = [] {
    const Fd next(::dup(2));
    return next.get();
  };
  static const auto opens_what_stays_open = std::make_unique<fuzz::World>(fuzz::Input(nullptr, 0))->last_pid;
  (void)opens_what_stays_open;
  const int free = first_free();
  fuzz::Input input(data, size);
  fuzz::watched = fuzz::Watch{.helpful = input.byte()};
  {
    fuzz::World world(input);
    monitor::run(world.it);
  }
  fuzz::must(first_free() == free, "every descriptor is closed at the end");
  return 0;
}
