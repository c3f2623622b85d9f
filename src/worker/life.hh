// The life of a daemon as a table. No input, no output, no clock: every cell has a test.
//
//   stopped ──up──▶ starting ──started──▶ running ──exited──▶ clearing ──emptied──▶ cooldown ──expired──▶ starting
//                       └────── down ────────┴─▶ stopping ──emptied──▶ stopped
//
// A daemon is *clearing* when its main process ended by itself and what is left of its tree is being killed; people see that
// as cooldown. It is *stopping* from the stop signal until no process of its tree is left.
#pragma once

#include <cstdint>

#include "lib/conf_policy.hh"

namespace dm::worker {

enum class State : std::uint8_t { stopped, starting, running, stopping, clearing, cooldown };
inline constexpr unsigned state_count = 6;

enum class Event : std::uint8_t {
  up,       // somebody, or autostart, wants it to run
  down,     // somebody wants it to stop
  started,  // it was executed
  exited,   // its main process is gone (a start that failed, too)
  emptied,  // and so is the rest of its tree
  expired,  // the timer of its state: of the cooldown, or of stop_timeout
};
inline constexpr unsigned event_count = 6;

enum class Action : std::uint8_t {
  none,
  start,        // ask the monitor to start it
  announce,     // it runs: answer those who wait for that
  signal_main,  // stop_signal to the main process, and arm stop_timeout
  signal_tree,  // stop_signal to what is left
  kill_tree,    // SIGKILL to what is left, the main process too
  cool,         // arm the cooldown
  settle,       // it has stopped: answer those who wait for that
};

struct Step {
  State next;
  Action action;
  bool operator==(const Step &) const = default;
};

constexpr Step transition(State state, Event event) {
  const Step stay{state, Action::none};
  switch (state) {
    case State::stopped:
      return event == Event::up ? Step{State::starting, Action::start} : stay;
    case State::starting:
      switch (event) {
        case Event::started: return {State::running, Action::announce};
        case Event::down: return {State::stopping, Action::signal_main};
        case Event::exited: return {State::clearing, Action::kill_tree};
        case Event::up: case Event::emptied: case Event::expired: return stay;
      }
      return stay;
    case State::running:
      switch (event) {
        case Event::down: return {State::stopping, Action::signal_main};
        case Event::exited: return {State::clearing, Action::kill_tree};
        case Event::up: case Event::started: case Event::emptied: case Event::expired: return stay;
      }
      return stay;
    case State::stopping:
      switch (event) {
        case Event::exited: return {State::stopping, Action::signal_tree};
        case Event::emptied: return {State::stopped, Action::settle};
        case Event::expired: return {State::stopping, Action::kill_tree};
        case Event::up: case Event::down: case Event::started: return stay;
      }
      return stay;
    case State::clearing:
      switch (event) {
        case Event::emptied: return {State::cooldown, Action::cool};
        case Event::down: return {State::stopping, Action::kill_tree};
        case Event::up: case Event::started: case Event::exited: case Event::expired: return stay;
      }
      return stay;
    case State::cooldown:
      switch (event) {
        case Event::up: case Event::expired: return {State::starting, Action::start};
        case Event::down: return {State::stopped, Action::settle};
        case Event::started: case Event::exited: case Event::emptied: return stay;
      }
      return stay;
  }
  return stay;
}

inline constexpr std::uint64_t steady_ms = 60'000;  // a run of so long has settled: it comes back at once
inline constexpr std::uint8_t most_steps = 31;

// The pause before the next start after a run of `ran_ms`, and the `step` of the series (1, 2, 4 … 60 s) for the time after.
constexpr std::uint64_t next_cooldown(std::uint64_t ran_ms, std::uint8_t &step, const CooldownRange &range = {}) {
  if (ran_ms >= steady_ms) {
    step = 0;
    return 0;
  }
  const std::uint64_t pause = std::uint64_t{range.shortest} << (step < most_steps ? step : most_steps);
  if (pause >= range.longest) return range.longest;
  step++;
  return pause;
}

}  // namespace dm::worker
