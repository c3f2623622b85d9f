// Who asked for an owner's confs to be read again, and what he is told of them. Sandboxed.
#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "worker/verbs.hh"

namespace dm::worker {
namespace {

constexpr unsigned managed_named = 8;

// What is to be done about the conf of one that runs.
std::string describe_change(const Daemon &daemon, const std::string &who) {
  const std::string restart = fmt::format("dmctl restart {}/{}", who, daemon.family());
  if (daemon.outdated()) return fmt::format("conf changed; {} applies it", restart);
  if (daemon.secrets) return fmt::format("conf changed; what it says of starts and ends counts already, and if an export changed, {} applies it", restart);
  return "conf changed; what changed counts already, and needs no restart";
}

// Whether the conf is there of which a daemon is none any more, as its instances= is smaller.
bool conf_is_there(Worker &worker, std::uint32_t index, std::string_view name) {
  return std::ranges::any_of(named(worker, index, name.substr(0, name.find(':'))), &Daemon::in_book);
}

void tell_changes(Worker &worker, Client &client, std::uint32_t index, const Changes &changes) {
  Owner &owner = worker.owners[index];
  const std::string who = user_name(worker, index);
  if (owner.result != BookResult::ok || (owner.problem != BookProblem::none && owner.problem != BookProblem::missing))
    say_outcome(client, Exit::failed, who, describe_problem(worker, index, owner.problem, owner.detail, ""));
  for (const std::string &name : changes.gone)
    say_outcome(client, Exit::done, who + "/" + name,
                conf_is_there(worker, index, name) ? "its conf does not mean it any more: stopped and forgotten"
                                                   : "its conf is gone: stopped and forgotten");
  std::string_view said;
  for (const std::string &name : changes.changed) {
    const auto found = owner.daemons.find(name);
    if (found == owner.daemons.end() || found->second->state == State::stopped || !found->second->usable) continue;
    const std::string_view family = found->second->family();
    if (family != said)
      say_outcome(client, Exit::done, fmt::format("{}/{}", who, family), describe_change(*found->second, who));
    said = family;
  }
  for (const std::string &text : changes.warned) say_text(client, "warning: " + text + "\n");
  for (const std::string &text : changes.bad) say_outcome(client, Exit::failed, who, text);
  for (const std::string &name : changes.fresh) {
    const auto found = owner.daemons.find(name);
    if (found == owner.daemons.end() || !found->second->usable) continue;
    if (!found->second->autostart) {
      say_outcome(client, Exit::done, who + "/" + name, "new; autostart=no, so dmctl start starts it");
      continue;
    }
    found->second->by = client.uid;
    add_waiter(worker, *found->second, client, Wait::running);
  }
  if (changes.gone.empty() && changes.changed.empty() && changes.bad.empty() && changes.fresh.empty() &&
      owner.problem == BookProblem::none && owner.result == BookResult::ok)
    say_text(client, fmt::format("{}: nothing new in {} confs\n", who, owner.daemons.size()));
  else if (owner.problem == BookProblem::missing)
    say_text(client, fmt::format("{}: no daemons yet\n", who));
}

// The daemon, or all of the family, of a name that was in no conf before.
void start_unread(Worker &worker, std::uint32_t index, const ScanWaiter &waiter, Client *client) {
  const std::vector<Daemon *> found = named(worker, index, waiter.start);
  if (found.empty() && client != nullptr)
    no_daemon(worker, *client, client->user == index ? waiter.start : user_name(worker, index) + "/" + waiter.start, std::span(&index, 1));
  for (Daemon *daemon : found) {
    daemon->by = waiter.uid;
    if (client != nullptr) add_waiter(worker, *daemon, *client, Wait::running);
    want_up(worker, *daemon);
  }
}

// Why nothing comes of what was asked for: its conf could not be read.
std::string unread_text(const Worker &worker, std::uint32_t index, const ScanWaiter &waiter) {
  const Owner &owner = worker.owners[index];
  return fmt::format("its conf could not be read, so {}: {}", waiter.again == Again::none ? "it is not started before it can be" : "it was not restarted, and is as it was",
                     describe_problem(worker, index, owner.problem, owner.detail, ""));
}

// Of those that run, and so run as their confs were before.
void keep_changes(Worker &worker, std::uint32_t index, const std::vector<ScanWaiter> &waiting, const Changes &changes) {
  std::uint32_t uid = by_itself;
  for (const ScanWaiter &waiter : waiting)
    if (const Client *client = find_client(worker, waiter.client); client != nullptr && uid == by_itself) uid = client->uid;
  for (const std::string &name : changes.changed)
    if (const auto found = worker.owners[index].daemons.find(name); found != worker.owners[index].daemons.end() && found->second->slot_running)
      record(worker, *found->second, Deed::changed, uid);
}

// Nobody can become one who has no uid just now, and one who may have no daemons has no confs, so none are read.
void refuse_unserved(Worker &worker, std::uint32_t index, const ScanWaiter &waiter) {
  const bool struck = !may_have_daemons(worker, index);
  const std::string text = struck ? no_confs_of(worker, user_name(worker, index)) : unresolved_text(worker, index);
  const auto found = worker.owners[index].daemons.find(waiter.start);
  if (found != worker.owners[index].daemons.end()) answer_waiters(worker, *found->second, Wait::running, Exit::failed, text);
  Client *client = find_client(worker, waiter.client);
  if (client == nullptr) return;
  say_outcome(*client, struck ? Exit::not_permitted : Exit::failed, user_name(worker, index) + (waiter.start.empty() ? "" : "/" + waiter.start), text);
  advance(worker, *client);
}

// Of one who has asked for his own to be read: that he may have none, and whose he may name.
std::string no_confs_of_his(const Worker &worker, const Client &client) {
  if (client.uid == 0) return fmt::format("nobody is listed under [runs_as] in {}", worker.policy.text(worker.policy.header->config));
  std::string list;
  unsigned count = 0;
  for (std::uint32_t i = 0; i < worker.owners.size(); i++)
    if (i != client.user && sees(worker, client, i) && may_have_daemons(worker, i) && count++ < managed_named)
      list += (list.empty() ? "" : ", ") + user_name(worker, i);
  if (count > managed_named) list += fmt::format(" and {} more", count - managed_named);
  const std::string text = no_confs_of(worker, "you");
  return count == 0 ? text : fmt::format("{}. You manage the daemons of {}: dmctl rescan -u USER reads the confs of one of them", text, list);
}

}  // namespace

bool resolved(const Worker &worker, std::uint32_t user) { return (worker.policy.users[user].flags & user_resolved) != 0; }

bool may_have_daemons(const Worker &worker, std::uint32_t user) { return (worker.policy.users[user].flags & user_runs) != 0; }

bool is_served(const Worker &worker, std::uint32_t user) { return may_have_daemons(worker, user) && resolved(worker, user); }

bool is_struck(const Worker &worker, std::uint32_t user) {
  return !may_have_daemons(worker, user) && (worker.policy.header->settings & setting_group_unresolved) == 0;
}

bool is_allowed(const Worker &worker, const Daemon &daemon) {
  return daemon.owner != no_user && daemon.target != no_user && worker.policy.may_run(daemon.owner, daemon.target);
}

std::string no_confs_of(const Worker &worker, std::string_view whom) {
  return fmt::format("not permitted: {0} may have no daemons; root can list {0} under [runs_as] in {1}", whom,
                     worker.policy.text(worker.policy.header->config));
}

std::string unresolved_text(const Worker &worker, std::uint32_t user) {
  return fmt::format("{} is not known to the name service just now; it is asked again every minute", user_name(worker, user));
}

void rescan(Worker &worker, std::uint32_t index, bool create, ScanWaiter waiter) {
  Owner &owner = worker.owners[index];
  waiter.asked = waiter.client != 0;
  if (!is_served(worker, index)) return refuse_unserved(worker, index, waiter);
  Client *client = find_client(worker, waiter.client);
  if (client != nullptr) waiter.first_ms = client->first_ms;
  if (client != nullptr && client->no_wait) {
    say_outcome(*client, Exit::done, user_name(worker, index) + (waiter.start.empty() ? "" : "/" + waiter.start),
                "asked for; dmctl status tells how it goes");
    waiter.client = 0;
  } else if (client != nullptr) client->pending++;
  // (Of one request one reading is enough: of those that it names the quick would have ended, and be started again by the second.)
  const bool same = waiter.client != 0 && std::ranges::count(owner.waiting, waiter.client, &ScanWaiter::client) != 0;
  if (owner.scan_asked && same) {
    owner.waiting.push_back(std::move(waiter));
    return;
  }
  if (owner.scan_asked) {
    // What is being read now may have been read before the caller's change: read again afterwards.
    owner.scan_create = owner.scan_create || create;
    owner.waiting_next.push_back(std::move(waiter));
    return;
  }
  owner.scan_asked = true;
  owner.waiting.push_back(std::move(waiter));
  ask_scan(worker, index, create);
}

void answer_scan(Worker &worker, std::uint32_t index, const std::vector<ScanWaiter> &waiting, const Changes &changes) {
  keep_changes(worker, index, waiting, changes);
  for (const ScanWaiter &waiter : waiting) {
    Client *client = find_client(worker, waiter.client);
    if (client != nullptr) {
      client->pending--;
      if (waiter.list) tell_changes(worker, *client, index, changes);
    }
    if (waiter.start.empty()) continue;
    if (waiter.unread) {
      start_unread(worker, index, waiter, client);
      continue;
    }
    const auto found = worker.owners[index].daemons.find(waiter.start);
    // Nothing is done by a conf that may have changed, and that could not be read; unless nobody is left to be told.
    if (worker.owners[index].result != BookResult::ok && (waiter.asked || waiter.again != Again::none)) {
      if (client != nullptr) say_outcome(*client, Exit::failed, user_name(worker, index) + "/" + waiter.start, unread_text(worker, index, waiter));
      continue;
    }
    if (found == worker.owners[index].daemons.end()) {
      if (client != nullptr)
        say_outcome(*client, Exit::no_such_daemon, user_name(worker, index) + "/" + waiter.start,
                    "its conf is gone: " + conf_path(worker, index, waiter.start));
      continue;
    }
    Daemon &daemon = *found->second;
    if (waiter.again != Again::none) {
      restart_read(worker, daemon, waiter);
      continue;
    }
    if (take_up_start(worker, daemon, client, waiter.first_ms)) continue;
    if (!daemon.wanted) {  // a stop that came while its conf was being read
      if (client != nullptr) say_outcome(*client, Exit::failed, id_of(worker, daemon), "it was stopped meanwhile");
      continue;
    }
    if (client != nullptr) add_waiter(worker, daemon, *client, Wait::running);
    want_up(worker, daemon);
  }
}

void do_rescan(Worker &worker, const Request &request) {
  const Client &client = request.client;
  // Without a name it is about one's own confs, for root about everyone's: to read those of another may start his daemons.
  const bool unnamed = request.ids.empty() && request.user.empty();
  bool any = false;
  for (std::uint32_t i = 0; i < worker.owners.size(); i++) {
    const bool named = unnamed                 ? client.uid == 0 || i == client.user
                       : request.ids.empty() ? request.user == user_name(worker, i)
                                               : std::ranges::count(request.ids, std::string_view(user_name(worker, i))) > 0;
    if (!named || !sees(worker, client, i) || !may_have_daemons(worker, i) || (unnamed && !resolved(worker, i))) continue;
    any = true;
    audit(worker, client, "rescan", user_name(worker, i), "allowed");
    // His own word is enough to make his directories; so is another's who names him.
    rescan(worker, i, i == client.user || !unnamed, {client.id, true, ""});
  }
  if (any) return;
  audit(worker, client, "rescan", request.user, "not permitted: no such confs");
  const std::string_view whom = request.ids.empty() ? request.user : request.ids.front();
  say_outcome(request.client, Exit::not_permitted, "", unnamed ? no_confs_of_his(worker, client) : no_confs_of(worker, whom));
}

}  // namespace dm::worker
