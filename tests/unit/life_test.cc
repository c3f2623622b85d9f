// The life of a daemon, cell by cell. No privilege.
#include <doctest/doctest.h>

#include <vector>

#include "worker/life.hh"

namespace {

using namespace dm::worker;

constexpr State states[] = {State::stopped, State::starting,  State::running,  State::stopping,  State::clearing, State::cooldown,
                            State::binding, State::listening, State::readying, State::finishing, State::waiting};
constexpr Event events[] = {Event::up,    Event::down,  Event::started, Event::exited,    Event::emptied, Event::expired,
                            Event::bound, Event::armed, Event::unbound, Event::connected, Event::ready,   Event::rested};
static_assert(sizeof states / sizeof *states == state_count && sizeof events / sizeof *events == event_count);

constexpr Step stay(State state) { return {state, Action::none}; }

// Every cell in which something happens; in all others nothing does.
struct Cell {
  State state;
  Event event;
  Step step;
};
constexpr Cell cells[] = {
    {State::stopped, Event::up, {State::binding, Action::bind}},
    {State::starting, Event::down, {State::stopping, Action::signal_main}},
    {State::starting, Event::started, {State::readying, Action::await_ready}},
    {State::starting, Event::exited, {State::clearing, Action::kill_tree}},
    {State::starting, Event::expired, {State::starting, Action::kill_tree}},
    {State::running, Event::down, {State::stopping, Action::signal_main}},
    {State::running, Event::exited, {State::clearing, Action::kill_tree}},
    {State::running, Event::expired, {State::running, Action::bark}},
    {State::stopping, Event::exited, {State::stopping, Action::signal_tree}},
    {State::stopping, Event::emptied, {State::finishing, Action::finish}},
    {State::stopping, Event::expired, {State::stopping, Action::kill_tree}},
    {State::clearing, Event::down, {State::stopping, Action::kill_tree}},
    {State::clearing, Event::emptied, {State::finishing, Action::finish}},
    {State::cooldown, Event::up, {State::binding, Action::bind}},
    {State::cooldown, Event::down, {State::stopped, Action::settle}},
    {State::cooldown, Event::expired, {State::binding, Action::bind}},
    {State::binding, Event::down, {State::stopped, Action::settle}},
    {State::binding, Event::expired, {State::binding, Action::bind}},
    {State::binding, Event::bound, {State::starting, Action::start}},
    {State::binding, Event::armed, {State::listening, Action::announce}},
    {State::binding, Event::unbound, {State::cooldown, Action::cool}},
    {State::listening, Event::down, {State::stopped, Action::settle}},
    {State::listening, Event::unbound, {State::binding, Action::bind}},
    {State::listening, Event::connected, {State::starting, Action::start}},
    {State::readying, Event::down, {State::stopping, Action::signal_main}},
    {State::readying, Event::exited, {State::clearing, Action::kill_tree}},
    {State::readying, Event::expired, {State::readying, Action::kill_tree}},
    {State::readying, Event::ready, {State::running, Action::announce}},
    {State::finishing, Event::emptied, {State::cooldown, Action::cool}},
    {State::finishing, Event::expired, {State::finishing, Action::kill_tree}},
    {State::finishing, Event::rested, {State::stopped, Action::settle}},
    {State::waiting, Event::down, {State::stopped, Action::settle}},
    {State::waiting, Event::up, {State::binding, Action::bind}},
};

constexpr Step expected(State state, Event event) {
  for (const Cell &cell : cells)
    if (cell.state == state && cell.event == event) return cell.step;
  return stay(state);
}

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
      CHECK((transition(states[i], events[j]) == expected(states[i], events[j])));
    }
}

TEST_CASE("a start is asked for only where nothing of the tree is left, and its sockets are there") {
  for (const State state : states)
    for (const Event event : events)
      if (transition(state, event).action == Action::start) {
        const bool of_sockets = (state == State::binding && event == Event::bound) || (state == State::listening && event == Event::connected);
        CHECK(of_sockets);
      }
}

TEST_CASE("a daemon is stopped only when its tree is empty") {
  for (const State state : states)
    for (const Event event : events) {
      const Step step = transition(state, event);
      if (step.next != State::stopped || state == State::stopped) continue;
      CHECK(step.action == Action::settle);
      const bool empty = state == State::cooldown || state == State::binding || state == State::listening || state == State::waiting;
      CHECK((empty || (state == State::finishing && event == Event::rested)));
    }
}

TEST_CASE("what is left of a crashed daemon's tree is killed before its successor starts") {
  for (const State state : {State::starting, State::readying, State::running}) {
    Step step = transition(state, Event::exited);
    CHECK(step.action == Action::kill_tree);
    // Neither impatience nor a timer leads past the killing.
    for (const Event event : {Event::up, Event::started, Event::exited, Event::expired, Event::bound, Event::connected, Event::ready})
      CHECK((transition(step.next, event) == stay(step.next)));
    step = transition(step.next, Event::emptied);
    CHECK((step == Step{State::finishing, Action::finish}));
    step = transition(step.next, Event::emptied);
    CHECK(step.action == Action::cool);
    step = transition(step.next, Event::expired);
    CHECK(step.action == Action::bind);
    CHECK(transition(step.next, Event::bound).action == Action::start);
  }
}

TEST_CASE("stop wins from every state, and ends in stopped") {
  for (const State state : states) {
    State now = transition(state, Event::down).next;
    if (now == State::stopping) now = transition(now, Event::exited).next;
    if (now == State::stopping) now = transition(now, Event::emptied).next;
    if (now == State::finishing) now = transition(now, Event::rested).next;
    CHECK(now == State::stopped);
  }
}

TEST_CASE("one that will not stop, or not become ready, is killed, as often as it takes") {
  for (const State state : {State::stopping, State::starting, State::readying, State::finishing}) {
    const Step step = transition(state, Event::expired);
    CHECK(step.action == Action::kill_tree);
    CHECK((transition(step.next, Event::expired) == step));
  }
}

TEST_CASE("start by hand cuts a cooldown short, stop ends it") {
  CHECK(transition(State::cooldown, Event::up).action == Action::bind);
  CHECK(transition(State::cooldown, Event::down).next == State::stopped);
}

TEST_CASE("who says too early that he is ready, or of one that is not there, changes nothing") {
  for (const State state : states)
    if (state != State::readying) CHECK((transition(state, Event::ready) == stay(state)));
}

TEST_CASE("a connection starts only one that waits for it") {
  for (const State state : states)
    if (state != State::listening) CHECK((transition(state, Event::connected) == stay(state)));
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
