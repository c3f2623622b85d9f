// What becomes of a daemon whose run has ended, as its conf says. Sandboxed.
#include <fmt/core.h>

#include <utility>

#include "lib/text.hh"
#include "worker/worker.hh"

namespace dm::worker {
namespace {

// True when it has ended so often within its give_up_after that this end was the last.
bool gives_up(Daemon &daemon, const RunPolicy &policy, std::int64_t now) {
  if (policy.give_up_ends == 0) return false;
  if (daemon.ends == 0 || now - daemon.ends_since > policy.give_up_ms) daemon.ends = 0, daemon.ends_since = now;
  return ++daemon.ends >= policy.give_up_ends;
}

}  // namespace

void cool(Worker &worker, Daemon &daemon, std::int64_t now) {
  const bool began = daemon.report.stage == RunStage::none;
  const std::uint64_t ran = began ? static_cast<std::uint64_t>(daemon.ended_ms - daemon.started_ms) : 0;
  const std::optional<Conf> conf = daemon.particular ? read_conf(worker, daemon) : std::nullopt;
  const RunPolicy policy = conf ? conf->policy : RunPolicy{};
  const bool success = began && policy.success(daemon.end_code, daemon.end_status);
  const std::uint64_t pause = next_cooldown(ran, daemon.step, policy.cooldown);
  const bool again = policy.again(success), by_hand = std::exchange(daemon.hurry, false);
  if (!by_hand && success && !again) answer_waiters(worker, daemon, Wait::running, Exit::done, "done: " + describe_end(daemon));
  else if (!by_hand)
    answer_waiters(worker, daemon, Wait::running, Exit::failed,
                   began ? "it ended at once: " + describe_end(daemon) : describe_failure(worker, daemon));
  if (!daemon.wanted) return raise(worker, daemon, Event::down);
  if (by_hand) return raise(worker, daemon, Event::up);
  const bool gave_up = again && gives_up(daemon, policy, now);
  if (gave_up)
    note(worker, fmt::format("{} has ended {} times within {} and is given up", id_of(worker, daemon), daemon.ends,
                             short_time(policy.give_up_ms)));
  if (!again || gave_up) {
    daemon.wanted = false;
    daemon.rest = success && !gave_up ? Rest::done : Rest::failed;
    return raise(worker, daemon, Event::down);
  }
  if (pause == 0) return raise(worker, daemon, Event::expired);
  set_timer(worker, daemon, now + static_cast<std::int64_t>(pause));
  ask_remember(worker, daemon);
}

}  // namespace dm::worker
