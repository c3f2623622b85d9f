// Carries out what the table of life.hh says, on the news of the monitor, the clock and the clients. Sandboxed.
#include <fmt/core.h>

#include <csignal>
#include <utility>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr std::int64_t throttle_ms = 250;  // then a start that was over the owner's rate is asked again

void forget(Worker &worker, Daemon &daemon) {
  set_timer(worker, daemon, 0);
  answer_waiters(worker, daemon, Wait::stopped, Exit::done, "stopped");
  answer_waiters(worker, daemon, Wait::running, Exit::failed, "it was forgotten: its conf is gone");
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

// True when the daemon is gone afterwards.
bool settle(Worker &worker, Daemon &daemon) {
  set_timer(worker, daemon, 0);
  answer_waiters(worker, daemon, Wait::stopped, Exit::done, "stopped");
  if (orphaned(worker, daemon) || (worker.owners[daemon.owner].scanned && !daemon.in_book && !daemon.rescan_first)) {
    forget(worker, daemon);
    return true;
  }
  if (daemon.wanted && daemon.rescan_first && !worker.stopping) {
    daemon.rescan_first = false;
    rescan(worker, daemon.owner, false, {0, false, daemon.name});
  } else if (daemon.wanted && !worker.stopping) {
    want_up(worker, daemon);
  }
  ask_remember(worker, daemon);
  return false;
}

void act(Worker &worker, Daemon &daemon, Action action, Event event) {
  const std::int64_t now = now_ms();
  switch (action) {
    case Action::none: return;
    case Action::start:
      set_timer(worker, daemon, 0);
      if (event == Event::expired && !std::exchange(daemon.throttled, false)) daemon.respawns++;
      if (!daemon.usable || !daemon.placed || worker.stopping) {
        daemon.state = State::stopped;
        answer_waiters(worker, daemon, Wait::running, Exit::failed, daemon.problem);
        return ask_remember(worker, daemon);
      }
      return ask_start(worker, daemon);
    case Action::announce:
      daemon.rescan_first = false;
      answer_waiters(worker, daemon, Wait::running, Exit::done, fmt::format("running, pid {}", daemon.pid));
      return ask_remember(worker, daemon);
    case Action::signal_main:
      set_timer(worker, daemon, now + daemon.stop_timeout_ms);
      return ask_signal(worker, daemon, daemon.stop_signal, Scope::main);
    case Action::signal_tree: return ask_signal(worker, daemon, daemon.stop_signal, Scope::tree);
    case Action::kill_tree:
      set_timer(worker, daemon, 0);
      if (event == Event::expired) {
        note(worker, fmt::format("{} did not stop in {} ms and is killed", id_of(worker, daemon), daemon.stop_timeout_ms));
        ask_signal(worker, daemon, SIGKILL, Scope::main);
      }
      return ask_signal(worker, daemon, SIGKILL, Scope::tree);
    case Action::cool: return cool(worker, daemon, now);
    case Action::settle: settle(worker, daemon); return;
  }
}

// What a place says of its last run; the difference to what was known becomes events.
void take_facts(Daemon &daemon, const TellSlot &tell) {
  const bool ended_now = tell.state != SlotState::starting && tell.state != SlotState::running;
  const bool counted = daemon.ended_ms == tell.ended_ms;
  daemon.pid = tell.pid;
  daemon.last_runs = tell.runs;
  daemon.slot_running = !ended_now;
  daemon.started_ms = tell.started_ms;
  daemon.end_code = tell.end_code;
  daemon.end_status = tell.end_status;
  daemon.report = tell.report;
  if (tell.target != no_user && !ended_now) daemon.target = tell.target;
  // A uid that the policy does not have: root's config knows the target no more, or the name service does not just now.
  const bool waits = daemon.target != no_user && daemon.usable == false;
  if (tell.target == no_user && !ended_now && !waits) daemon.target = no_user;
  if (ended_now && !counted && tell.ended_ms > tell.started_ms)
    daemon.total_ms += static_cast<std::uint64_t>(tell.ended_ms - tell.started_ms);
  daemon.ended_ms = tell.ended_ms;
}

void refused(Worker &worker, Daemon &daemon, Refusal refusal) {
  const std::int64_t now = now_ms();
  if (refusal == Refusal::throttled) {
    daemon.state = State::cooldown;
    daemon.throttled = true;  // it has been counted
    set_timer(worker, daemon, now + throttle_ms);
  } else if (refusal == Refusal::stale_book) {
    ask_start(worker, daemon);  // the newer book has come before this news
  } else {
    daemon.state = State::stopped;
    // (busy: what the place says next puts it right)
    daemon.problem = refusal == Refusal::shutdown ? "the manager is stopping" : "root's config does not allow this just now";
    answer_waiters(worker, daemon, Wait::running, Exit::failed, daemon.problem);
  }
}

// Brings a daemon's state to what its place says, event by event.
void reconcile(Worker &worker, Daemon &daemon, SlotState slot, bool ran) {
  const bool main_there = slot == SlotState::starting || slot == SlotState::running;
  switch (daemon.state) {
    case State::starting:
      if (slot == SlotState::running) return raise(worker, daemon, Event::started);
      if (main_there || !ran) return;  // not ran: news from before our request
      [[fallthrough]];
    case State::running:
    case State::stopping:
      if (main_there) return;
      raise(worker, daemon, Event::exited);
      if (slot == SlotState::idle) raise(worker, daemon, Event::emptied);
      return;
    case State::clearing:
      if (slot == SlotState::idle) raise(worker, daemon, Event::emptied);
      return;
    case State::cooldown:
    case State::stopped:
      if (!main_there) return;
      daemon.state = slot == SlotState::running ? State::running : State::starting;
      if (!daemon.wanted) raise(worker, daemon, Event::down);
      return;
  }
}

// A place of the predecessor's. What the daemon is comes out of the book, what it did out of the memo.
Daemon &meet(Worker &worker, const TellSlot &tell) {
  auto met = std::make_unique<Daemon>();
  bool sound = read_memo(tell.memo, *met) && tell.owner < worker.owners.size();
  if (sound) {
    auto &known = worker.owners[tell.owner].daemons[met->name];
    sound = known == nullptr || !known->placed;  // else two places have one name: the second is nobody's
    if (sound && known != nullptr) {
      met->in_book = known->in_book;
      met->entry = known->entry;
      met->target = known->target;
      met->logged = known->logged;
      met->autostart = known->autostart;
      met->particular = known->particular;
      met->elsewhere = known->elsewhere;
      met->warning = std::move(known->warning);
      met->usable = known->usable;
      met->problem = std::move(known->problem);
      met->conf_hash = known->conf_hash;
    }
    if (sound) known.swap(met);
    if (sound) met = nullptr;
    if (sound) known->owner = tell.owner;
    if (sound) return *known;
  }
  // Nothing of a memory that is not sound is taken over, least of all how to stop.
  const bool main_there = tell.state == SlotState::starting || tell.state == SlotState::running;
  auto stray = std::make_unique<Daemon>();
  stray->name = met != nullptr ? met->name : "";
  stray->state = main_there ? State::running : State::stopped;
  worker.strays.push_back(std::move(stray));
  return *worker.strays.back();
}

// The answer to our AskSlot: the first of the owner's daemons that have no place gets it.
void place(Worker &worker, const TellSlot &tell) {
  Owner &owner = worker.owners[tell.owner];
  owner.slot_cookie = 0;
  const auto found = owner.unplaced.empty() ? owner.daemons.end() : owner.daemons.find(owner.unplaced.front());
  if (!owner.unplaced.empty()) owner.unplaced.pop_front();
  Daemon nobody;  // its conf went while the place was on its way
  Daemon &daemon = found == owner.daemons.end() ? nobody : *found->second;
  daemon.handle = tell.handle;
  daemon.placed = true;
  daemon.queued = false;
  if (&daemon == &nobody) ask_free(worker, daemon);
  else {
    worker.by_slot[tell.handle.slot] = &daemon;
    if (daemon.wanted) want_up(worker, daemon);
  }
  place_next(worker, tell.owner);
}

// While the replay goes on: what the predecessor left, with its timers.
void inherit(Worker &worker, const TellSlot &tell) {
  Daemon &daemon = meet(worker, tell);
  daemon.handle = tell.handle;
  daemon.placed = true;
  worker.by_slot[tell.handle.slot] = &daemon;
  take_facts(daemon, tell);
  if (const std::int64_t at = std::exchange(daemon.timer_ms, 0); at != 0) set_timer(worker, daemon, at);
  const bool ran = tell.runs != daemon.runs;
  if (daemon.state == State::starting && !ran && !daemon.slot_running) daemon.state = State::stopped;  // it was refused
  // A memo that says what cannot be, or waits for what never comes, is put right from what the place says.
  const std::int64_t now = now_ms();
  const bool hangs = daemon.state == State::stopping && daemon.slot_running &&
                     (daemon.timer_ms == 0 || daemon.timer_ms > now + daemon.stop_timeout_ms);
  if (hangs || (daemon.state == State::clearing && daemon.slot_running)) {
    daemon.state = State::running;
    return daemon.wanted && !daemon.rescan_first ? void() : raise(worker, daemon, Event::down);
  }
  if (tell.state == SlotState::draining && (daemon.state == State::stopped || daemon.state == State::cooldown))
    daemon.state = State::running;
  if (daemon.state == State::cooldown && (daemon.timer_ms == 0 || daemon.timer_ms > now + std::int64_t{greatest_cooldown_ms}))
    set_timer(worker, daemon, now);
  reconcile(worker, daemon, tell.state, ran);
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
    raise(worker, daemon, Event::expired);
  }
}

void raise(Worker &worker, Daemon &daemon, Event event) {
  const Step step = transition(daemon.state, event);
  daemon.state = step.next;
  act(worker, daemon, step.action, event);
}

void want_up(Worker &worker, Daemon &daemon) {
  daemon.wanted = true;
  daemon.rest = Rest::none;
  daemon.ends = 0;
  if (!daemon.usable) {
    answer_waiters(worker, daemon, Wait::running, Exit::failed, daemon.problem);
    return ask_remember(worker, daemon);
  }
  if (!daemon.placed) return;  // its place is on the way, and starts it
  if (daemon.state == State::running)
    return answer_waiters(worker, daemon, Wait::running, Exit::done, fmt::format("runs already, pid {}", daemon.pid));
  daemon.step = 0;
  daemon.hurry = daemon.state == State::clearing;
  raise(worker, daemon, Event::up);
}

void want_down(Worker &worker, Daemon &daemon) {
  daemon.wanted = daemon.rescan_first = false;
  daemon.rest = Rest::none;
  answer_waiters(worker, daemon, Wait::running, Exit::failed, "it was stopped meanwhile");
  if (daemon.state == State::stopped) {
    answer_waiters(worker, daemon, Wait::stopped, Exit::done, "was stopped already");
    return ask_remember(worker, daemon);
  }
  raise(worker, daemon, Event::down);
}

void retire(Worker &worker, Daemon &daemon) {
  daemon.in_book = daemon.usable = false;
  note(worker, fmt::format("{} is stopped and forgotten: its conf or its owner's line is gone", id_of(worker, daemon)));
  const bool stopped = daemon.state == State::stopped;
  want_down(worker, daemon);  // may forget it, when it has been waiting in its cooldown
  if (stopped) forget(worker, daemon);
}

void take_slot(Worker &worker, const TellSlot &tell, bool known) {
  if (tell.handle.slot >= max_slots) return;
  Daemon *daemon = worker.by_slot[tell.handle.slot];
  if (daemon == nullptr) {
    const bool ours = tell.cookie != 0 && tell.owner < worker.owners.size() &&
                      worker.owners[tell.owner].slot_cookie == tell.cookie;
    if (ours) place(worker, tell);
    else if (!known) inherit(worker, tell);
    return;
  }
  if (!(daemon->handle == tell.handle)) return;
  take_facts(*daemon, tell);
  const bool ran = tell.runs != daemon->runs;
  if (tell.refusal != Refusal::none && daemon->state == State::starting && !ran)
    return refused(worker, *daemon, tell.refusal);
  reconcile(worker, *daemon, tell.state, ran);
}

void check_shutdown(Worker &worker) {
  if (!worker.stopping || !worker.replayed) return;
  // Nothing starts any more: an owner whose daemons have all stopped need not be looked at again.
  for (; worker.owners_stopped < worker.owners.size(); worker.owners_stopped++)
    for (const auto &[name, daemon] : worker.owners[worker.owners_stopped].daemons)
      if (daemon->placed && daemon->state != State::stopped) return;
  worker.stopping = false;  // said once
  ask_done(worker);
}

}  // namespace dm::worker
