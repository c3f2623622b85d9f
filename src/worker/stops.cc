// Who stops before whom: each after those that require it, or come after it. Sandboxed.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr std::int64_t longest_wait_ms = 3'600'000;  // for others: what those wait for ends by itself long before

bool lies_down(const Daemon &daemon) {
  return daemon.state == State::stopped || daemon.state == State::waiting || daemon.state == State::binding ||
         daemon.state == State::cooldown || daemon.state == State::clearing;
}

// One that depends on it is still to go first. One that did not go in its stop_timeout, and was killed, is not waited for; nor is one
// of the same knot, which would wait for this one.
bool must_stay(Worker &worker, const Daemon &daemon) {
  bool stays = false;
  const Kin *kin = kin_of(worker, daemon.owner, daemon.family());
  each_dependant(worker, daemon, false, [&](const Daemon &it) {
    const bool killed = (it.state == State::stopping || it.state == State::finishing) && it.timer_ms == 0;
    const bool knot = it.lingers && kin->cyclic && kin_of(worker, it.owner, it.family())->cyclic;
    stays = !knot && (it.lingers || (!it.wanted && !lies_down(it) && !killed));
    return !stays;
  });
  return stays;
}

// Each behind those of them that depend on it; those of a knot, and what is behind it, last.
std::vector<Daemon *> dependants_first(Worker &worker, const std::vector<Daemon *> &daemons) {
  std::map<Daemon *, std::size_t> before;
  for (Daemon *daemon : daemons) before[daemon] = 0;
  for (Daemon *daemon : daemons)
    each_dependant(worker, *daemon, false, [&](Daemon &it) { return before[daemon] += before.contains(&it), true; });
  std::vector<Daemon *> sorted;
  for (Daemon *daemon : daemons)
    if (before[daemon] == 0) sorted.push_back(daemon);
  for (std::size_t i = 0; i < sorted.size(); i++) {
    const std::vector<Daemon *> all = required(worker, *sorted[i], false);
    for (Daemon *it : std::set<Daemon *>(all.begin(), all.end()))
      if (const auto found = before.find(it); found != before.end() && found->second != 0 && --found->second == 0) sorted.push_back(it);
  }
  for (Daemon *daemon : daemons)
    if (before[daemon] != 0) sorted.push_back(daemon);
  return sorted;
}

}  // namespace

void release(Worker &worker, Daemon &daemon) {
  if (!daemon.lingers || worker.order.ties_until != 0 || must_stay(worker, daemon)) return;
  renew_waiters(daemon, Wait::stopped, 0);
  want_down(worker, daemon);
}

bool end_lingering(Worker &worker, Daemon &daemon) {
  if (!std::exchange(daemon.lingers, false)) return false;
  touch(worker, daemon);
  return true;
}

void await_ties(Worker &worker) {
  Order &order = worker.order;
  if (order.ties_until == 0 || !worker.replayed) return;
  const auto read = [&worker](std::size_t owner) { return worker.owners[owner].scanned || !is_served(worker, static_cast<std::uint32_t>(owner)); };
  while (order.ties_read < worker.owners.size() && read(order.ties_read)) order.ties_read++;
  if (order.ties_read < worker.owners.size() && now_ms() < order.ties_until) return;
  order.ties_until = 0;
  for (std::uint32_t i = 0; i < worker.owners.size(); i++)
    for (const auto &[name, daemon] : worker.owners[i].daemons)
      if (daemon->lingers) order.touched.emplace(i, daemon->family());
}

void stop_in_order(Worker &worker, std::span<Daemon *const> daemons) {
  std::vector<Daemon *> held;
  for (Daemon *daemon : daemons) {
    const Kin *kin = kin_of(worker, daemon->owner, daemon->family());
    // (After a takeover one may linger of which it is not known yet who depends on it.)
    const bool alone = !daemon->lingers && (kin == nullptr || kin->dependants.empty());
    if (alone || lies_down(*daemon) || daemon->state == State::stopping || daemon->state == State::finishing) {
      want_down(worker, *daemon);
      continue;
    }
    daemon->wanted = daemon->rescan_first = false;
    daemon->lingers = true;
    held.push_back(daemon);
  }
  // What is required is remembered last: where a kill leaves the rest undone, nobody goes before those that depend on it.
  for (Daemon *daemon : dependants_first(worker, held)) {
    std::int64_t before_ms = 0;
    each_dependant(worker, *daemon, false, [&before_ms](const Daemon &it) {
      before_ms = std::max<std::int64_t>(before_ms, it.stop_timeout_ms);
      return true;
    });
    renew_waiters(*daemon, Wait::stopped, std::min(before_ms * static_cast<std::int64_t>(held.size()), longest_wait_ms));
    answer_waiters(worker, *daemon, Wait::running, Exit::failed, "it was stopped meanwhile");
    ask_remember(worker, *daemon);
    worker.order.touched.emplace(daemon->owner, daemon->family());
  }
}

}  // namespace dm::worker
