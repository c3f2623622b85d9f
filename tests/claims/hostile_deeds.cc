// What the hostile worker does with messages that nothing is wrong with, and without any. Above each: its order.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>

#include "hostile_worker.hh"
#include "lib/history.hh"
#include "lib/helper.hh"

namespace hostile {

AskSignal signal_of(const Handle &handle, int number, Scope scope) {
  return {AskKind::Signal, number, handle, scope, 0, {}};
}

TellSlot wait_slot(const Handle &handle) {
  TellSlot tell{};
  do tell = wait_tell<TellSlot>(TellKind::Slot);
  while (!(tell.handle == handle));
  return tell;
}

namespace {

// start OWNER ENTRY TARGET: says what became of it
void start(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, words[1]);
  ask(start_of(known, number(known, words[2]), number(known, words[3])));
  for (;;) {
    const TellSlot tell = wait_slot(known.handle);
    if (tell.refusal != Refusal::none) say("refused", static_cast<long long>(tell.refusal));
    if (is_failure(tell.report.stage)) say("failed at stage", static_cast<long long>(tell.report.stage));
    if (tell.state == SlotState::running) say("runs", tell.pid);
  }
}

// old OWNER: a book that there never was
void old(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, words[1]);
  known.book += 1;
  ask(start_of(known, 0, known.owner));
  say("refused", static_cast<long long>(wait_slot(known.handle).refusal));
}

// foreign: in amy's place an entry of david's book, and one of her own
void foreign(Known &known, const Words &) {
  get_ready(known);
  get_place(known, "david");
  const std::uint64_t his = known.book;
  get_place(known, "amy");
  const std::uint64_t hers = known.book;
  for (std::uint32_t entry = 0; entry < 3; entry++) {
    known.book = his;
    ask(start_of(known, entry, known.owner));
    const TellSlot tell = wait_slot(known.handle);
    say("of david's book refused", static_cast<long long>(tell.refusal));
  }
  known.book = hers;
  TellSlot tell{};
  do {
    if (tell.refusal == Refusal::throttled) usleep(50'000);
    ask(start_of(known, 0, known.owner));
    do tell = wait_slot(known.handle);
    while (tell.state == SlotState::starting);
  } while (tell.state != SlotState::running);
  say("of her own runs", 1);
}

// running: all that can be asked about the daemons that run, but for what would end them
void running(Known &known, const Words &) {
  get_ready(known);
  for (int i = 0; i < known.count; i++) {
    const Place &place = known.places[i];
    if (place.state != SlotState::running) continue;
    ask(AskFree{AskKind::Free, 0, place.handle});
    for (const int harmless : {SIGWINCH, SIGCONT, SIGURG})
      for (const Scope scope : {Scope::main, Scope::tree, Scope::log})
        ask(AskSignal{AskKind::Signal, harmless, place.handle, scope, 0, place.memo});
    ask(AskScan{AskKind::Scan, place.owner, 0, 0});
    known.book = wait_tell<TellBook>(TellKind::Book).generation;
    ask(AskStart{AskKind::Start, place.owner, place.handle, known.book, 0, 0, 0, 0, place.memo});
    say("refused", static_cast<long long>(wait_slot(place.handle).refusal));
  }
  say("asked of all", known.count);
}

// loan HOW-MANY: david's log, to the helpdesk
void loan(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, "david");
  const std::uint32_t reader = number(known, "helpdesk");
  for (int left = std::atoi(words[1]); left > 0; left--) ask(AskLend{AskKind::Lend, reader, known.handle, known.book, static_cast<std::uint32_t>(left % 5), 0});
  say("lends at", known.handle.slot);
}

// stopping KIND|all: that kind, or all that may be sent then, once everything shall be stopped
void stopping(Known &known, const Words &words) {
  prepare(known, static_cast<std::uint32_t>(AskKind::Done));
  say("waits", 0);
  wait_tell<TellShutdown>(TellKind::Shutdown);
  std::uint8_t out[max_message];
  if (std::strcmp(words[1], "all") != 0) {
    put(out, sound(known, number(known, words[1]), out));
    return;
  }
  ask(start_of(known, 0, known.owner));
  say("refused", static_cast<long long>(wait_slot(known.handle).refusal));
  for (const AskKind kind : {AskKind::Scan, AskKind::Listen, AskKind::Signal, AskKind::Remember, AskKind::Free, AskKind::Slot, AskKind::Bind, AskKind::Unbind,
                            AskKind::Command, AskKind::Lend, AskKind::Record, AskKind::Done})
    put(out, sound(known, static_cast<std::uint32_t>(kind), out));
}

// signals: every one of them to a place in which nothing runs yet, and to one whose daemon has ended
void signals(Known &known, const Words &) {
  get_ready(known);
  get_place(known, "david");
  for (int i = 0; i < 2; i++) {
    for (int one = 1; one <= 64; one++)
      for (const Scope scope : {Scope::main, Scope::tree, Scope::log}) ask(signal_of(known.handle, one, scope));
    ask(start_of(known, 1, known.owner));
    while (wait_slot(known.handle).state != SlotState::running) {}
    ask(signal_of(known.handle, 64, i == 0 ? Scope::main : Scope::tree));
    TellSlot tell{};
    do tell = wait_slot(known.handle);
    while (tell.state != SlotState::idle);
    say("ended by", tell.end_status);
  }
}

// hoard OWNER: places until there are no more
void hoard(Known &known, const Words &words) {
  get_ready(known);
  known.owner = number(known, words[1]);
  for (long long many = 0;; many++) {
    ask(AskSlot{AskKind::Slot, known.owner, 77, 0, {}});
    std::uint8_t bytes[max_message];
    TellKind kind;
    do std::memcpy(&kind, (take(bytes), bytes), sizeof kind);
    while (kind != TellKind::NoSlot && kind != TellKind::Slot);
    if (kind == TellKind::NoSlot) return say("places:", many);
  }
}

// churn OWNER SECONDS: starts and kills as fast as it may; says how often it started
void churn(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, words[1]);
  timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  std::uint32_t runs = 0;
  do {
    ask(start_of(known, 0, known.owner));
    ask(signal_of(known.handle, SIGKILL, Scope::tree));
    runs = wait_slot(known.handle).runs;
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while (now.tv_sec - begin.tv_sec < std::atoi(words[2]));
  say("started so often:", runs);
}

// flood KIND read|deaf: sound messages without end
void flood(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, "david");
  std::uint8_t out[max_message];
  const std::size_t size = sound(known, number(known, words[1]), out);
  say("floods", 0);
  for (;;) {
    put(out, size, nullptr, 0, false);
    std::uint8_t in[max_message];
    if (std::strcmp(words[2], "read") == 0) (void)!recv(worker_socket_fd, in, sizeof in, MSG_DONTWAIT);
  }
}

// babble: lines for the log without end
void babble(Known &known, const Words &) {
  get_ready(known);
  for (;;) say("babbles and babbles and babbles and babbles and babbles and babbles and babbles", 0);
}

// close: its end of the socket, and lives on
void close_socket(Known &known, const Words &) {
  get_ready(known);
  close(worker_socket_fd);
}

// half read|write: closes one direction of the socket
void half(Known &known, const Words &words) {
  get_ready(known);
  shutdown(worker_socket_fd, std::strcmp(words[1], "read") == 0 ? SHUT_RD : SHUT_WR);
  ask(AskScan{AskKind::Scan, known.owner, 0, 0});
}

// history noise|lies|write SEED: what happened to daemons, as bytes of any kind, or as events with any numbers in them; or tries to
// write to the file itself
void history(Known &known, const Words &words) {
  get_ready(known);
  std::srand(static_cast<unsigned>(std::atoi(words[2])));
  const auto any = [] { return static_cast<std::uint32_t>(std::rand()) * 2654435761U; };
  int good = 0, all = 0;
  const auto put_event = [&](const HistoryEvent &event, std::uint32_t slot, std::uint32_t number) {
    all++;
    AskRecord it{AskKind::Record, number, {slot, 0}, {}};
    for (int i = 0; i < known.count; i++)
      if (known.places[i].handle.slot == slot) it.handle = known.places[i].handle, good++;
    std::memcpy(it.event.bytes, &event, sizeof event);
    ask(it);
  };
  if (std::strcmp(words[1], "write") == 0) {
    char byte = 0;
    const bool any_way = pwrite(worker_history_fd, &byte, 1, 0) == 1 || write(worker_history_fd, &byte, 1) == 1 || ftruncate(worker_history_fd, 0) == 0;
    return say("written to the history", any_way);
  }
  for (int i = 0; i < known.count && std::strcmp(words[1], "noise") == 0; i++)
    for (std::uint32_t number = 0; number < history_kept; number++)
      put_event({any(), any(), any(), any(), static_cast<std::uint16_t>(any()), static_cast<dm::Deed>(any() & 0xffU), static_cast<std::uint8_t>(any())},
                known.places[i].handle.slot, number);
  for (int i = 0; i < known.count && std::strcmp(words[1], "lies") == 0; i++)
    for (std::uint32_t number = 0; number < history_kept; number++)
      put_event({any(), any(), any(), known.places[i].handle.generation, static_cast<std::uint16_t>(any() % 3000U * history_kept + number),
                 static_cast<dm::Deed>(any() % (deeds + 2)), static_cast<std::uint8_t>(any())},
                known.places[i].handle.slot, number);
  say("wrote all of the history", all > 0 && good == all);
}

// end CODE: at once
void end(Known &known, const Words &words) { _exit(static_cast<int>(number(known, words[1]))); }

// idle: never ready
void idle(Known &, const Words &) {}

bool reaches_outside() {
  for (const char *path : {"/etc/passwd", "../../etc/passwd", "/proc/self/status", "/run/daemon-manager/state"})
    if (open(path, O_RDONLY) >= 0) return true;
  return mkdir("/x", 0700) == 0 || chmod("/", 0777) == 0 || chroot("/") == 0;
}

// look: says what it was born with
void look(Known &, const Words &) {
  uid_t real = 0, effective = 0, saved = 0;
  gid_t real_group = 0, effective_group = 0, saved_group = 0;
  getresuid(&real, &effective, &saved);
  getresgid(&real_group, &effective_group, &saved_group);
  say("one uid", real == effective && effective == saved ? real : -1);
  say("one gid", real_group == effective_group && effective_group == saved_group ? real_group : -1);
  say("groups", getgroups(0, nullptr));
  say("no new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  int capabilities = 0;
  for (int i = 0; i < 64; i++) capabilities += prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1;
  say("ambient capabilities", capabilities);
  say("became root", setuid(0) == 0 || seteuid(0) == 0 || setresuid(0, 0, 0) == 0 || setgid(0) == 0);
  say("signalled the monitor", kill(getppid(), 0) == 0);
  say("reached outside", reaches_outside());
  int entries = 0, open_ones = 0;
  if (DIR *dir = opendir("/"); dir != nullptr) {
    while (readdir(dir) != nullptr) entries++;
    closedir(dir);
  }
  say("entries in its root", entries);
  for (int fd = 0; fd < 4096; fd++) open_ones += fcntl(fd, F_GETFD) >= 0;
  say("descriptors", open_ones);
}

}  // namespace

const Deed evil_deeds[] = {{"start", start},   {"old", old},         {"foreign", foreign}, {"running", running}, {"stopping", stopping},
                           {"signals", signals}, {"loan", loan},     {"hoard", hoard},   {"churn", churn},     {"flood", flood},     {"babble", babble},
                           {"close", close_socket}, {"half", half},  {"end", end},         {"idle", idle},       {"look", look},
                           {"history", history},
                           {"forge", forge},   {"lie", lie},         {"fuzz", fuzz},       {nullptr, nullptr}};

}  // namespace hostile
