// What becomes of a daemon whose run has ended, as its conf says. Sandboxed.
#include <fmt/core.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "lib/text.hh"
#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr std::uint64_t least_told_ms = 1000;  // a shorter run ended at once

constexpr std::size_t most_looked_at = 64;      // others that one waits for, and those that they wait for

// True when it has ended so often within its give_up_after that this end was the last.
bool gives_up(Daemon &daemon, const RunPolicy &policy, std::int64_t now) {
  if (policy.give_up_ends == 0) return false;
  if (daemon.ends == 0 || now - daemon.ends_since > policy.give_up_ms) daemon.ends = 0, daemon.ends_since = now;
  return ++daemon.ends >= policy.give_up_ends;
}

// A success of one that the next connection starts: it waits for that. Those that end without having taken the connection would
// turn round and round, so that they have a pause.
void wait_for_next(Worker &worker, Daemon &daemon, std::uint64_t ran, std::int64_t now) {
  daemon.step = 0;
  daemon.rearm = true;
  if (ran >= least_cooldown_ms) return raise(worker, daemon, Event::expired);
  set_timer(worker, daemon, now + least_cooldown_ms);
  ask_remember(worker, daemon);
}

// Why one that began to run did not get as far as somebody waited for.
std::string describe_early_end(const Daemon &daemon, std::uint64_t ran) {
  const bool late = daemon.ready_by != Ready::started && ran >= least_told_ms;
  return (late ? fmt::format("it ended after {}, before it was ready: ", short_time(ran)) : "it ended at once: ") + describe_end(daemon);
}

// Why a run that somebody waited for did not get as far.
std::string describe_short_run(Worker &worker, const Daemon &daemon, std::uint64_t ran) {
  if (daemon.fault == Fault::slow) return describe_fault(worker, daemon) + describe_remedy(daemon);
  return began(daemon) ? describe_early_end(daemon, ran) : describe_failure(worker, daemon);
}

// Of what it waits for, the first that has begun to run since then, and failed for good.
const Daemon *failed_since(Worker &worker, Daemon &daemon, std::int64_t first_ms) {
  std::vector<Daemon *> look{&daemon};
  for (std::size_t i = 0; i < look.size() && i < most_looked_at; i++)
    for (Daemon *it : required(worker, *look[i])) {
      if (it->state == State::stopped && it->rest == Rest::failed && it->started_ms >= first_ms) return it;
      if (it->state == State::waiting && std::ranges::count(look, it) == 0 && look.size() < most_looked_at) look.push_back(it);
    }
  return nullptr;
}

}  // namespace

bool take_up_start(Worker &worker, Daemon &daemon, Client *client, std::int64_t first_ms) {
  if (first_ms == 0) return false;
  const auto say = [&](Exit code, const std::string &text) {
    if (client != nullptr) say_outcome(*client, code, id_of(worker, daemon), text);
    return true;
  };
  if (daemon.state == State::waiting && daemon.wanted) {
    const Daemon *failed = failed_since(worker, daemon, first_ms);
    if (failed == nullptr) return false;
    return say(Exit::failed, fmt::format("requires {0}, which does not run; dmctl status {0} tells why", id_of(worker, *failed)));
  }
  if (daemon.started_ms < first_ms) return false;
  if (daemon.state == State::stopped && daemon.rest == Rest::done) return say(Exit::done, "done: " + describe_end(daemon));
  const bool pauses = daemon.state == State::cooldown && !daemon.throttled && !daemon.rearm && !daemon.undecided;
  if (pauses || (daemon.state == State::stopped && daemon.rest == Rest::failed)) {
    const auto ran = static_cast<std::uint64_t>(std::max<std::int64_t>(daemon.ended_ms - daemon.started_ms, 0));
    const bool told = daemon.fault != Fault::slow && began(daemon) && ran >= least_told_ms;
    return say(Exit::failed, told ? fmt::format("it ended after {}: {}", short_time(ran), describe_end(daemon))
                                  : describe_short_run(worker, daemon, ran));
  }
  if (!daemon.wanted) return say(Exit::failed, "it was stopped meanwhile");
  if (daemon.state == State::stopped || daemon.state == State::running || daemon.state == State::listening) return false;
  if (client != nullptr) add_waiter(worker, daemon, *client, Wait::running);
  return true;
}

void decide(Worker &worker, Daemon &daemon, std::int64_t now, bool late) {
  if (daemon.state == State::cooldown) return cool(worker, daemon, now);
  if (daemon.state == State::finishing) return finish(worker, daemon, late);
  daemon.undecided = false;
  if (daemon.state != State::stopping) return;
  if (daemon.slot_running) return order_stop(worker, daemon, now, late);
  set_timer(worker, daemon, now + daemon.stop_timeout_ms);  // its main process has ended meanwhile
}

void finish(Worker &worker, Daemon &daemon, bool late) {
  daemon.undecided = !late && began(daemon) && awaits_conf(worker, daemon);
  if (daemon.undecided) return set_timer(worker, daemon, now_ms() + conf_ms);
  const bool run = daemon.terms.after_exit && began(daemon) && daemon.usable && daemon.placed && is_allowed(worker, daemon);
  if (!run) return finished(worker, daemon);
  set_timer(worker, daemon, now_ms() + daemon.stop_timeout_ms);
  ask_start(worker, daemon, true);
}

void finished(Worker &worker, Daemon &daemon) {
  set_timer(worker, daemon, 0);
  raise(worker, daemon, daemon.ordered ? Event::rested : Event::emptied);
}

void cool(Worker &worker, Daemon &daemon, std::int64_t now) {
  // It ended while there was no monitor, and its conf is not read yet: what now is for that to say, when it comes. Nothing is
  // remembered of it, so that another worker meanwhile finds it as this one did.
  daemon.undecided = daemon.owner != no_user && !daemon.in_book && !confs_known(worker.owners[daemon.owner]);
  if (daemon.undecided) return;
  const bool ran_at_all = began(daemon) && daemon.fault != Fault::slow;
  const std::uint64_t ran = ran_at_all ? static_cast<std::uint64_t>(daemon.ended_ms - daemon.started_ms) : 0;
  const std::optional<Conf> conf = daemon.particular ? read_conf(worker, daemon) : std::nullopt;
  const RunPolicy policy = conf ? conf->policy : RunPolicy{};
  const bool success = daemon.fault == Fault::none && ran_at_all && policy.success(daemon.end_code, daemon.end_status);
  const std::uint64_t pause = next_cooldown(ran, daemon.step, policy.cooldown);
  const bool again = policy.again(success), by_hand = std::exchange(daemon.hurry, false);
  if (!by_hand && success && !again) answer_waiters(worker, daemon, Wait::running, Exit::done, "done: " + describe_end(daemon));
  else if (!by_hand)
    answer_waiters(worker, daemon, Wait::running, Exit::failed, describe_short_run(worker, daemon, ran));
  if (!daemon.wanted) return raise(worker, daemon, Event::down);
  if (by_hand) return raise(worker, daemon, Event::up);
  if (success && daemon.terms.on_connection) return wait_for_next(worker, daemon, ran, now);
  const bool gave_up = again && gives_up(daemon, policy, now);
  if (gave_up) {
    record(worker, daemon, Deed::given_up, by_itself, 0, daemon.ends);
    note(worker, fmt::format("{} has ended {} times within {} and is given up", id_of(worker, daemon), daemon.ends,
                             short_time(policy.give_up_ms)));
  }
  if (!again || gave_up) {
    if (!gave_up) daemon.ends = 0;  // so that of one that has failed they tell that it was given up
    daemon.wanted = false;
    daemon.rest = success && !gave_up ? Rest::done : Rest::failed;
    return raise(worker, daemon, Event::down);
  }
  if (pause == 0) return raise(worker, daemon, Event::expired);
  set_timer(worker, daemon, now + static_cast<std::int64_t>(pause));
  ask_remember(worker, daemon);
}

}  // namespace dm::worker
