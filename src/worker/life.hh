// The life of a daemon as a table. No input, no output, no clock: every cell has a test.
//
//   stopped ──up──▶ binding ──bound──▶ starting ──started──▶ readying ──ready──▶ running
//                      │ armed            ▲ connected             └────── exited ───┤
//                      ▼                  │                                         ▼
//                  listening ─────────────┘      cooldown ◀──emptied── finishing ◀─emptied── clearing
//                                                   └──expired──▶ binding
//   starting, readying, running ──down──▶ stopping ──emptied──▶ finishing ──rested──▶ stopped
//
// In *binding* its listening sockets are made; one that has no listen=, or has them already, passes through at once. It is
// *listening* with start_on=connection, until the first connection. It is *readying* from its execution until it is ready as its
// conf says; with ready=started it passes through at once. It is *clearing* when its main process ended by itself and what is left
// of its tree is being killed; people see that as cooldown. It is *stopping* from the stop signal until no process of its tree is
// left, and *finishing* while after_exit= runs, if it has one; people see that as what it comes from. It is *waiting* for others
// that its conf wants to be there first; then it goes on by an *up*.
#pragma once

#include <cstdint>

#include "lib/conf_policy.hh"

namespace dm::worker {

enum class State : std::uint8_t {
  stopped, starting, running, stopping, clearing, cooldown, binding, listening, readying, finishing, waiting
};
inline constexpr unsigned state_count = 11;

enum class Event : std::uint8_t {
  up,         // somebody, or autostart, wants it to run
  down,       // somebody wants it to stop
  started,    // it was executed
  exited,     // its main process is gone (a start that failed, too)
  emptied,    // and so is the rest of its tree
  expired,    // the timer of its state: of the cooldown, start_timeout, watchdog, stop_timeout
  bound,      // it has the listening sockets that it shall have, and may start
  armed,      // it has them, and the first connection starts it
  unbound,    // they could not be had, or are lost
  connected,  // the first connection waits
  ready,      // it says that it is ready
  rested,     // all of it is over, and somebody wanted that
};
inline constexpr unsigned event_count = 12;

enum class Action : std::uint8_t {
  none,
  start,        // ask the monitor to start it
  announce,     // it runs, or listens: answer those who wait for that
  signal_main,  // ask it to stop (stop=, or stop_signal to the main process), and arm stop_timeout
  signal_tree,  // stop_signal to what is left
  kill_tree,    // SIGKILL to what is left, the main process too
  cool,         // arm the cooldown
  settle,       // it has stopped: answer those who wait for that
  bind,         // see to its listening sockets
  await_ready,  // it was executed: wait until it is ready
  bark,         // it was silent for too long
  finish,       // run after_exit=
};

struct Step {
  State next;
  Action action;
  bool operator==(const Step &) const = default;
};

// Of those whose main process is there, or on its way.
constexpr Step transition_alive(State state, Event event) {
  switch (event) {
    case Event::down: return {State::stopping, Action::signal_main};
    case Event::exited: return {State::clearing, Action::kill_tree};
    case Event::started: return state == State::starting ? Step{State::readying, Action::await_ready} : Step{state, Action::none};
    case Event::ready: return state == State::readying ? Step{State::running, Action::announce} : Step{state, Action::none};
    case Event::expired: return {state, state == State::running ? Action::bark : Action::kill_tree};
    case Event::up: case Event::emptied: case Event::bound: case Event::armed: case Event::unbound: case Event::connected:
    case Event::rested:
      return {state, Action::none};
  }
  return {state, Action::none};
}

// Of those that end.
constexpr Step transition_ending(State state, Event event) {
  const bool finishing = state == State::finishing;
  switch (event) {
    case Event::down: return state == State::clearing ? Step{State::stopping, Action::kill_tree} : Step{state, Action::none};
    case Event::exited: return {state, state == State::stopping ? Action::signal_tree : Action::none};
    case Event::emptied: return finishing ? Step{State::cooldown, Action::cool} : Step{State::finishing, Action::finish};
    case Event::expired: return {state, state == State::clearing ? Action::none : Action::kill_tree};
    case Event::rested: return finishing ? Step{State::stopped, Action::settle} : Step{state, Action::none};
    case Event::up: case Event::started: case Event::bound: case Event::armed: case Event::unbound: case Event::connected:
    case Event::ready:
      return {state, Action::none};
  }
  return {state, Action::none};
}

// Of those of which no process is there.
constexpr Step transition_resting(State state, Event event) {
  const Step stay{state, Action::none};
  switch (event) {
    case Event::up: return state == State::binding || state == State::listening ? stay : Step{State::binding, Action::bind};
    case Event::down: return state == State::stopped ? stay : Step{State::stopped, Action::settle};
    case Event::expired: return state == State::cooldown || state == State::binding ? Step{State::binding, Action::bind} : stay;
    case Event::bound: return state == State::binding ? Step{State::starting, Action::start} : stay;
    case Event::armed: return state == State::binding ? Step{State::listening, Action::announce} : stay;
    case Event::unbound:
      if (state == State::binding) return {State::cooldown, Action::cool};
      return state == State::listening ? Step{State::binding, Action::bind} : stay;
    case Event::connected: return state == State::listening ? Step{State::starting, Action::start} : stay;
    case Event::started: case Event::exited: case Event::emptied: case Event::ready: case Event::rested: return stay;
  }
  return stay;
}

constexpr Step transition(State state, Event event) {
  switch (state) {
    case State::starting: case State::readying: case State::running: return transition_alive(state, event);
    case State::stopping: case State::clearing: case State::finishing: return transition_ending(state, event);
    case State::stopped: case State::cooldown: case State::binding: case State::listening: case State::waiting:
      return transition_resting(state, event);
  }
  return {state, Action::none};
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
