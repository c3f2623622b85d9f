// The worker's answers to clients and what it asks of the monitor, without either. No privilege.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

#include "worker/policy/writer.hh"
#include "worker/worker.hh"

namespace {

using namespace dm;
using namespace dm::worker;

// One owner, david, and root as a client.
struct World {
  std::string policy;
  Worker worker;
  Fd monitor, peer, null{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Client *root = nullptr;

  explicit World(bool resolved) {
    master::Rows rows;
    rows.users.push_back({{"david", 1000, 1000, "/home/david", "/bin/sh", {1000}}, user_runs | (resolved ? user_resolved : 0U), default_limits});
    rows.pairs.push_back({0, 0});
    policy = write_policy({}, rows);
    REQUIRE(check_policy(policy.data(), policy.size(), worker.policy));
    int ends[2], client_ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, client_ends) == 0);
    worker.log = Log(null.get(), LogSink::stream);
    worker.monitor = Fd(ends[0]);
    monitor = Fd(ends[1]);
    worker.epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
    worker.owners.resize(worker.policy.count());
    worker.by_slot.resize(max_slots);
    worker.replayed = true;
    auto client = std::make_unique<Client>();
    client->socket = Fd(client_ends[0]);
    peer = Fd(client_ends[1]);
    client->id = 1;
    client->asked = true;
    root = (worker.clients[1] = std::move(client)).get();
  }

  void add(const char *name, std::uint32_t slot) {
    auto daemon = std::make_unique<Daemon>();
    daemon->name = name;
    daemon->owner = 0;
    daemon->in_book = daemon->usable = daemon->placed = true;
    daemon->handle = {slot, 1};
    worker.by_slot[slot] = daemon.get();
    worker.owners[0].daemons[name] = std::move(daemon);
  }

  // What the client is sent, a letter a frame: row, outcome, text, end.
  std::string answer(const std::string &payload) {
    serve(worker, *root, payload);
    advance(worker, *root);
    char bytes[4096];
    const ssize_t size = ::recv(peer.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    std::string kinds;
    for (ssize_t at = 0; at + static_cast<ssize_t>(sizeof(FrameHeader)) <= size;) {
      FrameHeader header;
      std::memcpy(&header, bytes + at, sizeof header);
      kinds += " rote"[static_cast<unsigned>(header.kind) % 5];
      at += static_cast<ssize_t>(sizeof header + header.size);
    }
    return kinds;
  }

  std::vector<AskKind> asked() {
    std::vector<AskKind> kinds;
    char bytes[max_message];
    AskKind kind;
    while (::recv(monitor.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
      std::memcpy(&kind, bytes, sizeof kind);
      kinds.push_back(kind);
    }
    return kinds;
  }
};

std::string request(std::initializer_list<const char *> fields) {
  std::string payload;
  for (const char *field : fields) payload.append(field).push_back('\0');
  return payload;
}

// A sound book with one conf.
Fd book() {
  const std::string text = "dir=/\nstart=./x\n";
  BookEntry entry{};
  std::strcpy(entry.name, "late");
  entry.text_at = sizeof(BookHeader) + sizeof(BookEntry);
  entry.text_size = static_cast<std::uint32_t>(text.size());
  const BookHeader header{book_magic, BookProblem::none, 0, 0, 1, entry.text_at + entry.text_size};
  Fd file(::memfd_create("book", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), &header, sizeof header) == sizeof header);
  REQUIRE(::write(file.get(), &entry, sizeof entry) == sizeof entry);
  REQUIRE(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  return file;
}

}  // namespace

TEST_CASE("an answer does not end before all daemons that were asked about have theirs") {
  World world(true);
  world.add("bot", 0);
  world.add("web", 1);
  CHECK(world.answer(request({"stop", "", "", "bot", "web"})) == "ooe");
}

TEST_CASE("a daemon that runs is waited for behind one that has stopped already") {
  World world(true);
  world.add("bot", 0);
  world.add("web", 1);
  Daemon &web = *world.worker.owners[0].daemons["web"];
  web.state = State::running;
  web.slot_running = true;
  CHECK(world.answer(request({"stop", "", "", "bot", "web"})) == "o");
  CHECK(world.root->pending == 1);
}

TEST_CASE("nothing is asked of the monitor for an owner whom the name service does not know") {
  World world(false);
  world.add("web", 0);
  world.worker.owners[0].daemons["web"]->wanted = true;
  take_book(world.worker, {TellKind::Book, 0, BookResult::ok, 0, 1}, book());  // of a reading that was begun before
  CHECK(world.worker.owners[0].daemons.contains("late"));
  place_next(world.worker, 0);
  for (const char *verb : {"start", "restart"}) world.answer(request({verb, "", "", "david/late"}));
  for (const AskKind kind : world.asked())
    CHECK((kind == AskKind::Remember || kind == AskKind::Free));
  CHECK(world.root->pending == 0);
}

TEST_CASE("a place that is given back while the refusal of another is on its way is asked for again") {
  World world(true);
  Owner &owner = world.worker.owners[0];
  owner.scanned = true;
  world.add("old", 0);
  world.add("new", 1);
  Daemon &fresh = *owner.daemons["new"];
  fresh.placed = false;
  fresh.queued = fresh.wanted = true;
  world.worker.by_slot[1] = nullptr;
  owner.unplaced.push_back("new");
  owner.daemons["old"]->in_book = false;
  owner.daemons["old"]->state = State::stopping;
  place_next(world.worker, 0);
  CHECK(world.asked() == std::vector{AskKind::Slot});
  const TellNoSlot refusal{TellKind::NoSlot, 0, owner.slot_cookie, 0};

  TellSlot idle{};
  idle.kind = TellKind::Slot;
  idle.handle = {0, 1};
  idle.state = SlotState::idle;
  take_slot(world.worker, idle, true);
  CHECK(!owner.daemons.contains("old"));
  CHECK(world.asked().back() == AskKind::Free);
  REQUIRE(::send(world.monitor.get(), &refusal, sizeof refusal, 0) == sizeof refusal);
  receive(world.worker);
  CHECK(world.asked() == std::vector{AskKind::Slot});
  CHECK(fresh.usable);
}
