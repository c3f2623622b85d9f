// A worker that somebody has taken over, for test_taken_over.py, which writes what it shall do into `order` and puts it in
// dm-worker's place. It has the worker's uid, chroot and descriptors, but no filter: the worst that could stand there.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>

#include "lib/message.hh"
#include "lib/policy.hh"

namespace {

using namespace dm;

// The test finds it by its beginning and overwrites it: up to four words.
volatile char order[128] = "@@order of the hostile worker@@";

struct Known {
  Policy policy;
  std::uint32_t owner = 0;
  Handle handle{};
  std::uint64_t book = 0;
};

void say(const char *text, long long value) {
  char line[160];
  const int size = std::snprintf(line, sizeof line, "hostile: %s %lld\n", text, value);
  (void)!write(worker_log_fd, line, static_cast<std::size_t>(size));
}

[[noreturn]] void wait_for_the_end() {
  for (;;) pause();
}

bool put(const void *bytes, std::size_t size, int descriptors = 0, bool block = true) {
  iovec part{const_cast<void *>(bytes), size};
  alignas(cmsghdr) char control[CMSG_SPACE(250 * sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (descriptors > 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(static_cast<std::size_t>(descriptors) * sizeof(int));
    cmsghdr *item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(static_cast<std::size_t>(descriptors) * sizeof(int));
    for (int i = 0; i < descriptors; i++) std::memset(CMSG_DATA(item) + static_cast<std::size_t>(i) * sizeof(int), 0, sizeof(int));
  }
  for (;;) {
    if (sendmsg(worker_socket_fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno != EAGAIN || !block) return false;
    usleep(1000);
  }
}

template <typename Ask>
void ask(const Ask &it) { put(&it, sizeof it); }

// Reads on until a message of this kind comes; descriptors that come with it are dropped.
template <typename Tell>
Tell wait_tell(TellKind kind) {
  for (;;) {
    std::uint8_t bytes[max_message];
    const ssize_t size = recv(worker_socket_fd, bytes, sizeof bytes, 0);
    if (size < 0 && errno == EAGAIN) {
      usleep(500);
      continue;
    }
    if (size <= 0) wait_for_the_end();
    Tell tell;
    if (static_cast<std::size_t>(size) == sizeof tell) std::memcpy(&tell, bytes, sizeof tell);
    if (static_cast<std::size_t>(size) == sizeof tell && tell.kind == kind) return tell;
  }
}

std::uint32_t number(const Known &known, const char *word) {
  if (word[0] == '-' || (word[0] >= '0' && word[0] <= '9')) return static_cast<std::uint32_t>(std::strtoll(word, nullptr, 0));
  return std::string_view(word) == "count" ? known.policy.count() : known.policy.find_name(word);
}

void get_ready() {
  ask(AskReady{AskKind::Ready, 0});
  wait_tell<TellReplayed>(TellKind::Replayed);
}

// A book and a place of `owner`'s, as an honest worker gets them.
void get_place(Known &known, const char *owner) {
  known.owner = number(known, owner);
  ask(AskScan{AskKind::Scan, known.owner, 0, 0});
  known.book = wait_tell<TellBook>(TellKind::Book).generation;
  ask(AskSlot{AskKind::Slot, known.owner, 77, 0, {}});
  known.handle = wait_tell<TellSlot>(TellKind::Slot).handle;
}

AskStart start_of(const Known &known, std::uint32_t entry, std::uint32_t target) {
  return {AskKind::Start, target, known.handle, known.book, entry, 0, {}};
}

// A message of this kind that nothing is wrong with; returns its size.
std::size_t sound(const Known &known, std::uint32_t kind, std::uint8_t *out) {
  const auto copy = [out](const auto &it) { return std::memcpy(out, &it, sizeof it), sizeof it; };
  switch (static_cast<AskKind>(kind)) {
    case AskKind::Ready: return copy(AskReady{AskKind::Ready, 0});
    case AskKind::Scan: return copy(AskScan{AskKind::Scan, known.owner, 0, 0});
    case AskKind::Listen: return copy(AskListen{AskKind::Listen, known.owner});
    case AskKind::Slot: return copy(AskSlot{AskKind::Slot, known.owner, 78, 0, {}});
    case AskKind::Free: return copy(AskFree{AskKind::Free, 0, known.handle});
    case AskKind::Remember: return copy(AskRemember{AskKind::Remember, 0, known.handle, {}});
    case AskKind::Start: return copy(start_of(known, 0, known.owner));
    case AskKind::Signal: return copy(AskSignal{AskKind::Signal, SIGTERM, known.handle, Scope::main, 0, {}});
    case AskKind::Done: return copy(AskDone{AskKind::Done, 0});
  }
  return copy(kind);
}

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
    FIELD(Remember, zero), HANDLE(Remember),     FIELD(Start, target), HANDLE(Start),     FIELD(Start, book),
    FIELD(Start, entry),  FIELD(Start, flags),   FIELD(Signal, signal), HANDLE(Signal),   FIELD(Signal, scope),
    FIELD(Signal, zero),  FIELD(Done, zero),
};

using Words = char[4][40];

// early KIND: before it is ready
void early(Known &known, const Words &words) {
  std::uint8_t bytes[max_message];
  put(bytes, sound(known, number(known, words[1]), bytes));
}

// kind NUMBER: one that does not exist
void kind(Known &known, const Words &words) {
  get_ready();
  const std::uint32_t it[2] = {number(known, words[1]), 0};
  put(it, sizeof it);
}

// again: ready twice
void again(Known &, const Words &) {
  get_ready();
  ask(AskReady{AskKind::Ready, 0});
}

// length KIND MORE: of so many bytes more or less
void length(Known &known, const Words &words) {
  const std::uint32_t which = number(known, words[1]);
  if (which != 0) get_ready();
  if (which >= 4) get_place(known, "david");
  static std::uint8_t bytes[128 * 1024];
  const std::size_t size = sound(known, which, bytes);
  put(bytes, static_cast<std::size_t>(static_cast<long long>(size) + std::strtoll(words[2], nullptr, 0)));
}

// bytes SIZE: zeros, the first message of all
void bytes(Known &, const Words &words) {
  static const std::uint8_t zeros[128 * 1024] = {};
  put(zeros, std::strtoul(words[1], nullptr, 0));
}

// attach KIND HOW-MANY: descriptors with a sound message
void attach(Known &known, const Words &words) {
  const std::uint32_t which = number(known, words[1]);
  if (which != 0) get_ready();
  if (which >= 4) get_place(known, "david");
  std::uint8_t out[max_message];
  put(out, sound(known, which, out), static_cast<int>(number(known, words[2])));
}

// field NAME VALUE [OWNER]: a sound message for OWNER's place (david's), but for that field
void field(Known &known, const Words &words) {
  if (std::strcmp(words[1], "Ready.zero") != 0) {
    get_ready();
    get_place(known, words[3][0] != '\0' ? words[3] : "david");
  }
  for (const Field &it : fields)
    if (std::strcmp(it.name, words[1]) == 0) {
      std::uint8_t out[max_message];
      const std::size_t size = sound(known, static_cast<std::uint32_t>(it.kind), out);
      const std::uint32_t value = number(known, words[2]);
      std::memcpy(out + it.at, &value, sizeof value);
      put(out, size);
      return;
    }
  say("no such field", 0);
}

// stale KIND again|never: a handle whose place was given back, and perhaps given out again
void stale(Known &known, const Words &words) {
  get_ready();
  get_place(known, "david");
  const Handle old = known.handle;
  ask(AskFree{AskKind::Free, 0, old});
  if (std::strcmp(words[2], "again") == 0) get_place(known, "david");
  known.handle = old;
  std::uint8_t out[max_message];
  put(out, sound(known, number(known, words[1]), out));
}

// twice OWNER: two places at once, of one who may have none
void twice(Known &known, const Words &words) {
  get_ready();
  const AskSlot it{AskKind::Slot, number(known, words[1]), 77, 0, {}};
  put(&it, sizeof it);
  for (;;) put(&it, sizeof it);
}

// start OWNER ENTRY TARGET: says what became of it
void start(Known &known, const Words &words) {
  get_ready();
  get_place(known, words[1]);
  ask(start_of(known, number(known, words[2]), number(known, words[3])));
  for (;;) {
    const auto tell = wait_tell<TellSlot>(TellKind::Slot);
    if (tell.refusal != Refusal::none) say("refused", static_cast<long long>(tell.refusal));
    if (tell.report.stage != RunStage::none) say("failed at stage", static_cast<long long>(tell.report.stage));
    if (tell.state == SlotState::running) say("runs", tell.pid);
  }
}

// old OWNER: a book that there never was
void old(Known &known, const Words &words) {
  get_ready();
  get_place(known, words[1]);
  known.book += 1;
  ask(start_of(known, 0, known.owner));
  say("refused", static_cast<long long>(wait_tell<TellSlot>(TellKind::Slot).refusal));
}

// churn OWNER SECONDS: starts and kills as fast as it may; says how often it started
void churn(Known &known, const Words &words) {
  get_ready();
  get_place(known, words[1]);
  timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  std::uint32_t runs = 0;
  do {
    ask(start_of(known, number(known, "0"), known.owner));
    ask(AskSignal{AskKind::Signal, SIGKILL, known.handle, Scope::tree, 0, {}});
    runs = wait_tell<TellSlot>(TellKind::Slot).runs;
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while (now.tv_sec - begin.tv_sec < std::atoi(words[2]));
  say("started so often:", runs);
}

// flood KIND read|deaf: sound messages without end
void flood(Known &known, const Words &words) {
  get_ready();
  get_place(known, "david");
  std::uint8_t out[max_message];
  const std::size_t size = sound(known, number(known, words[1]), out);
  say("floods", 0);
  for (;;) {
    put(out, size, 0, false);
    std::uint8_t in[max_message];
    if (std::strcmp(words[2], "read") == 0) (void)!recv(worker_socket_fd, in, sizeof in, MSG_DONTWAIT);
  }
}

// close: its end of the socket, and lives on
void close_socket(Known &, const Words &) {
  get_ready();
  close(worker_socket_fd);
}

// end CODE: at once
void end(Known &known, const Words &words) { _exit(static_cast<int>(number(known, words[1]))); }

// idle: never ready
void idle(Known &, const Words &) {}

// forge SEED: places for david, with memos of noise, and then it is gone
void forge(Known &known, const Words &words) {
  get_ready();
  std::srand(number(known, words[1]));
  for (int i = 0; i < 40; i++) {
    get_place(known, "david");
    AskRemember it{AskKind::Remember, 0, known.handle, {}};
    for (std::uint8_t &byte : it.memo.bytes) byte = static_cast<std::uint8_t>(std::rand());
    // Half of them with a name that one of david's daemons has, and all else noise within reach.
    if (i % 2 == 0) {
      std::memset(it.memo.bytes, 0, 64);
      std::memcpy(it.memo.bytes, "web", 3);
      it.memo.bytes[64] = 1;
      for (int j = 65; j < 68; j++) it.memo.bytes[j] = static_cast<std::uint8_t>(std::rand() % 7);
    }
    ask(it);
  }
  say("forged", 40);
  usleep(50'000);
  _exit(0);
}

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
  void *map = mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, worker_policy_fd, 0);
  say("wrote the policy", map != MAP_FAILED || pwrite(worker_policy_fd, "x", 1, 0) == 1 || ftruncate(worker_policy_fd, 0) == 0);
}

struct Deed {
  const char *name;
  void (*go)(Known &, const Words &);
};
constexpr Deed deeds[] = {
    {"early", early}, {"kind", kind},   {"again", again}, {"length", length}, {"bytes", bytes},        {"attach", attach},
    {"field", field}, {"stale", stale}, {"twice", twice}, {"start", start},   {"old", old},            {"churn", churn},
    {"flood", flood}, {"end", end},     {"idle", idle},   {"forge", forge},   {"close", close_socket}, {"look", look},
};

}  // namespace

int main() {
  char text[sizeof order];
  for (std::size_t i = 0; i < sizeof order; i++) text[i] = order[i];
  Words words = {};
  std::sscanf(text, "%39s %39s %39s %39s", words[0], words[1], words[2], words[3]);
  Known known;
  struct stat status;
  if (fstat(worker_policy_fd, &status) != 0) return 1;
  const auto size = static_cast<std::size_t>(status.st_size);
  const void *map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, worker_policy_fd, 0);
  if (map == MAP_FAILED || !check_policy(map, size, known.policy)) return 1;
  known.owner = known.policy.find_name("david");
  for (const Deed &deed : deeds)
    if (std::strcmp(deed.name, words[0]) == 0) {
      deed.go(known, words);
      wait_for_the_end();
    }
  say("no such order", 0);
  wait_for_the_end();
}
