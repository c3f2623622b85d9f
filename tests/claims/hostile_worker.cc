// The hostile worker's way to talk to the monitor, and the order that it follows.
#include "hostile_worker.hh"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace hostile {
namespace {

// The test finds it by its beginning and overwrites it: up to four words.
volatile char order[128] = "@@order of the hostile worker@@";

const Deed *find(const Deed *deeds, const char *name) {
  for (; deeds->name != nullptr; deeds++)
    if (std::strcmp(deeds->name, name) == 0) return deeds;
  return nullptr;
}

bool map_policy(Known &known) {
  struct stat status;
  if (fstat(worker_policy_fd, &status) != 0) return false;
  const auto size = static_cast<std::size_t>(status.st_size);
  const void *map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, worker_policy_fd, 0);
  return map != MAP_FAILED && check_policy(map, size, known.policy);
}

}  // namespace

void say(const char *text, long long value) {
  char line[160];
  const int size = std::snprintf(line, sizeof line, "hostile: %s %lld\n", text, value);
  (void)!write(worker_log_fd, line, static_cast<std::size_t>(size));
}

void wait_for_the_end() {
  for (;;) pause();
}

std::uint32_t number(const Known &known, const char *word) {
  if (word[0] == '-' || (word[0] >= '0' && word[0] <= '9')) return static_cast<std::uint32_t>(std::strtoll(word, nullptr, 0));
  if (std::string_view(word) == "next") return known.handle.slot + 1;
  return std::string_view(word) == "count" ? known.policy.count() : known.policy.find_name(word);
}

bool put(const void *bytes, std::size_t size, const int *descriptors, std::size_t count, bool wait) {
  iovec part{const_cast<void *>(bytes), size};
  alignas(cmsghdr) char control[CMSG_SPACE(250 * sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (count > 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr *item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(item), descriptors, count * sizeof(int));
  }
  for (;;) {
    if (sendmsg(worker_socket_fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno != EAGAIN || !wait) return false;
    usleep(1000);
  }
}

std::size_t take(std::uint8_t (&bytes)[max_message], bool wait) {
  for (;;) {
    const ssize_t size = recv(worker_socket_fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size > 0) return static_cast<std::size_t>(size);
    if (size == 0 || errno != EAGAIN) wait_for_the_end();
    if (!wait) return 0;
    usleep(500);
  }
}

void wait_tell(TellKind kind, void *out, std::size_t wanted) {
  for (;;) {
    std::uint8_t bytes[max_message];
    const std::size_t size = take(bytes);
    if (size == wanted && std::memcmp(bytes, &kind, sizeof kind) == 0) {
      std::memcpy(out, bytes, wanted);
      return;
    }
  }
}

void get_ready(Known &known) {
  ask(AskReady{AskKind::Ready, 0});
  for (;;) {
    std::uint8_t bytes[max_message];
    const std::size_t size = take(bytes);
    TellKind kind;
    std::memcpy(&kind, bytes, sizeof kind);
    if (kind == TellKind::Replayed) return;
    if (kind != TellKind::Slot || size != sizeof(TellSlot) || known.count == most_places) continue;
    TellSlot tell;
    std::memcpy(&tell, bytes, sizeof tell);
    known.places[known.count++] = {tell.handle, tell.owner, tell.target, tell.state, tell.sockets, tell.memo};
  }
}

void get_place(Known &known, const char *owner) {
  constexpr std::uint32_t cookie = 77;
  known.owner = number(known, owner);
  ask(AskScan{AskKind::Scan, known.owner, 0, 0});
  TellBook book{};
  do book = wait_tell<TellBook>(TellKind::Book);
  while (book.owner != known.owner);
  known.book = book.generation;
  ask(AskSlot{AskKind::Slot, known.owner, cookie, 0, {}});
  TellSlot slot{};
  do slot = wait_tell<TellSlot>(TellKind::Slot);
  while (slot.cookie != cookie);
  known.handle = slot.handle;
}

AskStart start_of(const Known &known, std::uint32_t entry, std::uint32_t target) {
  return {AskKind::Start, target, known.handle, known.book, entry, 0, 0, 0, {}};
}

AskBind bind_of(const Known &known, std::uint32_t entry, std::uint32_t target) {
  AskBind it{AskKind::Bind, target, known.handle, known.book, entry, 0, 0, 1, {}, {}};
  it.sockets[0].family = Family::local;
  return it;
}

AskCommand command_of(const Known &known, std::uint32_t entry, std::uint32_t target, Command command) {
  return {AskKind::Command, target, known.handle, known.book, entry, 0, command, 0, {}};
}

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
    case AskKind::Bind: return copy(bind_of(known, 0, known.owner));
    case AskKind::Unbind: return copy(AskUnbind{AskKind::Unbind, 0, known.handle});
    case AskKind::Command: return copy(command_of(known, 0, known.owner, Command::stop));
    case AskKind::Lend: return copy(AskLend{AskKind::Lend, known.owner, known.handle, known.book, 0, 0});
    case AskKind::Record: return copy(AskRecord{AskKind::Record, 0, known.handle, {}});
  }
  return copy(kind);
}

void prepare(Known &known, std::uint32_t kind) {
  if (kind != static_cast<std::uint32_t>(AskKind::Ready)) get_ready(known);
  if (kind >= static_cast<std::uint32_t>(AskKind::Free)) get_place(known, "david");
}

}  // namespace hostile

int main() {
  using namespace hostile;
  char text[sizeof order];
  for (std::size_t i = 0; i < sizeof order; i++) text[i] = order[i];
  Words words = {};
  std::sscanf(text, "%39s %39s %39s %39s", words[0], words[1], words[2], words[3]);
  Known known;
  if (!map_policy(known)) return 1;
  known.owner = known.policy.find_name("david");
  const Deed *deed = find(wrong_messages, words[0]);
  if (deed == nullptr) deed = find(evil_deeds, words[0]);
  if (deed == nullptr) deed = find(socket_deeds, words[0]);
  if (deed != nullptr) deed->go(known, words);
  else say("no such order", 0);
  wait_for_the_end();
}
