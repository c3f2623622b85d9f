// The life of a daemon, cell by cell. No privilege.
#include <doctest/doctest.h>

#include <vector>

#include "worker/life.hh"

namespace {

using namespace dm::worker;

constexpr State states[] = {State::stopped,  State::starting, State::running,
                            State::stopping, State::clearing, State::cooldown};
constexpr Event events[] = {Event::up, Event::down, Event::started, Event::exited, Event::emptied, Event::expired};
static_assert(sizeof states / sizeof *states == state_count && sizeof events / sizeof *events == event_count);

constexpr Step stay(State state) { return {state, Action::none}; }

// Rows as in `states`, columns as in `events`: up, down, started, exited, emptied, expired.
constexpr Step expected[state_count][event_count] = {
    {{State::starting, Action::start}, stay(State::stopped), stay(State::stopped), stay(State::stopped),
     stay(State::stopped), stay(State::stopped)},
    {stay(State::starting), {State::stopping, Action::signal_main}, {State::running, Action::announce},
     {State::clearing, Action::kill_tree}, stay(State::starting), stay(State::starting)},
    {stay(State::running), {State::stopping, Action::signal_main}, stay(State::running),
     {State::clearing, Action::kill_tree}, stay(State::running), stay(State::running)},
    {stay(State::stopping), stay(State::stopping), stay(State::stopping), {State::stopping, Action::signal_tree},
     {State::stopped, Action::settle}, {State::stopping, Action::kill_tree}},
    {stay(State::clearing), {State::stopping, Action::kill_tree}, stay(State::clearing), stay(State::clearing),
     {State::cooldown, Action::cool}, stay(State::clearing)},
    {{State::starting, Action::start}, {State::stopped, Action::settle}, stay(State::cooldown), stay(State::cooldown),
     stay(State::cooldown), {State::starting, Action::start}},
};

std::vector<std::uint64_t> pauses(std::uint64_t ran_ms, std::uint8_t &step, int count) {
  std::vector<std::uint64_t> out;
  for (int i = 0; i < count; i++) out.push_back(next_cooldown(ran_ms, step));
  return out;
}

}  // namespace

TEST_CASE("every state meets every event as the table says") {
  for (unsigned i = 0; i < state_count; i++)
    for (unsigned j = 0; j < event_count; j++) {
      CAPTURE(i);
      CAPTURE(j);
      CHECK((transition(states[i], events[j]) == expected[i][j]));
    }
}

TEST_CASE("a start is asked for only where nothing of the tree is left") {
  for (const State state : states)
    for (const Event event : events)
      if (transition(state, event).action == Action::start) CHECK((state == State::stopped || state == State::cooldown));
}

TEST_CASE("a daemon is stopped only when its tree is empty") {
  for (const State state : states)
    for (const Event event : events) {
      const Step step = transition(state, event);
      if (step.next != State::stopped || state == State::stopped) continue;
      CHECK(step.action == Action::settle);
      CHECK((state == State::cooldown || event == Event::emptied));
    }
}

TEST_CASE("what is left of a crashed daemon's tree is killed before its successor starts") {
  for (const State state : {State::starting, State::running}) {
    Step step = transition(state, Event::exited);
    CHECK(step.action == Action::kill_tree);
    // Neither impatience nor a timer leads past the killing.
    for (const Event event : {Event::up, Event::started, Event::exited, Event::expired})
      CHECK((transition(step.next, event) == stay(step.next)));
    step = transition(step.next, Event::emptied);
    CHECK(step.action == Action::cool);
    CHECK(transition(step.next, Event::expired).action == Action::start);
  }
}

TEST_CASE("stop wins from every state, and ends in stopped") {
  for (const State state : states) {
    State now = transition(state, Event::down).next;
    if (now == State::stopping) now = transition(now, Event::exited).next;
    if (now == State::stopping) now = transition(now, Event::emptied).next;
    CHECK(now == State::stopped);
  }
}

TEST_CASE("one that will not stop is killed, as often as it takes") {
  const Step step = transition(State::stopping, Event::expired);
  CHECK(step.action == Action::kill_tree);
  CHECK((transition(step.next, Event::expired) == step));
}

TEST_CASE("start by hand cuts a cooldown short, stop ends it") {
  CHECK(transition(State::cooldown, Event::up).action == Action::start);
  CHECK(transition(State::cooldown, Event::down).next == State::stopped);
}

TEST_CASE("the pauses are 1, 2, 4 to 60 s, and 60 s for ever") {
  std::uint8_t step = 0;
  CHECK(pauses(10, step, 7) == std::vector<std::uint64_t>{1000, 2000, 4000, 8000, 16000, 32000, 60000});
  for (int i = 0; i < 1000; i++) CHECK(next_cooldown(0, step) == 60000);
}

TEST_CASE("one that had run for a minute comes back at once, and starts the series anew") {
  std::uint8_t step = 5;
  CHECK(next_cooldown(steady_ms, step) == 0);
  CHECK(step == 0);
  CHECK(next_cooldown(steady_ms - 1, step) == 1000);
  CHECK(next_cooldown(~std::uint64_t{0}, step) == 0);
}

TEST_CASE("a step out of range makes no pause out of range") {
  for (unsigned i = 0; i < 256; i++) {
    auto step = static_cast<std::uint8_t>(i);
    const std::uint64_t pause = next_cooldown(0, step);
    CHECK(pause >= 1000);
    CHECK(pause <= 60'000);
  }
}
