// Whom a client means, and whether he may: ids, patterns, names of families and of users. Sandboxed. What is not permitted goes to the
// manager's log.
#include "worker/verbs.hh"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "lib/glob.hh"
#include "lib/nearest.hh"

namespace dm::worker {
namespace {

constexpr unsigned refusals_logged = 8;  // of one request, which may hold thousands
// What a guess at what was meant may cost: so many unknown ids of a request, so many daemons for each.
constexpr unsigned guesses = 3, daemons_compared = 2000;
// What the patterns of one request may cost, in letters compared: some ms, and for each daemon about as much as to show it.
constexpr std::uint64_t steps_of_request = 2'000'000, steps_of_daemon = 512;
constexpr std::uint64_t steps_to_look = 4, steps_to_find = 128;  // beside the letters: one that is compared, one that matches

std::string who(const Worker &worker, const Client &client) {
  return client.user == no_user ? fmt::format("uid {}", client.uid)
                                : fmt::format("{} (uid {})", user_name(worker, client.user), client.uid);
}

// Takes its part of a request's steps; false where there are not so many.
bool take_steps(std::uint64_t &steps, std::uint64_t many) {
  steps -= std::min(steps, many);
  return steps != 0;
}

// Offers the names of an owner's daemons, and keeps the owner of the nearest.
void offer_names(Worker &worker, std::uint32_t owner, bool member, unsigned &left, Nearest &nearest, std::uint32_t &whose) {
  for (const auto &[name, daemon] : worker.owners[owner].daemons) {
    if (left == 0) return;
    left--;
    if (nearest.offer(member ? std::string_view(daemon->name) : daemon->family())) whose = owner;
  }
}

// Which there are of a family: "; there are david/web:1 to david/web:3;", or "" where it is none.
std::string members(Worker &worker, std::string_view family, std::span<const std::uint32_t> owners) {
  for (const std::uint32_t owner : owners) {
    std::vector<Daemon *> all = named(worker, owner, family);
    std::erase_if(all, [](const Daemon *it) { return it->instance == 0; });
    if (all.empty()) continue;
    const auto [least, most] = std::ranges::minmax(all, {}, &Daemon::instance);
    return least == most ? fmt::format("; there is {};", id_of(worker, *least)) : fmt::format("; there are {} to {};", id_of(worker, *least), id_of(worker, *most));
  }
  return {};
}

// Says that it is nobody's, or has its owner's confs read first.
void unknown(Worker &worker, const Request &request, std::string_view id, std::uint32_t owner, std::string_view name, std::span<const std::uint32_t> owners) {
  const bool row = owner < worker.owners.size(), plain = request.user.empty() && id.find('/') == id.npos;
  if (row && !plain && !may_have_daemons(worker, owner))
    return say_outcome(request.client, Exit::not_permitted, id, no_confs_of(worker, user_name(worker, owner)));
  if (request.unread == nullptr || !row || !is_served(worker, owner)) return no_daemon(worker, request.client, id, owners);
  request.unread->emplace_back(owner, name);
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
    unknown(worker, request, name, request.user.empty() ? request.client.user : worker.policy.find_name(request.user), name, request.owners);
    return {};
  }
  std::string list;
  for (const auto &his : found) list += (list.empty() ? "" : ", ") + user_name(worker, his.front()->owner) + "/" + std::string(name);
  say_outcome(request.client, Exit::usage, name, fmt::format("several daemons have that name: {}. Say which, with its owner", list));
  return {};
}

// An id that names another than -u does is nobody's.
bool of_user(const Worker &worker, const Request &request, std::uint32_t owner, std::string_view id) {
  if (request.user.empty() || request.user == user_name(worker, owner)) return true;
  say_outcome(request.client, Exit::usage, id,
              fmt::format("this is of {}, and -u says {}; leave one of them out", user_name(worker, owner), request.user));
  return false;
}

std::vector<Daemon *> find_full(Worker &worker, const Request &request, std::string_view id) {
  const std::size_t slash = id.rfind('/');
  if (slash == 0 || slash + 1 == id.size() || id.find('/') != slash) {
    say_outcome(request.client, Exit::usage, "", fmt::format("'{}' is no id of a daemon; one is NAME or OWNER/NAME, like web or david/web", id));
    return {};
  }
  const std::uint32_t owner = worker.policy.find_name(id.substr(0, slash));
  if (owner == no_user || !sees(worker, request.client, owner)) {
    not_permitted(worker, request, id);
    return {};
  }
  if (!of_user(worker, request, owner, id)) return {};
  std::vector<Daemon *> found = named(worker, owner, id.substr(slash + 1));
  if (found.empty()) unknown(worker, request, id, owner, id.substr(slash + 1), std::span(&owner, 1));
  return found;
}

// By owner, family and number. (Most are of one owner: names are made only to tell two owners apart.)
void put_in_order(const Worker &worker, std::vector<Daemon *> &daemons) {
  std::ranges::sort(daemons, [&](const Daemon *a, const Daemon *b) {
    if (a->owner != b->owner) return std::pair(user_name(worker, a->owner), a->owner) < std::pair(user_name(worker, b->owner), b->owner);
    return std::tuple(a->family(), a->instance) < std::tuple(b->family(), b->instance);
  });
}

bool is_meant(const Daemon &daemon, std::string_view pattern, std::uint64_t &steps) {
  if (!take_steps(steps, steps_to_look)) return false;
  return glob_matches(pattern, daemon.name, steps) || (daemon.instance != 0 && glob_matches(pattern, daemon.family(), steps));
}

// Those whose names are as a pattern says, among all that the request can be about. An owner who is named without a pattern is
// judged as in any id; one who only would match is not there for a client who does not manage him.
std::vector<Daemon *> find_matching(Worker &worker, const Request &request, std::string_view id, std::uint64_t &steps) {
  const std::size_t slash = id.rfind('/');
  const std::string_view whose = slash == id.npos ? "*" : id.substr(0, slash), pattern = id.substr(slash == id.npos ? 0 : slash + 1);
  std::uint32_t one = no_user;
  if (!is_glob(whose)) {
    one = worker.policy.find_name(whose);
    if (one == no_user || !sees(worker, request.client, one)) {
      not_permitted(worker, request, id);
      return {};
    }
    if (!of_user(worker, request, one, id)) return {};
  }
  std::vector<Daemon *> found;
  for (const std::uint32_t i : request.owners) {
    if (one != no_user && i != one) continue;
    if (!take_steps(steps, steps_to_look)) return {};
    if (one == no_user && !glob_matches(whose, user_name(worker, i), steps)) continue;
    for (auto &[name, daemon] : worker.owners[i].daemons)
      if (is_meant(*daemon, pattern, steps) && take_steps(steps, steps_to_find)) found.push_back(daemon.get());
  }
  if (found.empty() && steps != 0)
    say_outcome(request.client, Exit::no_such_daemon, id,
                fmt::format("no daemon matches '{}'; dmctl list shows those there are, dmctl rescan reads new confs", id));
  put_in_order(worker, found);
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

void no_daemon(Worker &worker, Client &client, std::string_view id, std::span<const std::uint32_t> owners) {
  std::string meant;
  if (client.unknown++ < guesses) {
    const std::string_view name = id.substr(id.rfind('/') + 1);
    // Of a number too many the others are told, not one that it would be a slip of the finger for.
    if (const std::size_t colon = name.find(':'); colon != name.npos) meant = members(worker, name.substr(0, colon), owners);
    const bool told = !meant.empty(), full = name.size() != id.size(), member = name.find(':') != name.npos;
    Nearest nearest(name);
    unsigned left = daemons_compared;
    std::uint32_t whose = no_user;
    const std::uint32_t own = client.user;
    if (std::ranges::count(owners, own) != 0) offer_names(worker, own, member, left, nearest, whose);
    for (const std::uint32_t owner : owners)
      if (owner != own) offer_names(worker, owner, member, left, nearest, whose);
    if (whose != no_user && !told)
      meant = fmt::format("; did you mean '{}{}'?", full || whose != own ? user_name(worker, whose) + "/" : "", nearest.found());
  }
  say_outcome(client, Exit::no_such_daemon, id,
              fmt::format("no daemon '{}'{} dmctl list shows those there are, dmctl rescan reads new confs", id,
                          meant.empty() ? ";" : meant));
}

std::vector<Daemon *> all_of(Worker &worker, const Request &request) {
  std::vector<Daemon *> all;
  for (const std::uint32_t i : request.owners)
    for (auto &[name, daemon] : worker.owners[i].daemons) all.push_back(daemon.get());
  put_in_order(worker, all);
  return all;
}

// The daemons that the ids name, each once, in their order; what is wrong with an id is said. None at all where its patterns would keep
// everybody waiting.
std::vector<Daemon *> resolve(Worker &worker, const Request &request) {
  std::vector<Daemon *> out;
  std::set<std::string_view> ids;  // each once: `all`, said eight thousand times, would keep everybody waiting
  std::uint64_t steps = steps_of_request + steps_of_daemon * request.owners.size();
  for (const std::uint32_t i : request.owners) steps += steps_of_daemon * worker.owners[i].daemons.size();
  for (const std::string_view id : request.ids) {
    if (!ids.insert(id).second) continue;
    const std::vector<Daemon *> found = id == "all"                 ? all_of(worker, request)
                                        : is_glob(id)               ? find_matching(worker, request, id, steps)
                                        : id.find('/') == id.npos   ? find_plain(worker, request, id)
                                                                    : find_full(worker, request, id);
    out.insert(out.end(), found.begin(), found.end());
    if (steps != 0) continue;
    say_outcome(request.client, Exit::usage, "",
                "the patterns take too long to compare, so nothing was done; give fewer of them at a time, or names, or all");
    return {};
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
