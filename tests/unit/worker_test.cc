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
  explicit World(bool resolved, const std::vector<std::string> &names = {"david"})
      : BareWorker(rows_of(names, user_runs | (resolved ? user_resolved : 0U))) {
    worker->replayed = true;
    come(0);
  }

  void add(const std::string &name, std::uint32_t slot, std::uint32_t owner = 0) {
    auto daemon = std::make_unique<Daemon>();
    daemon->name = name;
    daemon->owner = owner;
    if (const std::size_t colon = name.find(':'); colon != name.npos) daemon->instance = static_cast<std::uint32_t>(std::stoul(name.substr(colon + 1)));
    daemon->in_book = daemon->usable = daemon->placed = true;
    daemon->handle = {slot, 1};
    worker->by_slot[slot] = daemon.get();
    worker->owners[owner].daemons[name] = std::move(daemon);
  }

  // What the client is sent, a letter a frame: row, outcome, text, end.
  std::string answer(const std::string &payload) {
    serve(*worker, *client, payload);
    advance(*worker, *client);
    keep_answers(*worker);
    return heard();
  }

  // What was sent to the client since.
  std::string heard() {
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

  // The ids and the texts of the outcomes that a client of this uid is told, and the exit code behind them.
  std::string outcomes(std::uint32_t uid, const std::vector<std::string> &fields) {
    come(uid);
    serve(*worker, *client, request(fields));
    std::string said, end = std::to_string(static_cast<int>(client->code));
    std::string_view left = client->out;
    std::vector<std::string_view> parts;
    while (left.size() >= sizeof(FrameHeader)) {
      FrameHeader header;
      std::memcpy(&header, left.data(), sizeof header);
      REQUIRE(split_fields(left.substr(sizeof header, header.size), parts));
      if (header.kind == FrameKind::outcome) said += std::string(parts[1]) + ": " + std::string(parts[2]) + "\n";
      if (header.kind == FrameKind::text) said += parts[0];
      left.remove_prefix(sizeof header + header.size);
    }
    return said + end;
  }

  std::vector<AskKind> asked() {
    std::vector<AskKind> kinds;
    std::uint8_t bytes[max_message];
    AskKind kind;
    while (next(bytes)) {
      std::memcpy(&kind, bytes, sizeof kind);
      if (kind != AskKind::Record) kinds.push_back(kind);
    }
    return kinds;
  }
};

}  // namespace

TEST_CASE("an answer does not end before all daemons that were asked about have theirs") {
  World world(true);
  world.add("bot", 0);
  world.add("web", 1);
  CHECK(world.answer(request({"stop", "", "", "bot", "web"})) == "oo");
  take_kept(*world.worker, world.worker->unkept.front().cookie);
  CHECK(world.heard() == "e");
}

TEST_CASE("nor before the monitor has kept what comes of it, be it told at another place because the first was given back") {
  for (const bool another : {true, false}) {
    World world(true);
    world.add("bot", 0);
    if (another) world.add("web", 1);
    CHECK(world.answer(request({"stop", "", "", "bot"})) == "o");
    REQUIRE(world.worker->unkept.size() == 1);
    const std::uint32_t before = world.worker->unkept.front().cookie;
    ask_free(*world.worker, *world.worker->owners[0].daemons["bot"]);
    keep_answers(*world.worker);
    take_kept(*world.worker, before);
    CHECK(world.heard() == (another ? "" : "e"));
    CHECK(world.worker->unkept.size() == (another ? 1 : 0));
    if (!another) continue;
    take_kept(*world.worker, world.worker->unkept.front().cookie);
    CHECK(world.heard() == "e");
  }
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

TEST_CASE("a pattern means the daemons that the client may see, and no others") {
  World world(true, {"david", "amy"});
  std::uint32_t slot = 0;
  for (const char *name : {"wp-a", "wp-b", "bot", "web:1", "web:2", "web:10"}) world.add(name, slot++);
  for (const char *name : {"wp-c", "web"}) world.add(name, slot++, 1);
  const auto list = [&](std::uint32_t uid, const std::vector<std::string> &ids, const char *user = "") {
    std::vector<std::string> fields{"list", "", user};
    fields.insert(fields.end(), ids.begin(), ids.end());
    return world.outcomes(uid, fields);
  };
  CHECK(list(1000, {"wp-*"}) == "david/wp-a\ndavid/wp-b\n0");
  CHECK(list(0, {"wp-*"}) == "amy/wp-c\ndavid/wp-a\ndavid/wp-b\n0");
  CHECK(list(0, {"wp-*"}, "amy") == "amy/wp-c\n0");
  CHECK(list(0, {"amy/*", "amy/w*"}) == "amy/web\namy/wp-c\n0");
  CHECK(list(0, {"*/web"}) == "amy/web\ndavid/web:1\ndavid/web:2\ndavid/web:10\n0");
  CHECK(list(1000, {"*/we?"}) == "david/web:1\ndavid/web:2\ndavid/web:10\n0");
  CHECK(list(1000, {"web:[12]"}) == "david/web:1\ndavid/web:2\n0");
  CHECK(list(1001, {"*"}) == "amy/web\namy/wp-c\n0");
  // What is not his is not there, and a name that is written out is judged as in any id.
  CHECK(list(1001, {"b*"}) == "b*: no daemon matches 'b*'; dmctl list shows those there are, dmctl rescan reads new confs\n5");
  CHECK(list(1001, {"d*/*"}) == "d*/*: no daemon matches 'd*/*'; dmctl list shows those there are, dmctl rescan reads new confs\n5");
  CHECK(list(1001, {"david/*"}).ends_with("4"));
  CHECK(list(1001, {"nobody/*"}).ends_with("4"));
  CHECK(list(0, {"amy/*"}, "david").ends_with("2"));
  CHECK(list(0, {"amy/web"}, "david").ends_with("2"));
}

TEST_CASE("patterns that would keep everybody waiting are refused, and nothing is done") {
  World world(true);
  for (std::uint32_t i = 0; i < 100; i++) world.add(std::string(60, 'a') + std::to_string(i), i);
  std::vector<std::string> fields{"stop", "", ""};
  std::string pattern;
  for (int i = 0; i < 30; i++) pattern += "*a";
  for (int i = 0; i < 1000; i++) fields.push_back(pattern + std::to_string(i) + "b");
  const std::string said = world.outcomes(1000, fields);
  CHECK(said.find("the patterns take too long to compare, so nothing was done") != said.npos);
  CHECK(said.ends_with("2"));
  CHECK(world.asked().empty());
  std::vector<std::string> stars{"stop", "", ""};
  for (std::size_t i = 1; i < 300; i++) stars.emplace_back(i, '*');
  CHECK(world.outcomes(1000, stars).find("too long to compare") != std::string::npos);
  CHECK(world.asked().empty());
}

TEST_CASE("a daemon that is almost named is guessed, where the client may see it") {
  World world(true, {"david", "amy"});
  world.add("wordpress", 0);
  world.add("radio", 1, 1);
  const auto says = [&](std::uint32_t uid, const char *id, const std::string &text) {
    return world.outcomes(uid, {"stop", "", "", id}).find(text) != std::string::npos;
  };
  CHECK(says(1000, "wordpres", "no daemon 'wordpres'; did you mean 'wordpress'?"));
  CHECK(says(1000, "david/wordprss", "did you mean 'david/wordpress'?"));
  CHECK(says(0, "raido", "did you mean 'amy/radio'?"));
  CHECK_FALSE(says(1000, "raido", "did you mean"));
  CHECK_FALSE(says(1001, "wordpres", "did you mean"));
  CHECK_FALSE(says(1000, "amy/raido", "did you mean"));
}

TEST_CASE("reset-failed makes a failed daemon a stopped one, and leaves others as they are") {
  World world(true);
  world.add("bad", 0);
  world.add("bot", 1);
  Daemon &bad = *world.worker->owners[0].daemons["bad"], &bot = *world.worker->owners[0].daemons["bot"];
  bad.rest = Rest::failed;
  bad.ends = 3;
  bad.step = 4;
  bot.state = State::cooldown;
  bot.step = 4;
  CHECK(world.outcomes(1000, {"reset-failed", "", "", "all"}) ==
        "david/bad: stopped; its failures are forgotten\ndavid/bot: cooldown: there is no failure to forget\n0");
  CHECK(std::string_view(state_name(bad)) == "stopped");
  CHECK((bad.ends == 0 && bad.step == 0 && bot.step == 4));
  CHECK(world.asked() == std::vector{AskKind::Remember});
}
