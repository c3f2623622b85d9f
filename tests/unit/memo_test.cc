// What one worker leaves to the next, as an honest and as a hostile worker would. No privilege; built with the sanitizers.
#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include "lib/names.hh"
#include "worker/worker.hh"

namespace {

using namespace dm;
using namespace dm::worker;

Daemon sample() {
  Daemon daemon;
  daemon.name = "word-press_2.0";
  daemon.wanted = true;
  daemon.rescan_first = true;
  daemon.state = State::cooldown;
  daemon.step = 4;
  daemon.respawns = 4'000'000'000U;
  daemon.runs = 17;
  daemon.total_ms = 123'456'789'012;
  daemon.timer_ms = 987'654'321;
  daemon.started_hash = 0xfedcba9876543210;
  daemon.stop_timeout_ms = 90'000;
  daemon.stop_signal = 3;
  daemon.ended_ms = 55'555;
  daemon.rest = Rest::failed;
  daemon.ends = 7;
  daemon.ends_since = 44'444;
  daemon.binds_due = 11;
  daemon.commands_due = 12;
  daemon.held_hash = 0xdeadbeef;
  daemon.watchdog_ms = 30'000;
  daemon.started_ms = 33'333;
  daemon.report = {RunStage::listen_live, 98, 4711U << 8 | 2U};
  daemon.end_code = 2;
  daemon.end_status = 9;
  daemon.fault = Fault::silent;
  daemon.underway = Underway::reload;
  daemon.ready_by = Ready::connect;
  daemon.by = 1000;
  daemon.stop_by = by_shutdown;
  daemon.end_told = true;
  return daemon;
}

// All that a memo may set is within what the rest of the worker takes for granted.
void check_ranges(const Daemon &daemon) {
  CHECK(valid_member_name(daemon.name));
  CHECK(daemon.instance <= max_instances);
  CHECK((daemon.instance != 0) == (daemon.name.find(':') != daemon.name.npos));
  CHECK(daemon.scaled <= max_instances);
  CHECK(daemon.scaled_from <= max_instances);
  CHECK((daemon.instance != 0 || daemon.scaled == 0));
  CHECK(static_cast<unsigned>(daemon.state) < state_count);
  CHECK(daemon.step <= most_steps);
  CHECK(static_cast<unsigned>(daemon.rest) < rest_count);
  CHECK(daemon.ends_since >= 0);
  CHECK(daemon.stop_signal >= 1);
  CHECK(daemon.stop_signal <= 64);
  CHECK(daemon.timer_ms >= 0);
  CHECK(daemon.timer_ms <= std::int64_t{1} << 52);
  CHECK(daemon.total_ms <= std::uint64_t{1} << 52);
  CHECK(daemon.ended_ms >= 0);
  CHECK(daemon.ended_ms <= std::int64_t{1} << 52);
  CHECK(daemon.started_ms >= 0);
  CHECK(daemon.started_ms <= std::int64_t{1} << 52);
  CHECK(static_cast<unsigned>(daemon.report.stage) < run_stages);
  CHECK(daemon.end_code >= 0);
  CHECK(daemon.end_code <= 6);
  CHECK(daemon.end_status >= 0);
  CHECK(daemon.end_status <= 255);
  CHECK(static_cast<unsigned>(daemon.fault) < fault_count);
  CHECK(static_cast<unsigned>(daemon.underway) < underway_count);
  CHECK(static_cast<unsigned>(daemon.ready_by) < ready_count);
  CHECK(daemon.watchdog_ms <= 0x7fffffff);
}

constexpr bool Daemon::*const flags[] = {
    &Daemon::unbinding, &Daemon::settling, &Daemon::arming,   &Daemon::rearm,  &Daemon::rebind,    &Daemon::ordered,
    &Daemon::aside,     &Daemon::is_ready, &Daemon::barked,   &Daemon::reloading, &Daemon::leaving, &Daemon::stop_due,
    &Daemon::pid_refused,
};

// True where nothing was taken.
bool untouched(const Daemon &daemon) {
  const Daemon fresh;
  return daemon.name.empty() && daemon.wanted == fresh.wanted && daemon.state == fresh.state && daemon.step == fresh.step &&
         daemon.respawns == fresh.respawns && daemon.runs == fresh.runs && daemon.total_ms == fresh.total_ms &&
         daemon.timer_ms == fresh.timer_ms && daemon.stop_signal == fresh.stop_signal && daemon.ended_ms == fresh.ended_ms &&
         daemon.binds_due == 0 && daemon.commands_due == 0 && daemon.fault == fresh.fault && daemon.underway == fresh.underway;
}

void read_hostile(const Memo &memo, unsigned &taken) {
  Daemon daemon;
  if (!read_memo(memo, daemon)) {
    CHECK(untouched(daemon));
    return;
  }
  taken++;
  check_ranges(daemon);
  // What was taken can be written and taken again, and does not drift.
  Daemon again;
  const Memo second = write_memo(daemon);
  REQUIRE(read_memo(second, again));
  const Memo third = write_memo(again);
  CHECK(std::memcmp(second.bytes, third.bytes, sizeof second.bytes) == 0);
}

}  // namespace

TEST_CASE("the end of a run is a time that a clock can show, so that its length can be reckoned") {
  for (const std::int64_t ended : {std::int64_t{-1}, INT64_MIN, INT64_MAX, (std::int64_t{1} << 52) + 1}) {
    Daemon daemon = sample(), taken;
    daemon.ended_ms = ended;
    CHECK(!read_memo(write_memo(daemon), taken));
    CHECK(untouched(taken));
  }
  Daemon daemon = sample(), taken;
  daemon.ended_ms = std::int64_t{1} << 52;
  CHECK(read_memo(write_memo(daemon), taken));
}

TEST_CASE("a memo brings back what the worker knew") {
  const Daemon before = sample();
  Daemon after;
  REQUIRE(read_memo(write_memo(before), after));
  CHECK(after.name == before.name);
  CHECK(after.wanted == before.wanted);
  CHECK(after.rescan_first == before.rescan_first);
  CHECK(after.state == before.state);
  CHECK(after.step == before.step);
  CHECK(after.respawns == before.respawns);
  CHECK(after.runs == before.runs);
  CHECK(after.total_ms == before.total_ms);
  CHECK(after.timer_ms == before.timer_ms);
  CHECK(after.started_hash == before.started_hash);
  CHECK(after.by == before.by);
  CHECK(after.stop_by == before.stop_by);
  CHECK(after.end_told == before.end_told);
  CHECK(after.stop_timeout_ms == before.stop_timeout_ms);
  CHECK(after.stop_signal == before.stop_signal);
  CHECK(after.ended_ms == before.ended_ms);
  CHECK(after.rest == before.rest);
  CHECK(after.ends == before.ends);
  CHECK(after.ends_since == before.ends_since);
  CHECK(after.binds_due == before.binds_due);
  CHECK(after.commands_due == before.commands_due);
  CHECK(after.held_hash == before.held_hash);
  CHECK(after.watchdog_ms == before.watchdog_ms);
  CHECK(after.started_ms == before.started_ms);
  CHECK(std::memcmp(&after.report, &before.report, sizeof after.report) == 0);
  CHECK(after.end_code == before.end_code);
  CHECK(after.end_status == before.end_status);
  CHECK(after.fault == before.fault);
  CHECK(after.underway == before.underway);
  CHECK(after.ready_by == before.ready_by);
}

TEST_CASE("each flag comes back, and no other with it") {
  for (bool Daemon::*const flag : flags) {
    Daemon before = sample(), after;
    before.*flag = true;
    REQUIRE(read_memo(write_memo(before), after));
    for (bool Daemon::*const other : flags) CHECK(after.*other == (other == flag));
  }
}

TEST_CASE("one that waits for others to go before it does so still, and no other does") {
  for (const bool wanted : {false, true}) {
    Daemon before = sample(), after;
    before.lingers = true;
    before.wanted = wanted;
    REQUIRE(read_memo(write_memo(before), after));
    CHECK(after.lingers == !wanted);
  }
}

TEST_CASE("a field of the last run that is out of its range makes the memo void") {
  const auto refused = [](const auto &spoil) {
    Daemon before = sample(), after;
    spoil(before);
    CHECK_FALSE(read_memo(write_memo(before), after));
    CHECK(untouched(after));
  };
  refused([](Daemon &it) { it.fault = static_cast<Fault>(fault_count); });
  refused([](Daemon &it) { it.underway = static_cast<Underway>(underway_count); });
  refused([](Daemon &it) { it.ready_by = static_cast<Ready>(ready_count); });
  refused([](Daemon &it) { it.report.stage = static_cast<RunStage>(run_stages); });
  refused([](Daemon &it) { it.watchdog_ms = 0x80000000; });
  refused([](Daemon &it) { it.started_ms = -1; });
  refused([](Daemon &it) { it.state = static_cast<State>(state_count); });
}

TEST_CASE("the longest name fits into a memo, without a NUL") {
  Daemon before = sample(), after;
  before.name = std::string(max_name, 'x');
  REQUIRE(read_memo(write_memo(before), after));
  CHECK(after.name == before.name);
}

TEST_CASE("the longest name of a family fits with the greatest number, and its size comes back") {
  Daemon before = sample(), after;
  before.name = std::string(max_name, 'x') + ":100";
  before.instance = before.scaled = 100;
  before.scaled_from = 3;
  REQUIRE(read_memo(write_memo(before), after));
  CHECK(after.name == before.name);
  CHECK(after.family() == std::string(max_name, 'x'));
  CHECK(after.instance == 100);
  CHECK(after.scaled == 100);
  CHECK(after.scaled_from == 3);
}

TEST_CASE("a number or a size that no family has makes the memo void") {
  struct { std::uint32_t instance, scaled, scaled_from; } const cases[] = {{101, 0, 0}, {1, 101, 3}, {1, 3, 101}, {1, 3, 0}, {1, 0, 3}, {0, 4, 3}};
  for (const auto &it : cases) {
    Daemon before = sample(), after;
    before.instance = it.instance;
    before.scaled = it.scaled;
    before.scaled_from = it.scaled_from;
    CHECK_FALSE(read_memo(write_memo(before), after));
    CHECK(untouched(after));
  }
}

TEST_CASE("every state, wish and signal comes back") {
  for (unsigned state = 0; state < state_count; state++)
    for (int signal = 1; signal <= 64; signal++) {
      Daemon before = sample(), after;
      before.state = static_cast<State>(state);
      before.stop_signal = signal;
      before.wanted = signal % 2 == 0;
      REQUIRE(read_memo(write_memo(before), after));
      CHECK(after.state == before.state);
      CHECK(after.stop_signal == signal);
      CHECK(after.wanted == before.wanted);
    }
}

TEST_CASE("an empty memo is none") {
  Daemon daemon;
  CHECK_FALSE(read_memo(Memo{}, daemon));
  CHECK(untouched(daemon));
}

TEST_CASE("a name that is no name makes the memo void") {
  for (const char *name : {"", ".", "..", "-x", "a/b", "../../etc/passwd", "a b", "a\nb", "caf\xc3\xa9"}) {
    Daemon before = sample(), after;
    before.name = name;
    CHECK_FALSE(read_memo(write_memo(before), after));
    CHECK(untouched(after));
  }
}

TEST_CASE("a hundred thousand memos of random bytes never get past the ranges") {
  std::mt19937_64 random(1);
  unsigned taken = 0;
  for (int i = 0; i < 100'000; i++) {
    Memo memo;
    for (std::uint8_t &byte : memo.bytes) byte = static_cast<std::uint8_t>(random());
    read_hostile(memo, taken);
  }
  CHECK(taken == 0);  // random bytes are no name
}

TEST_CASE("a hundred thousand sound memos with bytes changed never get past the ranges") {
  std::mt19937_64 random(2);
  const Memo sound = write_memo(sample());
  unsigned taken = 0;
  for (int i = 0; i < 100'000; i++) {
    Memo memo = sound;
    const unsigned changes = 1 + static_cast<unsigned>(random() % 4);
    for (unsigned j = 0; j < changes; j++) memo.bytes[random() % sizeof memo.bytes] = static_cast<std::uint8_t>(random());
    read_hostile(memo, taken);
  }
  CHECK(taken > 10'000);   // it is not that everything is refused
  CHECK(taken < 100'000);
}

TEST_CASE("every single bit of a sound memo may flip") {
  const Memo sound = write_memo(sample());
  unsigned taken = 0;
  for (std::size_t i = 0; i < sizeof sound.bytes * 8; i++) {
    Memo memo = sound;
    memo.bytes[i / 8] = static_cast<std::uint8_t>(memo.bytes[i / 8] ^ 1U << i % 8);
    read_hostile(memo, taken);
  }
  CHECK(taken > 0);
}
