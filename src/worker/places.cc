// What the monitor says of a daemon's place: facts, and the events of life.hh that lie between them and what was known. Sandboxed.
#include <fmt/core.h>

#include <csignal>
#include <utility>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr std::int64_t throttle_ms = 250;  // then a start that was over the owner's rate, or whose place has a dm-listen, is asked again

// What a place says of its last run; the difference to what was known becomes events.
void take_facts(Daemon &daemon, const TellSlot &tell) {
  const bool ended_now = tell.state != SlotState::starting && tell.state != SlotState::running;
  const bool counted = daemon.ended_ms == tell.ended_ms;
  daemon.last_runs = tell.runs;
  // Of after_exit= only that it is over counts: all that is remembered is of the run before.
  daemon.slot_running = !ended_now && !daemon.aside;
  daemon.pid = daemon.aside ? 0 : tell.pid;
  daemon.executed = tell.state == SlotState::running && !daemon.aside;
  if (of_bind(tell.report.stage)) daemon.report = tell.report;
  const bool stale = daemon.state == State::starting && tell.runs == daemon.runs;  // news from before our request
  if (daemon.aside || stale) return;
  daemon.started_ms = tell.started_ms;
  daemon.end_code = tell.end_code;
  daemon.end_status = tell.end_status;
  daemon.report = is_failure(tell.report.stage) ? tell.report : RunReport{};
  if (tell.target != no_user && !ended_now && daemon.target != tell.target) {
    daemon.target = tell.target;
    daemon.astray = true;
  }
  // A uid that the policy does not have: root's config knows the target no more, or the name service does not just now.
  const bool waits = daemon.target != no_user && daemon.usable == false;
  if (tell.target == no_user && !ended_now && !waits) daemon.target = no_user;
  if (ended_now && !counted && tell.ended_ms > tell.started_ms)
    daemon.total_ms += static_cast<std::uint64_t>(tell.ended_ms - tell.started_ms);
  daemon.ended_ms = tell.ended_ms;
}

void refused(Worker &worker, Daemon &daemon, Refusal refusal) {
  touch(worker, daemon);
  const std::int64_t now = now_ms();
  if (refusal == Refusal::throttled || (refusal == Refusal::busy && !daemon.slot_running)) {
    daemon.state = State::cooldown;
    daemon.throttled = true;  // it has been counted
    set_timer(worker, daemon, now + throttle_ms);
  } else if (refusal == Refusal::stale_book) {
    ask_start(worker, daemon);  // the newer book has come before this news
  } else {
    set_timer(worker, daemon, 0);
    daemon.state = State::stopped;
    // (busy with a main process: what the place says next puts it right)
    daemon.problem = refusal == Refusal::shutdown ? "the manager is stopping" : "root's config does not allow this just now";
    answer_waiters(worker, daemon, Wait::running, Exit::failed, daemon.problem);
  }
}

// The monitor does not run after_exit=.
void refused_finish(Worker &worker, Daemon &daemon, Refusal refusal) {
  if (refusal == Refusal::stale_book) return ask_start(worker, daemon, true);
  // (A dm-listen that hangs does not keep it from being stopped.)
  const bool passing = refusal == Refusal::busy && now_ms() - daemon.ended_ms < release_ms;
  if (refusal == Refusal::throttled || passing) {
    daemon.throttled = true;  // finish() is called again
    return set_timer(worker, daemon, now_ms() + throttle_ms);
  }
  note(worker, fmt::format("after_exit= of {} is not run: {}", id_of(worker, daemon),
                           refusal == Refusal::shutdown ? "the manager is stopping"
                           : refusal == Refusal::busy   ? "dm-listen does not end"
                                                        : "root's config does not allow it just now"));
  finished(worker, daemon);
}

// Brings a daemon's state to what its place says, event by event.
void reconcile(Worker &worker, Daemon &daemon, SlotState slot, bool ran) {
  const bool main_there = slot == SlotState::starting || slot == SlotState::running;
  switch (daemon.state) {
    case State::starting:
      if (slot == SlotState::running) return raise(worker, daemon, Event::started);
      if (main_there || !ran) return;  // not ran: news from before our request
      [[fallthrough]];
    case State::readying:
    case State::running:
    case State::stopping:
      if (main_there) return;
      daemon.tree_gone = slot == SlotState::idle;
      raise(worker, daemon, Event::exited);
      if (slot == SlotState::idle) raise(worker, daemon, Event::emptied);
      return;
    case State::clearing:
      if (slot == SlotState::idle) raise(worker, daemon, Event::emptied);
      return;
    case State::finishing:
      if (!ran || main_there) return;
      if (slot == SlotState::idle) return finished(worker, daemon);
      return ask_signal(worker, daemon, SIGKILL, Scope::tree);
    case State::cooldown:
    case State::stopped:
    case State::binding:
    case State::listening:
    case State::waiting:
      if (!main_there) return;
      set_timer(worker, daemon, 0);
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
      met->log_file = std::move(known->log_file);
      met->autostart = known->autostart;
      met->particular = known->particular;
      met->elsewhere = known->elsewhere;
      met->warning = std::move(known->warning);
      met->usable = known->usable;
      met->problem = std::move(known->problem);
      met->conf_hash = known->conf_hash;
      met->secrets = known->secrets;
      met->terms = known->terms;
      met->task = known->task;
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
  stray->instance = met != nullptr ? met->instance : 0;
  stray->state = main_there ? State::running : State::stopped;
  stray->stray_uid = tell.owner_uid;
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
  daemon.history_next = 0;
  if (&daemon == &nobody) ask_free(worker, daemon);
  else {
    worker.by_slot[tell.handle.slot] = &daemon;
    if (daemon.wanted && daemon.by == by_autostart) resume(worker, daemon);
    else if (daemon.wanted) want_up(worker, daemon);
  }
  place_next(worker, tell.owner);
}

// The monitor was not killed but upgraded.
bool is_handed(const TellSlot &tell) { return tell.command_code == 0 && tell.command_status == command_handed; }

// What the predecessor left undone between two runs is begun again. True where that was all there is to do.
bool inherit_pause(Worker &worker, Daemon &daemon, const TellSlot &tell, bool ran) {
  daemon.sockets = tell.sockets;
  daemon.binds = tell.binds;
  daemon.commands = tell.commands;
  // A monitor that takes over ends whatever was asked for, and so counts one more than was.
  if (is_due(daemon.commands, daemon.commands_due)) {
    if (daemon.slot_running) record(worker, daemon, Deed::taken_over, by_itself);
    if (!is_handed(tell)) daemon.unheard = daemon.state == State::starting || daemon.state == State::readying;
    daemon.commands_due = daemon.commands;
  }
  if (tell.state != SlotState::idle) return false;
  if (daemon.state == State::stopped && daemon.settling) {
    daemon.binds_due = daemon.binds;
    settle(worker, daemon);
  } else if (daemon.state == State::listening || daemon.state == State::binding) {
    // (listening: who was told of the connection may be dead, so it is armed anew)
    daemon.state = State::listening;
    set_timer(worker, daemon, 0);
    raise(worker, daemon, daemon.wanted || daemon.lingers ? Event::unbound : Event::down);
  } else if (daemon.state == State::finishing && !ran) {
    finish(worker, daemon);
  } else {
    return false;
  }
  return true;
}

// A monitor that was killed may have done nothing of what it was asked for last: who is to end is told so again. Of a stop the time
// goes on.
void end_again(Worker &worker, Daemon &daemon, SlotState slot) {
  const std::int64_t until = daemon.timer_ms;
  if (daemon.state == State::clearing && slot == SlotState::draining) return ask_signal(worker, daemon, SIGKILL, Scope::tree);
  if (daemon.state != State::stopping) return;
  if (!daemon.slot_running) return ask_signal(worker, daemon, daemon.stop_signal, Scope::tree);
  order_stop(worker, daemon, now_ms());
  if (!daemon.undecided) set_timer(worker, daemon, until);
}

// No timer of a run is forgotten, and none is kept that went on while nobody listened.
void inherit_timers(Worker &worker, Daemon &daemon) {
  const std::int64_t now = now_ms();
  const bool starts = daemon.state == State::starting || daemon.state == State::readying;
  if (starts && daemon.timer_ms == 0) set_timer(worker, daemon, now + daemon.terms.start_timeout_ms);
  if (daemon.state == State::running && !daemon.barked)
    set_timer(worker, daemon, daemon.watchdog_ms == 0 ? 0 : now + daemon.watchdog_ms);
  if (daemon.state == State::running) retry_sockets(worker, daemon);
  if (daemon.state == State::finishing && daemon.timer_ms == 0) set_timer(worker, daemon, now + daemon.stop_timeout_ms);
}

// While the replay goes on: what the predecessor left, with its timers.
void inherit(Worker &worker, const TellSlot &tell) {
  Daemon &daemon = meet(worker, tell);
  daemon.handle = tell.handle;
  daemon.placed = true;
  worker.by_slot[tell.handle.slot] = &daemon;
  if (daemon.lingers) worker.order.ties_until = now_ms() + conf_ms;
  recall_history(worker, daemon);
  take_facts(daemon, tell);
  if (const std::int64_t at = std::exchange(daemon.timer_ms, 0); at != 0) set_timer(worker, daemon, at);
  const bool ran = tell.runs != daemon.runs;
  if (daemon.state == State::starting && !ran && !daemon.slot_running) daemon.state = State::stopped;  // it was refused

  // A memo that says what cannot be, or waits for what never comes, is put right from what the place says.
  const std::int64_t now = now_ms();
  const bool hangs = daemon.state == State::stopping && daemon.slot_running &&
                     (daemon.undecided || daemon.timer_ms == 0 || daemon.timer_ms > now + daemon.stop_timeout_ms);
  if (hangs || (daemon.state == State::clearing && daemon.slot_running)) {
    daemon.state = State::running;
    return daemon.wanted && !daemon.rescan_first ? void() : raise(worker, daemon, Event::down);
  }
  if (daemon.state == State::waiting) daemon.state = State::stopped;  // it is started again when all is known
  if (tell.state == SlotState::draining && (daemon.state == State::stopped || daemon.state == State::cooldown))
    daemon.state = State::running;
  if (daemon.state == State::cooldown && (daemon.timer_ms == 0 || daemon.timer_ms > now + std::int64_t{greatest_cooldown_ms}))
    set_timer(worker, daemon, now);
  // (A command that ended has a code, one that the monitor did not come to has none.)
  // An upgrade loses no signal: what is remembered of one was done.
  const bool signalled = is_handed(tell) && daemon.state == State::stopping && daemon.underway == Underway::none && !daemon.stop_due && !daemon.undecided;
  const bool unasked = is_due(tell.commands, daemon.commands_due) ||
                       (daemon.underway != Underway::none && tell.commands == daemon.commands_due && tell.command_code == 0);
  if (unasked) daemon.underway = Underway::none;
  if (inherit_pause(worker, daemon, tell, ran)) return;
  reconcile(worker, daemon, tell.state, ran);
  if (worker.by_slot[tell.handle.slot] != &daemon) return;
  take_commands(worker, daemon, tell);
  if (unasked && !signalled) end_again(worker, daemon, tell.state);
  if (unasked && daemon.slot_running) ask_remember(worker, daemon);  // that it was taken over has been told
  inherit_timers(worker, daemon);
  const bool up = daemon.state == State::starting || daemon.state == State::readying || daemon.state == State::running;
  if (up && !daemon.wanted && !daemon.lingers && daemon.owner != no_user) raise(worker, daemon, Event::down);
}

}  // namespace

void take_slot(Worker &worker, const TellSlot &tell, bool known) {
  if (tell.handle.slot >= max_slots) return;
  if (tell.handle.slot >= worker.by_slot.size()) worker.by_slot.resize(tell.handle.slot + 1);
  Daemon *daemon = worker.by_slot[tell.handle.slot];
  if (daemon == nullptr) {
    const bool ours = tell.cookie != 0 && tell.owner < worker.owners.size() &&
                      worker.owners[tell.owner].slot_cookie == tell.cookie;
    if (ours) place(worker, tell);
    else if (!known) inherit(worker, tell);
    return;
  }
  if (!(daemon->handle == tell.handle)) return;
  if (tell.cookie != 0) take_kept(worker, tell.cookie);
  const bool starting = daemon->state == State::starting, finishing = daemon->state == State::finishing;
  take_facts(*daemon, tell);
  const bool ran_before = tell.runs != daemon->runs;
  take_sockets(worker, *daemon, tell);
  if (worker.by_slot[tell.handle.slot] != daemon) return;  // that was all that it was waiting for
  take_commands(worker, *daemon, tell);
  if (tell.refusal != Refusal::none && starting && !ran_before) return refused(worker, *daemon, tell.refusal);
  if (tell.refusal != Refusal::none && finishing && !ran_before) return refused_finish(worker, *daemon, tell.refusal);
  const bool ran = tell.runs != daemon->runs;
  reconcile(worker, *daemon, tell.state, ran);
}

}  // namespace dm::worker
