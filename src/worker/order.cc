// Which daemon waits for which before it starts: requires= and after=. Sandboxed. (Who stops before whom: stops.cc.)
#include <fmt/core.h>

#include <algorithm>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr std::int64_t long_wait_ms = 3'600'000;  // for others: what those wait for ends by itself long before

bool names(const Tie &tie, const Daemon &daemon) {
  return tie.owner == daemon.owner && (tie.name == daemon.name || tie.name == daemon.family());
}

std::vector<Daemon *> tied(Worker &worker, const Tie &tie) {
  if (tie.owner == no_user) return {};
  std::vector<Daemon *> all = named(worker, tie.owner, tie.name);
  std::erase_if(all, [](const Daemon *it) { return !it->in_book; });
  return all;
}

// What requires it may start. A task has its purpose behind it then.
bool is_up(const Daemon &daemon) {
  if (daemon.task) return daemon.state == State::stopped && daemon.rest == Rest::done;
  return (daemon.state == State::running || daemon.state == State::listening) && !daemon.lingers;
}

// It is being started, or will be in a moment: what comes after it waits. Where a start has failed nobody does any more.
bool on_its_way(const Daemon &daemon) {
  switch (daemon.state) {
    case State::binding:
    case State::starting:
    case State::readying:
    case State::waiting: return true;
    case State::running: return daemon.task;
    case State::listening: return false;
    case State::stopped: return daemon.wanted && daemon.usable && daemon.problem.empty();
    case State::finishing:
    case State::stopping: return daemon.wanted && daemon.ordered;
    case State::clearing:
    case State::cooldown: return daemon.throttled;
  }
  return false;
}

bool blocks(const Tie &tie, const Daemon &daemon) { return tie.needed ? !is_up(daemon) : on_its_way(daemon); }

bool blocked(Worker &worker, const Daemon &daemon) {
  const Kin *kin = kin_of(worker, daemon.owner, daemon.family());
  if (kin == nullptr) return false;
  for (const Tie &tie : kin->ties) {
    const std::vector<Daemon *> all = tied(worker, tie);
    if (tie.needed && all.empty()) return true;
    if (std::ranges::any_of(all, [&tie](const Daemon *it) { return blocks(tie, *it); })) return true;
  }
  return false;
}

void reconsider(Worker &worker, Daemon &daemon) {
  if (daemon.state != State::waiting) return;
  if (daemon.usable && blocked(worker, daemon)) return daemon.lift_later ? void(held_back(worker, daemon, false)) : void();
  renew_waiters(daemon, Wait::running, 0);
  raise(worker, daemon, Event::up);
}

// What has changed is looked at in one go: ten thousand that depend on one and stop are no ten thousand looks at all of them.
void look_again(Worker &worker) {
  std::set<Key> touched, waiting, leaving;
  touched.swap(worker.order.touched);
  for (const Key &key : touched) {
    advance_roll(worker, key);
    leaving.insert(key);
    const Kin *kin = kin_of(worker, key.first, key.second);
    if (kin == nullptr) continue;
    waiting.insert(key);
    waiting.insert(kin->dependants.begin(), kin->dependants.end());
    for (const Tie &tie : kin->ties)
      if (tie.owner != no_user) leaving.emplace(tie.owner, tie.name.substr(0, tie.name.find(':')));
  }
  for (const Key &key : waiting)
    for (Daemon *daemon : named(worker, key.first, key.second)) reconsider(worker, *daemon);
  for (const Key &key : leaving)
    for (Daemon *daemon : named(worker, key.first, key.second)) release(worker, *daemon);
}

Daemon *find(Worker &worker, const Key &key) {
  if (key.first >= worker.owners.size()) return nullptr;
  const auto found = worker.owners[key.first].daemons.find(key.second);
  return found == worker.owners[key.first].daemons.end() ? nullptr : found->second.get();
}

// Those who wait for it are told; they wait on, for it may come back.
void tell_failure(Worker &worker, const Key &key, const std::string &why) {
  Daemon *failed = find(worker, key);
  if (failed == nullptr || is_up(*failed)) return;
  std::vector<Daemon *> told;
  each_dependant(worker, *failed, true, [&told](Daemon &it) {
    if (it.state == State::waiting) told.push_back(&it);
    return true;
  });
  for (Daemon *daemon : told) {
    // Once for each who has asked for it; that it failed again for those who ask no more would leave no room for anything else.
    if (std::ranges::count(daemon->waiters, Wait::running, &Waiter::wait) != 0) record(worker, *daemon, Deed::start_failed, daemon->by, failed_need);
    answer_waiters(worker, *daemon, Wait::running, Exit::failed, fmt::format("requires {}, which does not run: {}", id_of(worker, *failed), why));
  }
}

void lift(Worker &worker, const Key &key) {
  Daemon *daemon = find(worker, key);
  if (daemon == nullptr || is_up(*daemon) || worker.stopping) return;
  if (!daemon->wanted) {
    daemon->by = by_need;
    note(worker, fmt::format("{} is started: another requires it", id_of(worker, *daemon)));
  }
  want_up(worker, *daemon);
}

}  // namespace

void each_dependant(Worker &worker, const Daemon &daemon, bool needed, const std::function<bool(Daemon &)> &what) {
  const Kin *kin = kin_of(worker, daemon.owner, daemon.family());
  if (kin == nullptr) return;
  for (const Key &key : kin->dependants) {
    const Kin *its = kin_of(worker, key.first, key.second);
    const bool tied_so = its != nullptr && std::ranges::any_of(its->ties, [&](const Tie &tie) { return names(tie, daemon) && (tie.needed || !needed); });
    if (!tied_so) continue;
    for (Daemon *dependant : named(worker, key.first, key.second))
      if (dependant != &daemon && !what(*dependant)) return;
  }
}

std::vector<Daemon *> dependants(Worker &worker, const Daemon &daemon) {
  std::vector<Daemon *> all;
  each_dependant(worker, daemon, true, [&all](Daemon &it) {
    if (it.state != State::stopped || (it.wanted && it.usable)) all.push_back(&it);
    return true;
  });
  return all;
}

std::vector<Daemon *> required(Worker &worker, const Daemon &daemon, bool needed) {
  std::vector<Daemon *> all;
  const Kin *kin = kin_of(worker, daemon.owner, daemon.family());
  for (const Tie &tie : kin != nullptr ? kin->ties : std::vector<Tie>())
    for (Daemon *it : tie.needed || !needed ? tied(worker, tie) : std::vector<Daemon *>()) all.push_back(it);
  return all;
}

bool held_back(Worker &worker, Daemon &daemon, bool by_hand) {
  daemon.lift_later = false;
  if (worker.owners[daemon.owner].kins.empty() || !blocked(worker, daemon)) return false;
  for (const Tie &tie : kin_of(worker, daemon.owner, daemon.family())->ties) {
    const std::vector<Daemon *> all = tie.needed ? tied(worker, tie) : std::vector<Daemon *>();
    daemon.lift_later = daemon.lift_later || (tie.needed && all.empty());
    for (const Daemon *it : all)
      if (!is_up(*it) && (by_hand || (!it->wanted && it->rest != Rest::failed && !(worker.resuming && it->rest == Rest::done)))) worker.order.lifted.emplace_back(it->owner, it->name);
  }
  renew_waiters(daemon, Wait::running, long_wait_ms);
  return true;
}

void resume(Worker &worker, Daemon &daemon) {
  worker.resuming = true;
  want_up(worker, daemon);
  worker.resuming = false;
}

std::string describe_wait(Worker &worker, const Daemon &daemon) {
  const Kin *kin = kin_of(worker, daemon.owner, daemon.family());
  if (kin == nullptr) return {};
  for (const Tie &tie : kin->ties)
    for (const Daemon *it : tied(worker, tie))
      if (blocks(tie, *it))
        return fmt::format("waits for {}, which {}{}{}", id_of(worker, *it),
                           it->state == State::cooldown ? "waits for its next start" : fmt::format("is {}", state_name(*it)),
                           it->problem.empty() ? "" : ": ", it->problem.text());
  return "waits for the confs of others to be read";
}

void touch(Worker &worker, const Daemon &daemon) {
  if (daemon.owner == no_user || worker.owners[daemon.owner].kins.empty()) return;
  const auto found = worker.owners[daemon.owner].kins.find(daemon.family());
  if (found != worker.owners[daemon.owner].kins.end()) worker.order.touched.emplace(daemon.owner, found->first);
}

void touch_all(Worker &worker, std::uint32_t owner) {
  for (const auto &[family, kin] : worker.owners[owner].kins) worker.order.touched.emplace(owner, family);
}

void hear(Worker &worker, const Daemon &daemon, bool good, const std::string &text) {
  if (daemon.owner == no_user) return;
  Kin *kin = kin_of(worker, daemon.owner, daemon.family());
  if (kin == nullptr) return;
  if (!good && !kin->dependants.empty()) {
    worker.order.failed.emplace_back(daemon.owner, daemon.name);
    worker.order.reasons.push_back(text);
  }
  if (kin->roll.current != daemon.name || kin->roll.heard) return;
  kin->roll.heard = true;
  kin->roll.good = good;
  kin->roll.text = text;
  touch(worker, daemon);
}

void check_order(Worker &worker) {
  Order &order = worker.order;
  await_ties(worker);
  std::set<Key> lifted;  // each once: in a chain all that is above would lift all that is below
  while (!order.touched.empty() || !order.lifted.empty() || !order.failed.empty()) {
    if (!order.lifted.empty()) {
      const Key key = std::move(order.lifted.front());
      order.lifted.pop_front();
      if (lifted.insert(key).second) lift(worker, key);
    } else if (!order.failed.empty()) {
      const Key key = std::move(order.failed.front());
      const std::string why = std::move(order.reasons.front());
      order.failed.pop_front();
      order.reasons.pop_front();
      tell_failure(worker, key, why);
    } else {
      look_again(worker);
    }
  }
}

}  // namespace dm::worker
