// Carries out what the table of life.hh says, on the news of the monitor, the clock and the clients. Sandboxed.
#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

void forget(Worker &worker, Daemon &daemon) {
  touch(worker, daemon);
  set_timer(worker, daemon, 0);
  answer_waiters(worker, daemon, Wait::stopped, Exit::done, "stopped");
  const bool struck = daemon.owner != no_user && is_struck(worker, daemon.owner);
  for (const Wait wait : {Wait::running, Wait::reloaded})
    answer_waiters(worker, daemon, wait, Exit::failed, struck ? no_confs_of(worker, user_name(worker, daemon.owner)) : "it was forgotten: its conf is gone");
  ask_free(worker, daemon);
  if (daemon.owner == no_user) {
    std::erase_if(worker.strays, [&daemon](const auto &it) { return it.get() == &daemon; });
    return;
  }
  const std::uint32_t owner = daemon.owner;
  auto &all = worker.owners[owner].daemons;
  if (const auto found = all.find(daemon.name); found != all.end() && found->second.get() == &daemon) {
    all.erase(found);
    place_next(worker, owner);
  }
  else std::erase_if(worker.strays, [&daemon](const auto &it) { return it.get() == &daemon; });
}

bool orphaned(const Worker &worker, const Daemon &daemon) {
  if (daemon.owner == no_user) return true;
  const auto &all = worker.owners[daemon.owner].daemons;
  const auto found = all.find(daemon.name);
  return found == all.end() || found->second.get() != &daemon;
}

// That it does not come back by itself, as nobody may be there to be told: its own log gets a line from dm-log, which finds the fault
// in the owner's book.
void say_it_stays_down(Worker &worker, Daemon &daemon) {
  if (!daemon.wanted || daemon.usable || daemon.elsewhere || worker.stopping || awaits_conf(worker, daemon)) return;
  note(worker, fmt::format("{0} is not started again: {1}; dmctl start {0} starts it when that is mended", id_of(worker, daemon),
                           daemon.problem.text()));
  if (daemon.logged) ask_signal(worker, daemon, SIGHUP, Scope::log);
}

// It may run, or not: what it is told is said to those who wait.
bool barred(Worker &worker, Daemon &daemon, bool by_itself = false) {
  // (It ran last as another than its conf says by now, and perhaps as one as whom it may not any more.)
  if (daemon.usable && daemon.in_book && (daemon.astray || !is_allowed(worker, daemon))) aim(worker, daemon);
  if (daemon.usable && daemon.placed && !worker.stopping && is_allowed(worker, daemon)) return false;
  daemon.state = State::stopped;
  if (by_itself) say_it_stays_down(worker, daemon);
  answer_waiters(worker, daemon, Wait::running, Exit::failed, daemon.problem);
  if (daemon.sockets != 0 || daemon.settling) settle(worker, daemon);
  else ask_remember(worker, daemon);
  return true;
}

void begin(Worker &worker, Daemon &daemon, State before, Event event) {
  set_timer(worker, daemon, 0);
  if (before == State::binding && event == Event::expired) daemon.binds_due = daemon.binds;  // what is not over now never will be
  const bool again = std::exchange(daemon.rearm, false);
  const bool by_itself = before == State::cooldown && event == Event::expired;
  const bool respawns = by_itself && !std::exchange(daemon.throttled, false) && !again;
  // What failed is tried again by itself; all else waits for a connection where its conf says so.
  // (One that waited for others is what it was before.)
  if (before != State::waiting && (event == Event::up || again)) daemon.arming = daemon.terms.on_connection;
  else if (before == State::cooldown) daemon.arming = false;
  // (One whose conf nobody has read yet, as after a takeover, is held back until then; one whose conf is faulty does not come.)
  if (respawns && (daemon.usable || awaits_conf(worker, daemon))) daemon.respawns++;
  if (barred(worker, daemon, by_itself)) return;
  // (One that lingers was there already, and asks nobody to come for it.)
  if (daemon.lingers || !held_back(worker, daemon, event == Event::up && !worker.resuming)) return bind_sockets(worker, daemon);
  daemon.state = State::waiting;
  ask_remember(worker, daemon);
}

void kill_tree(Worker &worker, Daemon &daemon, Event event) {
  set_timer(worker, daemon, 0);
  if (event == Event::expired && daemon.state == State::finishing && std::exchange(daemon.throttled, false))
    return finish(worker, daemon);
  if (event == Event::expired) {
    const bool early = daemon.state == State::starting || daemon.state == State::readying;
    if (early) daemon.fault = Fault::slow, record(worker, daemon, Deed::not_ready, by_itself, 0, daemon.terms.start_timeout_ms / 1000);
    note(worker, early ? fmt::format("{} {} and is killed", id_of(worker, daemon), describe_fault(worker, daemon))
                       : fmt::format("{} did not {} in {} ms and is killed", id_of(worker, daemon),
                                     daemon.state == State::finishing ? "end its after_exit=" : "stop", daemon.stop_timeout_ms));
    ask_signal(worker, daemon, SIGKILL, Scope::main);
  }
  if (event == Event::exited && daemon.tree_gone) return;
  ask_signal(worker, daemon, SIGKILL, Scope::tree);
}

void announce(Worker &worker, Daemon &daemon, std::int64_t now) {
  daemon.rescan_first = false;
  const bool listens = daemon.state == State::listening;
  set_timer(worker, daemon, listens || daemon.watchdog_ms == 0 ? 0 : now + daemon.watchdog_ms);
  answer_waiters(worker, daemon, Wait::running, Exit::done,
                 listens ? "listening: the first connection starts it" : fmt::format("running, pid {}", daemon.pid));
  ask_remember(worker, daemon);
  if (!listens) retry_sockets(worker, daemon);
}

void act(Worker &worker, Daemon &daemon, Action action, State before, Event event) {
  const std::int64_t now = now_ms();
  switch (action) {
    case Action::none: return;
    case Action::bind: return begin(worker, daemon, before, event);
    case Action::start:
      if (barred(worker, daemon)) return;
      daemon.extended_until = 0;
      set_timer(worker, daemon, now + daemon.terms.start_timeout_ms);
      return ask_start(worker, daemon);
    case Action::await_ready: return await_ready(worker, daemon, now);
    case Action::announce: return announce(worker, daemon, now);
    case Action::bark: return bark(worker, daemon, now);
    case Action::signal_main: return order_stop(worker, daemon, now);
    case Action::signal_tree: return daemon.tree_gone ? void() : ask_signal(worker, daemon, daemon.stop_signal, Scope::tree);
    case Action::kill_tree: return kill_tree(worker, daemon, event);
    case Action::finish: return finish(worker, daemon);
    case Action::cool: return cool(worker, daemon, now);
    case Action::settle: settle(worker, daemon); return;
  }
}

// Somebody wants its end: his word is kept, until it comes.
void ordered(Worker &worker, Daemon &daemon, State before) {
  const bool rests = before == State::cooldown || before == State::clearing || before == State::binding || before == State::listening ||
                     before == State::waiting || (before == State::finishing && !daemon.ordered);
  // (where nobody did, it is what its conf says of its last end, which is told already)
  if (rests && daemon.by != by_itself) record(worker, daemon, Deed::called_off, daemon.by);
  else if (!rests && before != State::stopping) daemon.stop_by = daemon.by;
  daemon.ordered = true;
}

// Its main process is gone. (One that ends at once is not told of before.)
void ended(Worker &worker, Daemon &daemon) {
  if (daemon.start_untold && began(daemon) && !daemon.end_told) record_start(worker, daemon);
  record_end(worker, daemon);
}

}  // namespace

void set_timer(Worker &worker, Daemon &daemon, std::int64_t at) {
  if (daemon.timer_ms != 0) worker.timers.erase({daemon.timer_ms, &daemon});
  daemon.timer_ms = at;
  if (at != 0) worker.timers.insert({at, &daemon});
}

void check_timers(Worker &worker, std::int64_t now) {
  while (!worker.timers.empty() && worker.timers.begin()->first <= now) {
    Daemon &daemon = *worker.timers.begin()->second;
    set_timer(worker, daemon, 0);
    if (daemon.state == State::stopped && daemon.settling) abandon_sockets(worker, daemon);
    else if (daemon.undecided) decide(worker, daemon, now, true);
    else if (daemon.state == State::readying && daemon.unheard) become_ready(worker, daemon);
    else raise(worker, daemon, Event::expired);
  }
}

void raise(Worker &worker, Daemon &daemon, Event event) {
  const State before = daemon.state;
  const Step step = transition(before, event);
  if (event == Event::down) ordered(worker, daemon, before);
  if (event == Event::unbound && before == State::binding) daemon.fault = Fault::unbound;
  if (event == Event::started && before == State::starting) record_start(worker, daemon);
  if (event == Event::exited) ended(worker, daemon);
  daemon.state = step.next;
  if (step.next != before || step.action != Action::none) touch(worker, daemon);
  act(worker, daemon, step.action, before, event);
}

void want_up(Worker &worker, Daemon &daemon) {
  daemon.wanted = true;
  if (end_lingering(worker, daemon)) ask_remember(worker, daemon);
  daemon.rest = Rest::none;
  if (!worker.resuming) daemon.ends = 0;  // else it goes on counting: nobody began it anew
  if (!daemon.usable) {
    answer_waiters(worker, daemon, Wait::running, Exit::failed, daemon.problem);
    return ask_remember(worker, daemon);
  }
  if (!daemon.placed) return;  // its place is on the way, and starts it
  if (daemon.state == State::running)
    return answer_waiters(worker, daemon, Wait::running, Exit::done, fmt::format("runs already, pid {}", daemon.pid));
  if (daemon.state == State::listening)
    return answer_waiters(worker, daemon, Wait::running, Exit::done, "listens already: the first connection starts it");
  daemon.step = 0;
  daemon.hurry = daemon.state == State::clearing || (daemon.state == State::finishing && !daemon.ordered);
  raise(worker, daemon, Event::up);
}

void want_down(Worker &worker, Daemon &daemon) {
  daemon.wanted = daemon.rescan_first = false;
  end_lingering(worker, daemon);
  daemon.rest = Rest::none;
  answer_waiters(worker, daemon, Wait::running, Exit::failed, "it was stopped meanwhile");
  if (daemon.state == State::stopped) {
    if (!daemon.settling) answer_waiters(worker, daemon, Wait::stopped, Exit::done, "was stopped already");
    return ask_remember(worker, daemon);
  }
  raise(worker, daemon, Event::down);
}

std::string_view why_gone(Worker &worker, const Daemon &daemon) {
  const bool there = std::ranges::any_of(named(worker, daemon.owner, daemon.family()), &Daemon::in_book);
  return there ? "its conf does not mean it any more" : "its conf is gone";
}

void retire(Worker &worker, Daemon &daemon, std::string_view why) {
  daemon.in_book = daemon.usable = false;
  const std::string id = daemon.owner != no_user ? id_of(worker, daemon) : fmt::format("{} of uid {}", daemon.name.empty() ? "a daemon" : daemon.name, daemon.stray_uid);
  note(worker, fmt::format("{} is stopped and forgotten: {}", id, why));
  const bool stopped = daemon.state == State::stopped;
  want_down(worker, daemon);  // may forget it, when it has been waiting in its cooldown
  if (stopped && !daemon.settling) settle(worker, daemon);
}

bool settle(Worker &worker, Daemon &daemon) {
  set_timer(worker, daemon, 0);
  const bool gone = orphaned(worker, daemon) || is_struck(worker, daemon.owner) ||
                    (confs_known(worker.owners[daemon.owner]) && !daemon.in_book && !daemon.rescan_first);
  const bool again = daemon.wanted && !worker.stopping && !gone;
  // Over a restart its sockets stay, and connections wait in them.
  daemon.settling = !again && release_sockets(worker, daemon);
  if (daemon.settling) {
    set_timer(worker, daemon, now_ms() + release_ms);
    return false;
  }
  answer_waiters(worker, daemon, Wait::stopped, Exit::done, "stopped");
  if (gone) {
    forget(worker, daemon);
    return true;
  }
  if (again && daemon.rescan_first) {
    daemon.rescan_first = false;
    rescan(worker, daemon.owner, false, {0, false, daemon.name});
  } else if (again) {
    want_up(worker, daemon);
  }
  ask_remember(worker, daemon);
  return false;
}

void check_shutdown(Worker &worker) {
  if (!worker.stopping || !worker.replayed) return;
  // Nothing starts any more: an owner whose daemons have all stopped need not be looked at again.
  for (; worker.owners_stopped < worker.owners.size(); worker.owners_stopped++)
    for (const auto &[name, daemon] : worker.owners[worker.owners_stopped].daemons)
      if (daemon->placed && (daemon->state != State::stopped || daemon->settling)) return;
  worker.stopping = false;  // said once
  ask_done(worker);
}

}  // namespace dm::worker
