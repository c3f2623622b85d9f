// What must hold of the worker's own books at any time in the fuzz targets.
#include <sys/socket.h>

#include "worker_world.hh"

namespace dm::fuzz {
namespace {

using worker::Client;
using worker::ClientId;
using worker::Daemon;
using worker::Owner;

std::set<const Daemon *> all_daemons(const worker::Worker &it) {
  std::set<const Daemon *> all;
  for (std::uint32_t i = 0; i < it.owners.size(); i++)
    for (const auto &[name, daemon] : it.owners[i].daemons) {
      must(daemon != nullptr && daemon->name == name && daemon->owner == i, "a daemon is known by its owner and name");
      all.insert(daemon.get());
    }
  for (const auto &stray : it.strays) all.insert(stray.get());
  return all;
}

void check_places(const worker::Worker &it, const std::set<const Daemon *> &all) {
  for (std::uint32_t i = 0; i < it.by_slot.size() && i < 2 * most_places; i++) {
    const Daemon *daemon = it.by_slot[i];
    must(daemon == nullptr || (all.contains(daemon) && daemon->placed && daemon->handle.slot == i), "a place has a daemon that there is");
  }
  std::size_t timers = 0;
  for (const Daemon *daemon : all) {
    must(!daemon->placed || it.by_slot[daemon->handle.slot] == daemon, "a daemon that has a place is found by it");
    must(valid_daemon_name(daemon->name) || daemon->owner == no_user, "a daemon has a name");
    must(daemon->stop_signal >= 1 && daemon->stop_signal <= 64, "a daemon has a signal that stops it");
    if (daemon->timer_ms == 0) continue;
    timers++;
    must(it.timers.contains({daemon->timer_ms, const_cast<Daemon *>(daemon)}), "a daemon's timer runs");
  }
  must(timers == it.timers.size(), "a timer is of a daemon that there is");
}

// Each wait that a client is counted for is somewhere, else he would never be answered.
void check_waits(const worker::Worker &it, const std::set<const Daemon *> &all) {
  std::map<ClientId, unsigned> waits;
  for (const Daemon *daemon : all)
    for (const worker::Waiter &waiter : daemon->waiters) waits[waiter.client]++;
  for (const Owner &owner : it.owners)
    for (const auto *list : {&owner.waiting, &owner.waiting_next})
      for (const worker::ScanWaiter &waiter : *list)
        if (waiter.client != 0) waits[waiter.client]++;
  std::map<std::uint32_t, unsigned> connections;
  for (const auto &[id, client] : it.clients) {
    connections[client->uid]++;
    const unsigned deferred = client->deferred ? 1 : 0;
    must(client->closing || client->pending == waits[id] + deferred, "a client waits for what there is to wait for");
    must(client->closing || !client->asked || client->ended || client->pending != 0, "a client that waits for nothing has its answer");
    must(client->sent <= client->out.size(), "no more is sent than there is");
  }
  must(connections == it.connections, "connections are counted");
}

}  // namespace

void check_worker(const World &w) {
  const worker::Worker &it = *w.worker;
  const std::set<const Daemon *> all = all_daemons(it);
  check_places(it, all);
  check_waits(it, all);
}

void check_rest(const World &w) {
  const worker::Worker &it = *w.worker;
  must(it.to_monitor.count == 0 && w.slot_asks.empty(), "the monitor has heard everything");
  for (const Peer &peer : w.peers)
    must(!peer.socket || peer.ended || peer.closed || !peer.reads, "every client is answered in the end, or let go");
  for (const auto &[id, client] : it.clients) must(client->pending == 0 || client->closing, "nobody waits for ever");
  for (const Place &place : w.places) {
    if (place.told.state == SlotState::free) continue;
    const Daemon *daemon = it.by_slot[place.told.handle.slot];
    must(daemon != nullptr && daemon->handle == place.told.handle, "no place is forgotten");
    const bool runs = place.told.state == SlotState::starting || place.told.state == SlotState::running;
    must(runs == daemon->slot_running, "the worker knows what runs");
    must(!runs || daemon->state == worker::State::running || daemon->state == worker::State::stopping || daemon->state == worker::State::starting,
         "what runs is shown so");
    must(daemon->state != worker::State::stopping && daemon->state != worker::State::clearing, "what was stopped has stopped");
  }
  for (const Owner &owner : it.owners)
    for (const auto &[name, daemon] : owner.daemons)
      must(daemon->placed || !daemon->usable || daemon->queued, "what can run has a place, or waits for one");
}

}  // namespace dm::fuzz
