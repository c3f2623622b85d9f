// Confs that stand for several daemons (instances=): how many there are, dmctl scale, and restarts one by one. Sandboxed.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

std::string member(std::string_view family, std::uint32_t instance) { return fmt::format("{}:{}", family, instance); }

void resize(Worker &worker, std::uint32_t index, std::string_view family, Kin &kin, std::vector<Daemon *> &fresh,
            std::vector<Daemon *> &surplus) {
  Owner &owner = worker.owners[index];
  bool wanted = false, any = false;
  for (const Daemon *it : named(worker, index, family)) any = any || it->instance != 0, wanted = wanted || it->wanted;
  for (std::uint32_t i = 1; i <= kin.size(); i++) {
    const std::string name = member(family, i);
    const auto found = owner.daemons.find(name);
    Daemon &daemon = found == owner.daemons.end() ? add_daemon(worker, index, name) : *found->second;
    daemon.scaled = kin.scaled;
    daemon.scaled_from = kin.scaled_from;
    if (daemon.in_book && (daemon.placed || daemon.queued)) {
      ask_remember(worker, daemon);
      continue;
    }
    daemon.in_book = true;
    read_again(worker, daemon, kin.entry);
    daemon.wanted = any ? wanted : daemon.autostart;
    daemon.lingers = daemon.lingers && !daemon.wanted;
    if (!daemon.placed && !daemon.queued) owner.unplaced.push_back(name), daemon.queued = true;
    fresh.push_back(&daemon);
    ask_remember(worker, daemon);
  }
  for (Daemon *daemon : named(worker, index, family)) {
    if (daemon->instance <= kin.size()) continue;
    // All remember the new size before the first is stopped: should the manager be killed on the way, one that told of the size
    // before would keep those that are left, and not those that had their stop. So do those of a size before that.
    daemon->scaled = kin.scaled;
    daemon->scaled_from = kin.scaled_from;
    ask_remember(worker, *daemon);
    if (std::exchange(daemon->in_book, false)) surplus.push_back(daemon);
  }
}

void tell_rollers(Worker &worker, Roll &roll, Exit code, const std::string &id, const std::string &text) {
  for (const ClientId id_of_client : roll.clients)
    if (Client *client = find_client(worker, id_of_client)) say_outcome(*client, code, id, text), advance(worker, *client);
}

void end_roll(Worker &worker, Roll &roll) {
  std::vector<std::uint64_t> clients;
  clients.swap(roll.clients);
  roll = Roll{};
  for (const ClientId id : clients)
    if (Client *client = find_client(worker, id)) client->pending--, advance(worker, *client);
}

bool runs(const Daemon &daemon) {
  return daemon.state == State::running || daemon.state == State::readying || daemon.state == State::starting;
}

// It runs, and could not be started again as its conf was when last read.
bool faulty_now(const Daemon &daemon) { return runs(daemon) && !daemon.problem.empty() && !daemon.elsewhere; }

std::string runs_on(const Daemon &daemon) { return fmt::format("{}; it was not restarted and runs on as it was", daemon.problem.text()); }

// Stops it and starts it. Where no reading has led to this (Again::none), its conf is read in between.
void restart_one(Worker &worker, Daemon &daemon, ScanWaiter waiter) {
  daemon.wanted = true;
  end_lingering(worker, daemon);
  daemon.step = 0;
  if (daemon.state == State::stopped || daemon.state == State::cooldown || daemon.state == State::waiting) {
    waiter.start = daemon.name;
    waiter.again = Again::none;
    return rescan(worker, daemon.owner, false, std::move(waiter));
  }
  if (Client *client = find_client(worker, waiter.client)) add_waiter(worker, daemon, *client, Wait::running);
  daemon.rescan_first = waiter.again == Again::none;
  raise(worker, daemon, Event::down);
}

}  // namespace

Kin *kin_of(Worker &worker, std::uint32_t owner, std::string_view family) {
  if (owner >= worker.owners.size() || worker.owners[owner].kins.empty()) return nullptr;
  const auto found = worker.owners[owner].kins.find(family);
  return found == worker.owners[owner].kins.end() ? nullptr : &found->second;
}

std::vector<Daemon *> named(Worker &worker, std::uint32_t index, std::string_view name) {
  std::vector<Daemon *> found;
  if (index >= worker.owners.size()) return found;
  auto &all = worker.owners[index].daemons;
  const auto alone = all.find(name);
  if (alone != all.end()) found.push_back(alone->second.get());
  if (name.find(':') != name.npos) return found;
  const std::string prefix = std::string(name) + ":";
  for (auto at = all.lower_bound(prefix); at != all.end() && at->first.starts_with(prefix); ++at) found.push_back(at->second.get());
  // One that its conf no longer means is shown until it has stopped, but is not what the name stands for.
  if (found.size() > 1 && found.front()->instance == 0 && !found.front()->in_book) found.erase(found.begin());
  std::ranges::sort(found, {}, [](const Daemon *it) { return it->instance; });
  return found;
}

std::vector<std::string> members(Worker &worker, std::uint32_t owner, const std::string &family, std::optional<std::uint32_t> instances) {
  std::vector<std::string> names;
  if (instances == 0U) return {family};
  if (!instances) {
    for (const Daemon *it : named(worker, owner, family)) names.push_back(it->name);
    return names.empty() ? std::vector{family} : names;
  }
  const Kin *kin = kin_of(worker, owner, family);
  const std::uint32_t size = kin != nullptr ? kin->size() : *instances;
  for (std::uint32_t i = 1; i <= size && i <= max_instances; i++) names.push_back(member(family, i));
  return names;
}

void inherit_families(Worker &worker, std::uint32_t index) {
  Owner &owner = worker.owners[index];
  for (const auto &[name, daemon] : owner.daemons) {
    if (daemon->scaled == 0) continue;
    const std::string family(daemon->family());
    Kin *kin = kin_of(worker, index, family);
    if (kin == nullptr && !owner.scanned) kin = &owner.kins[family], kin->instances = daemon->scaled_from;
    if (kin == nullptr || kin->instances != daemon->scaled_from) continue;
    // They were told one after the other: the last worker may have ended in between.
    kin->scaled = std::max(kin->scaled, daemon->scaled);
    kin->scaled_from = daemon->scaled_from;
  }
  std::vector<Daemon *> fresh, surplus;
  for (auto &[family, kin] : owner.kins)
    if (owner.scanned && kin.scaled != 0) resize(worker, index, family, kin, fresh, surplus);
}

bool scale(Worker &worker, std::uint32_t owner, std::string_view family, std::uint32_t size, std::vector<Daemon *> &fresh,
           std::vector<Daemon *> &surplus, std::string &why) {
  Kin *kin = kin_of(worker, owner, family);
  const std::vector<Daemon *> all = named(worker, owner, family);
  // (One that only had no place may get it now.)
  if (!all.empty() && std::ranges::none_of(all, &Daemon::usable)) why = all.front()->problem;
  if (kin == nullptr || kin->instances == 0) why = "its conf has no instances=, so that there is one of it";
  if (!why.empty()) return false;
  kin->scaled = size;
  kin->scaled_from = kin->instances;
  resize(worker, owner, family, *kin, fresh, surplus);
  touch_all(worker, owner);
  return true;
}

void restart(Worker &worker, Daemon &daemon, ClientId client) {
  if (!runs(daemon)) return restart_one(worker, daemon, {client, false, ""});
  daemon.wanted = true;  // until a stop that comes meanwhile
  end_lingering(worker, daemon);
  rescan(worker, daemon.owner, false, {client, false, daemon.name, Again::one});
}

void restart_family(Worker &worker, std::span<Daemon *const> family, Client &client, Again again) {
  for (Daemon *it : family) {
    if (runs(*it)) it->wanted = true, end_lingering(worker, *it);
    if (client.no_wait && it != family.front()) say_outcome(client, Exit::done, id_of(worker, *it), "asked for; dmctl status tells how it goes");
  }
  rescan(worker, family.front()->owner, false, {client.id, false, family.front()->name, again});
}

void begin_roll(Worker &worker, Kin &kin, std::span<Daemon *const> family, Client *client) {
  Roll &roll = kin.roll;
  // What does not run takes nothing away from those that do; a roll that is under way begins again behind the one it is at.
  roll.left.clear();
  for (const bool running : {false, true})
    for (Daemon *daemon : family) {
      if ((daemon->state == State::running) != running) continue;
      daemon->wanted = true;
      end_lingering(worker, *daemon);
      roll.left.push_back(daemon->name);
    }
  if (client != nullptr && client->no_wait) {
    for (const Daemon *daemon : family) say_outcome(*client, Exit::done, id_of(worker, *daemon), "asked for; dmctl status tells how it goes");
  } else if (client != nullptr && std::ranges::count(roll.clients, client->id) == 0) {
    roll.clients.push_back(client->id);
    client->pending++;
  }
  touch(worker, *family.front());
}

void restart_read(Worker &worker, Daemon &daemon, const ScanWaiter &waiter) {
  Client *client = find_client(worker, waiter.client);
  std::vector<Daemon *> all{&daemon};
  if (waiter.again != Again::one) all = named(worker, daemon.owner, daemon.family());
  std::erase_if(all, [&waiter](const Daemon *it) { return !it->in_book || (waiter.again == Again::running && !it->slot_running); });
  const bool gone = all.empty();
  std::erase_if(all, [&](const Daemon *it) {
    const bool stopped = !it->wanted && (waiter.again == Again::one || runs(*it));
    if (stopped && client != nullptr) say_outcome(*client, Exit::failed, id_of(worker, *it), "it was stopped meanwhile");
    return stopped;
  });
  bool sound = true;
  for (const Daemon *it : all) {
    if (!faulty_now(*it)) continue;
    sound = false;
    if (client != nullptr) say_outcome(*client, Exit::failed, id_of(worker, *it), runs_on(*it));
  }
  if (gone && client != nullptr)
    say_outcome(*client, Exit::no_such_daemon, id_of(worker, daemon), "its conf is gone: " + conf_path(worker, daemon.owner, daemon.name));
  if (!sound)
    for (Daemon *it : all) it->by = by_itself;  // nothing comes of what was asked for
  if (all.empty() || !sound) return;
  Kin *kin = kin_of(worker, daemon.owner, daemon.family());
  if (waiter.again != Again::one && kin != nullptr) return begin_roll(worker, *kin, all, client);
  for (Daemon *it : all) {
    if (runs(*it)) {
      restart_one(worker, *it, {waiter.client, false, "", Again::one});
      continue;
    }
    // It has ended meanwhile, and its conf was just read.
    if (client != nullptr) add_waiter(worker, *it, *client, Wait::running);
    want_up(worker, *it);
  }
}

void advance_roll(Worker &worker, const Key &key) {
  Owner &owner = worker.owners[key.first];
  for (;;) {
    Kin *kin = kin_of(worker, key.first, key.second);
    if (kin == nullptr || !kin->roll.on()) return;
    Roll &roll = kin->roll;
    if (!roll.current.empty()) {
      const auto found = owner.daemons.find(roll.current);
      if (found == owner.daemons.end() && !roll.heard) roll.heard = true, roll.good = false, roll.text = "it was forgotten: its conf is gone";
      if (!roll.heard) return;
      std::string text = roll.text, rest;
      for (const std::string &name : roll.left) rest += (rest.empty() ? "" : ", ") + name;
      if (!roll.good && !rest.empty()) text += fmt::format("; the restart of {} ends here: {} stay as they were", key.second, rest);
      tell_rollers(worker, roll, roll.good ? Exit::done : Exit::failed, user_name(worker, key.first) + "/" + roll.current, text);
      if (!roll.good) note(worker, fmt::format("the restart of {}/{} ends at {}: {}", user_name(worker, key.first), key.second, roll.current, roll.text));
      if (!roll.good) return end_roll(worker, roll);
      roll.current.clear();
    }
    if (roll.left.empty()) return end_roll(worker, roll);
    roll.heard = false;
    roll.current = std::move(roll.left.front());
    roll.left.pop_front();
    const auto found = owner.daemons.find(roll.current);
    // Meanwhile it was told to stop, or it is gone.
    if (found == owner.daemons.end() || !found->second->wanted || !found->second->in_book) {
      roll.current.clear();
      if (roll.left.empty()) return end_roll(worker, roll);
      continue;
    }
    // Its conf was read as the roll began, and perhaps once more since.
    if (faulty_now(*found->second)) roll.heard = true, roll.good = false, roll.text = runs_on(*found->second);
    else restart_one(worker, *found->second, {0, false, "", Again::one});
  }
}

void forget_roller(Worker &worker, ClientId id) {
  for (Owner &owner : worker.owners)
    for (auto &[family, kin] : owner.kins) std::erase(kin.roll.clients, id);
}

}  // namespace dm::worker
