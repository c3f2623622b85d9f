// What happened to daemons, as honest workers write it, and as a hostile one would. No privilege; built with the sanitizers.
#include "town.hh"

#include <random>

#include "lib/history.hh"

namespace {

using namespace dm;
using namespace dm::worker;

constexpr const char *texts[] = {"dir=/\nstart=/bin/web\n", "dir=/\nautostart=no\nstart=/bin/bot\n"};

Fd empty_history() {
  Fd file(::memfd_create("history", MFD_CLOEXEC));
  REQUIRE(::ftruncate(file.get(), static_cast<off_t>(history_size)) == 0);
  return file;
}

// david's web and bot; their history stays when the worker does not.
struct Told : town::Town {
  Fd kept = empty_history();
  Told() : Town(std::map<std::uint32_t, Confs>{{town::david, Confs{{"web", texts[0]}, {"bot", texts[1]}}}}) { lend(); }
  void lend() { worker->history = Fd(::fcntl(kept.get(), F_DUPFD_CLOEXEC, 3)); }
  void next_worker() {
    again();
    lend();
  }
  std::vector<Deed> deeds_of(const std::string &name) {
    std::vector<Deed> all;
    for (const HistoryEvent &event : history_of(*worker, at(name))) all.push_back(event.deed);
    return all;
  }
};

}  // namespace

TEST_CASE("events are told in their order, with who asked, and the next worker goes on behind them") {
  Told town;
  town.ask({"start", "", "", "bot"}, 1000);
  town.ask({"kill", "", "", "10", "bot"}, 1001);
  town.next_worker();
  town.ask({"stop", "", "", "bot"}, 0);
  const std::vector<HistoryEvent> events = history_of(*town.worker, town.at("bot"));
  // (A signal ends what the test's monitor runs.)
  REQUIRE(events.size() == 4);
  CHECK(events[0].deed == Deed::started);
  CHECK(events[0].uid == 1000);
  CHECK(events[1].deed == Deed::signalled);
  CHECK(events[1].uid == 1001);
  CHECK(events[1].detail == 10);
  CHECK(events[2].deed == Deed::killed);
  CHECK(events[3].deed == Deed::called_off);
  CHECK(events[3].uid == 0);
  for (std::uint16_t i = 0; i < 4; i++) CHECK(events[i].number == i);
}

TEST_CASE("the last twenty are kept, also where their count goes round") {
  Told town;
  town.ask({"start", "", "", "bot"}, 1000);
  for (std::uint32_t i = 0; i < history_numbers + 7; i++) record(*town.worker, town.at("bot"), Deed::reloaded, 1000, 0, i);
  const std::vector<HistoryEvent> events = history_of(*town.worker, town.at("bot"));
  REQUIRE(events.size() == history_kept);
  for (std::uint32_t i = 0; i < history_kept; i++) CHECK(events[i].value == history_numbers + 7 - history_kept + i);
  town.next_worker();
  record(*town.worker, town.at("bot"), Deed::reset, 1000);
  CHECK(town.deeds_of("bot").back() == Deed::reset);
}

TEST_CASE("of a place that another daemon had nothing of that one's is told") {
  Told town;
  town.ask({"start", "", "", "bot"}, 1000);
  Daemon &bot = town.at("bot");
  bot.handle.generation++;
  CHECK(history_of(*town.worker, bot).empty());
  record(*town.worker, bot, Deed::reset, 1000);
  CHECK(town.deeds_of("bot").back() == Deed::reset);
}

TEST_CASE("a history of random bytes, or one that is cut short, makes nobody stumble") {
  std::mt19937 random(4711);
  for (int round = 0; round < 200; round++) {
    Told town;
    const Handle place = town.at("bot").handle;
    if (round % 10 == 0) REQUIRE(::ftruncate(town.kept.get(), static_cast<off_t>(random() % history_size)) == 0);
    for (std::uint32_t array = 0; array < history_kept; array++) {
      HistoryEvent event;
      auto *bytes = reinterpret_cast<unsigned char *>(&event);
      for (std::size_t i = 0; i < sizeof event; i++) bytes[i] = static_cast<unsigned char>(random());
      if (round % 2 == 0) {
        event.generation = place.generation;
        event.number = static_cast<std::uint16_t>(random() % 3000 * history_kept + array);
        event.deed = static_cast<Deed>(random() % (deeds + 2));
      }
      REQUIRE(::pwrite(town.kept.get(), &event, sizeof event, static_cast<off_t>(history_at(place.slot, array))) == sizeof event);
    }
    town.next_worker();
    CHECK(town.ask({"history", "", "", "bot"}, 1000).ends_with("end 0\n"));
    town.ask({"start", "", "", "bot"}, 1000);
    CHECK(town.deeds_of("bot").size() <= history_kept);
    CHECK(!town.deeds_of("bot").empty());
  }
}

TEST_CASE("what is on its way to the file is told, and without a file nothing is different") {
  Told town;
  town.worker->history.reset();
  CHECK(town.ask({"start", "", "", "bot"}, 1000).ends_with("end 0\n"));
  CHECK(town.deeds_of("bot") == std::vector{Deed::started});
  town.again();
  town.worker->history.reset();
  CHECK(town.deeds_of("bot").empty());
  for (int i = 0; i < 400; i++) town.ask({"kill", "", "", "10", "bot"}, 1000);
  CHECK(town.deeds_of("bot").size() <= history_kept);
}
