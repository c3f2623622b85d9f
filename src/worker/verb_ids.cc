// Whom a client means, and whether he may: ids, names of families and of users. Sandboxed. What is not permitted goes to the manager's
// log.
#include "worker/verbs.hh"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace dm::worker {
namespace {

constexpr unsigned refusals_logged = 8;  // of one request, which may hold thousands

std::string who(const Worker &worker, const Client &client) {
  return client.user == no_user ? fmt::format("uid {}", client.uid)
                                : fmt::format("{} (uid {})", user_name(worker, client.user), client.uid);
}

// The daemons of this name that the client means, several where it is a family: his own first, else the only ones he manages. Says
// what is wrong.
std::vector<Daemon *> find_plain(Worker &worker, const Request &request, std::string_view name) {
  std::vector<std::vector<Daemon *>> found;
  for (const std::uint32_t i : request.owners) {
    std::vector<Daemon *> his = named(worker, i, name);
    if (his.empty()) continue;
    if (i == request.client.user) return his;
    found.push_back(std::move(his));
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    say_outcome(request.client, Exit::no_such_daemon, name,
                fmt::format("no daemon '{}'; dmctl list shows those there are, dmctl rescan reads new confs", name));
    return {};
  }
  std::string list;
  for (const auto &his : found) list += (list.empty() ? "" : ", ") + user_name(worker, his.front()->owner) + "/" + std::string(name);
  say_outcome(request.client, Exit::usage, name, fmt::format("several daemons have that name: {}. Say which", list));
  return {};
}

std::vector<Daemon *> find_full(Worker &worker, const Request &request, std::string_view id) {
  const std::size_t slash = id.rfind('/');
  const std::uint32_t owner = worker.policy.find_name(id.substr(0, slash));
  if (owner == no_user || !sees(worker, request.client, owner)) {
    not_permitted(worker, request, id);
    return {};
  }
  std::vector<Daemon *> found = named(worker, owner, id.substr(slash + 1));
  if (found.empty())
    say_outcome(request.client, Exit::no_such_daemon, id,
                fmt::format("no daemon '{}'; dmctl list shows those there are, dmctl rescan reads new confs", id));
  return found;
}

}  // namespace

void audit(Worker &worker, const Client &client, std::string_view verb, std::string_view subject, const char *verdict) {
  note(worker, fmt::format("{}: {} {}: {}", who(worker, client), verb, subject, verdict));
}

// The same words whether or not there is such a user or daemon; root, who may all, is told that there is none.
void not_permitted(Worker &worker, const Request &request, std::string_view id) {
  const std::string_view owner = id.substr(0, id.rfind('/'));
  if (request.client.uid == 0)
    return say_outcome(request.client, Exit::no_such_daemon, id, fmt::format("there is no user '{}' in the master config", owner));
  const unsigned before = request.client.refused++;
  if (before < refusals_logged) audit(worker, request.client, request.verb, id, "not permitted");
  else if (before == refusals_logged) audit(worker, request.client, request.verb, "and more", "not permitted");
  say_outcome(request.client, Exit::not_permitted, id,
              fmt::format("not permitted: you do not manage the daemons of {}. Root can allow it under [manages] in the "
                          "master config",
                          owner));
}

std::vector<Daemon *> all_of(Worker &worker, const Request &request) {
  std::vector<Daemon *> all;
  for (const std::uint32_t i : request.owners)
    for (auto &[name, daemon] : worker.owners[i].daemons) all.push_back(daemon.get());
  std::ranges::sort(all, {}, [&](const Daemon *it) { return std::tuple(user_name(worker, it->owner), it->family(), it->instance); });
  return all;
}

// The daemons that the ids name, each once, in their order; what is wrong with an id is said.
std::vector<Daemon *> resolve(Worker &worker, const Request &request) {
  std::vector<Daemon *> out;
  std::set<std::string_view> ids;  // each once: `all`, said eight thousand times, would keep everybody waiting
  for (const std::string_view id : request.ids) {
    if (!ids.insert(id).second) continue;
    if (id == "all") {
      for (Daemon *daemon : all_of(worker, request)) out.push_back(daemon);
      continue;
    }
    for (Daemon *daemon : id.find('/') == id.npos ? find_plain(worker, request, id) : find_full(worker, request, id)) out.push_back(daemon);
  }
  std::vector<Daemon *> once;
  std::set<const Daemon *> seen;
  for (Daemon *daemon : out)
    if (seen.insert(daemon).second) once.push_back(daemon);
  return once;
}

bool sees(const Worker &worker, const Client &client, std::uint32_t owner) {
  return client.uid == 0 || (client.user != no_user && worker.policy.may_manage(client.user, owner));
}

}  // namespace dm::worker
