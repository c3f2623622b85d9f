// The worker's answers to clients and what it asks of the monitor, without either. No privilege.
#include <doctest/doctest.h>

#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

#include "bare_worker.hh"

namespace {

using namespace dm;
using namespace dm::worker;

// One owner, david, and root as a client.
struct World : BareWorker {
  explicit World(bool resolved) : BareWorker(rows_of({"david"}, user_runs | (resolved ? user_resolved : 0U))) {
    worker->replayed = true;
    come(0);
  }

  void add(const char *name, std::uint32_t slot) {
    auto daemon = std::make_unique<Daemon>();
    daemon->name = name;
    daemon->owner = 0;
    daemon->in_book = daemon->usable = daemon->placed = true;
    daemon->handle = {slot, 1};
    worker->by_slot[slot] = daemon.get();
    worker->owners[0].daemons[name] = std::move(daemon);
  }

  // What the client is sent, a letter a frame: row, outcome, text, end.
  std::string answer(const std::string &payload) {
    serve(*worker, *client, payload);
    advance(*worker, *client);
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
    std::uint8_t bytes[max_message];
    AskKind kind;
    while (next(bytes)) {
      std::memcpy(&kind, bytes, sizeof kind);
      kinds.push_back(kind);
    }
    return kinds;
  }
};

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
  Daemon &web = *world.worker->owners[0].daemons["web"];
  web.state = State::running;
  web.slot_running = true;
  CHECK(world.answer(request({"stop", "", "", "bot", "web"})) == "o");
  CHECK(world.client->pending == 1);
}

TEST_CASE("nothing is asked of the monitor for an owner whom the name service does not know") {
  World world(false);
  world.add("web", 0);
  world.worker->owners[0].daemons["web"]->wanted = true;
  take_book(*world.worker, {TellKind::Book, 0, BookResult::ok, 0, 1}, book_of({{"late", "dir=/\nstart=./x\n"}}));  // of a reading that was begun before
  CHECK(world.worker->owners[0].daemons.contains("late"));
  place_next(*world.worker, 0);
  for (const char *verb : {"start", "restart"}) world.answer(request({verb, "", "", "david/late"}));
  for (const AskKind kind : world.asked())
    CHECK((kind == AskKind::Remember || kind == AskKind::Free));
  CHECK(world.client->pending == 0);
}

TEST_CASE("a place that is given back while the refusal of another is on its way is asked for again") {
  World world(true);
  Owner &owner = world.worker->owners[0];
  owner.scanned = true;
  world.add("old", 0);
  world.add("new", 1);
  Daemon &fresh = *owner.daemons["new"];
  fresh.placed = false;
  fresh.queued = fresh.wanted = true;
  world.worker->by_slot[1] = nullptr;
  owner.unplaced.push_back("new");
  owner.daemons["old"]->in_book = false;
  owner.daemons["old"]->state = State::stopping;
  place_next(*world.worker, 0);
  CHECK(world.asked() == std::vector{AskKind::Slot});
  const TellNoSlot refusal{TellKind::NoSlot, 0, owner.slot_cookie, 0};

  TellSlot idle{};
  idle.kind = TellKind::Slot;
  idle.handle = {0, 1};
  idle.state = SlotState::idle;
  take_slot(*world.worker, idle, true);
  CHECK(!owner.daemons.contains("old"));
  CHECK(world.asked().back() == AskKind::Free);
  REQUIRE(::send(world.monitor.get(), &refusal, sizeof refusal, 0) == sizeof refusal);
  receive(*world.worker);
  CHECK(world.asked() == std::vector{AskKind::Slot});
  CHECK(fresh.usable);
}
