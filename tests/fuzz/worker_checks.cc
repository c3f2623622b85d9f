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
    must(valid_member_name(daemon->name) || daemon->owner == no_user, "a daemon has a name");
    must(daemon->instance <= max_instances && (daemon->instance != 0) == (daemon->name.find(':') != std::string::npos), "a daemon of a family has a number");
    must(daemon->scaled <= max_instances && daemon->scaled_from <= max_instances, "a family has a size");
    must(!daemon->lingers || !daemon->wanted, "what waits to be stopped is not wanted");
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
  for (const Owner &owner : it.owners)
    for (const auto &[name, kin] : owner.kins) {
      must(kin.roll.clients.empty() || kin.roll.on(), "whoever waits for a restart one by one waits for one that goes on");
      for (const ClientId client : kin.roll.clients) waits[client]++;
    }
  for (const worker::Unkept &unkept : it.unkept) waits[unkept.client]++;
  for (const ClientId client : it.keeping) waits[client]++;
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

namespace {

// Each tie has its other end, and nothing is left to be done before the worker waits again.
void check_ties(const worker::Worker &it) {
  must(it.order.touched.empty() && it.order.lifted.empty() && it.order.failed.empty(), "what waits for others has been looked at");
  for (std::uint32_t i = 0; i < it.owners.size(); i++)
    for (const auto &[name, kin] : it.owners[i].kins) {
      must(kin.instances <= max_instances && kin.size() <= max_instances, "a family has a size");
      for (const worker::Tie &tie : kin.ties) {
        if (tie.owner == no_user) continue;
        const auto &others = it.owners.at(tie.owner).kins;
        const auto other = others.find(tie.name.substr(0, tie.name.find(':')));
        must(other != others.end() && other->second.dependants.contains({i, name}), "a tie is known at both ends");
      }
    }
}

}  // namespace

void check_worker(const World &w) {
  const worker::Worker &it = *w.worker;
  check_ties(it);
  const std::set<const Daemon *> all = all_daemons(it);
  check_places(it, all);
  check_waits(it, all);
}

bool all_said(const World &w) { return w.worker->to_monitor.count == 0 && w.slot_asks.empty(); }

void check_rest(const World &w) {
  const worker::Worker &it = *w.worker;
  must(it.to_monitor.count == 0, "the monitor has heard everything");
  must(w.slot_asks.empty(), "who has asked for places has got them, or heard that there is none");
  for (const Peer &peer : w.peers)
    must(!peer.socket || peer.ended || peer.closed || !peer.reads, "every client is answered in the end, or let go");
  for (const auto &[id, client] : it.clients) must(client->pending == 0 || client->closing, "nobody waits for ever");
  for (const Place &place : w.places) {
    if (place.told.state == SlotState::free) continue;
    const Daemon *daemon = it.by_slot[place.told.handle.slot];
    must(daemon != nullptr && daemon->handle == place.told.handle, "no place is forgotten");
    const bool runs = place.told.state == SlotState::starting || place.told.state == SlotState::running;
    must(runs == (daemon->slot_running || daemon->state == worker::State::finishing), "the worker knows what runs");
    must(!runs || daemon->state == worker::State::running || daemon->state == worker::State::stopping || daemon->state == worker::State::starting ||
             daemon->state == worker::State::readying || daemon->state == worker::State::finishing,
         "what runs is shown so");
    must(daemon->state != worker::State::stopping && daemon->state != worker::State::clearing && daemon->state != worker::State::finishing,
         "what was stopped has stopped");
    must(!daemon->settling && daemon->state != worker::State::binding, "sockets come and go to the end");
    must(daemon->state != worker::State::stopped || place.told.sockets == 0, "what is stopped has no sockets");
  }
  for (const Owner &owner : it.owners)
    for (const auto &[name, daemon] : owner.daemons)
      must(daemon->placed || !daemon->usable || daemon->queued, "what can run has a place, or waits for one");
}

}  // namespace dm::fuzz
