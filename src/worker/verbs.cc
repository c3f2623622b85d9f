// What a client asks for: whether he may, and doing it. Sandboxed. Who asked for what goes to the manager's log.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <span>
#include <tuple>
#include <utility>

#include "worker/worker.hh"

#include "settings.hh"

namespace dm::worker {
namespace {

constexpr unsigned dependants_named = 8;   // of one daemon; there may be thousands
constexpr unsigned refusals_logged = 8;  // of one request, which may hold thousands

struct Request {
  Client &client;
  std::string_view verb, user;  // user: dmctl -u, "" for none
  std::span<const std::string_view> ids;
  std::vector<std::uint32_t> owners{};  // whose daemons it can be about
};

std::string who(const Worker &worker, const Client &client) {
  return client.user == no_user ? fmt::format("uid {}", client.uid)
                                : fmt::format("{} (uid {})", user_name(worker, client.user), client.uid);
}

void audit(Worker &worker, const Client &client, std::string_view verb, std::string_view subject, const char *verdict) {
  note(worker, fmt::format("{}: {} {}: {}", who(worker, client), verb, subject, verdict));
}

// The same words whether or not there is such a user or daemon.
void not_permitted(Worker &worker, const Request &request, std::string_view id) {
  const unsigned before = request.client.refused++;
  if (before < refusals_logged) audit(worker, request.client, request.verb, id, "not permitted");
  else if (before == refusals_logged) audit(worker, request.client, request.verb, "and more", "not permitted");
  const std::string_view owner = id.substr(0, id.find('/'));
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

void put_row(Worker &worker, Client &client, const Daemon &daemon, std::int64_t now) {
  const bool up = daemon.pid != 0 && daemon.slot_running;
  const auto number = [](auto value) { return std::to_string(value); };
  const std::uint64_t uptime = up && now > daemon.started_ms ? static_cast<std::uint64_t>(now - daemon.started_ms) : 0;
  // In whole seconds, rounded up: "0s" would be said of one that does not start yet.
  const std::int64_t left = daemon.state == State::cooldown && daemon.timer_ms > now ? daemon.timer_ms - now : 0;
  const std::int64_t cooldown = (left + 999) / 1000 * 1000;
  const std::string log = daemon.logged ? fmt::format("{}/.daemon-manager/logs/{}.log",
                                                      worker.policy.text(worker.policy.users[daemon.owner].home), daemon.name)
                                        : std::string();
  put_frame(client.out, FrameKind::row,
            {id_of(worker, daemon), state_name(daemon), up ? number(daemon.pid) : "", number(daemon.respawns),
             number(cooldown), number(uptime), number(daemon.total_ms + uptime),
             daemon.target == no_user ? "" : user_name(worker, daemon.target), daemon.state == State::waiting && daemon.problem.empty() ? describe_wait(worker, daemon) : describe_note(worker, daemon, now), log});
}

// What there is to say of an owner's confs as a whole.
void put_owner_notes(Worker &worker, const Request &request) {
  for (const std::uint32_t i : request.owners) {
    const Owner &owner = worker.owners[i];
    for (const std::string &text : owner.misnamed) say_outcome(request.client, Exit::done, user_name(worker, i), text);
    const bool runs = (worker.policy.users[i].flags & user_runs) != 0;
    if (owner.result != BookResult::ok || (owner.problem != BookProblem::none && owner.problem != BookProblem::missing))
      say_outcome(request.client, Exit::done, user_name(worker, i),
                  describe_problem(worker, i, owner.problem, owner.detail, ""));
    else if (i == request.client.user && runs && owner.daemons.empty())
      say_text(request.client, "no daemons yet: write ~/.daemon-manager/daemons/NAME.conf (see daemon.conf(5)), then type "
                               "dmctl rescan\n");
  }
}

void do_status(Worker &worker, const Request &request) {
  const std::int64_t now = now_ms();
  if (request.ids.empty()) {
    for (const Daemon *daemon : all_of(worker, request)) put_row(worker, request.client, *daemon, now);
    return put_owner_notes(worker, request);
  }
  for (const Daemon *daemon : resolve(worker, request)) {
    put_row(worker, request.client, *daemon, now);
    const std::string_view state = state_name(*daemon);
    if (state != "running" && state != "starting" && state != "listening" && request.client.code == Exit::done)
      request.client.code = Exit::not_running;
  }
}

void do_list(Worker &worker, const Request &request) {
  std::string list;
  for (const Daemon *daemon : request.ids.empty() ? all_of(worker, request) : resolve(worker, request))
    list += id_of(worker, *daemon) + "\n";
  for (std::size_t at = 0; at < list.size(); at += max_answer_frame / 2)
    say_text(request.client, std::string_view(list).substr(at, max_answer_frame / 2));
}

void do_pid(Worker &worker, const Request &request) {
  for (const Daemon *daemon : resolve(worker, request)) {
    if (daemon->pid != 0 && daemon->slot_running) say_text(request.client, fmt::format("{}\n", daemon->pid));
    else say_outcome(request.client, Exit::not_running, id_of(worker, *daemon), fmt::format("{}, so it has no pid", state_name(*daemon)));
  }
}

void do_start(Worker &worker, const Request &request) {
  for (Daemon *daemon : resolve(worker, request)) {
    audit(worker, request.client, "start", id_of(worker, *daemon), "allowed");
    if (daemon->state == State::running) {
      daemon->wanted = true;
      if (std::exchange(daemon->lingers, false)) ask_remember(worker, *daemon);
      say_outcome(request.client, Exit::done, id_of(worker, *daemon), fmt::format("runs already, pid {}", daemon->pid));
      continue;
    }
    daemon->wanted = true;
    rescan(worker, daemon->owner, false, {request.client.id, false, daemon->name});
  }
}

// With all that depend on them and that the client may stop.
std::vector<Daemon *> with_dependants(Worker &worker, const Request &request, std::vector<Daemon *> daemons) {
  std::set<const Daemon *> seen(daemons.begin(), daemons.end());
  for (std::size_t i = 0; i < daemons.size(); i++)
    for (Daemon *it : dependants(worker, *daemons[i]))
      if (sees(worker, request.client, it->owner) && seen.insert(it).second) daemons.push_back(it);
  return daemons;
}

// Takes out of `daemons` those that others require, which are not among them and which the client could stop. (What he does not
// manage cannot keep him from stopping what he does.)
void refuse_required(Worker &worker, const Request &request, std::vector<Daemon *> &daemons) {
  std::set<const Daemon *> reach(daemons.begin(), daemons.end());
  std::vector<Daemon *> look(daemons);
  for (std::size_t i = 0; i < look.size(); i++) {
    const Daemon &daemon = *look[i];
    if (!reach.contains(&daemon)) continue;
    std::string list;
    unsigned count = 0;
    for (const Daemon *it : dependants(worker, daemon))
      if (sees(worker, request.client, it->owner) && !reach.contains(it) && count++ < dependants_named)
        list += (list.empty() ? "" : ", ") + id_of(worker, *it);
    if (count == 0) continue;
    if (count > dependants_named) list += fmt::format(" and {} more", count - dependants_named);
    audit(worker, request.client, "stop", id_of(worker, daemon), "others require it");
    say_held(request.client, id_of(worker, daemon),
             fmt::format("not stopped: {} {} it; --with-dependants stops {} first", list, count == 1 ? "requires" : "require",
                         count == 1 ? "that" : "those"));
    reach.erase(&daemon);
    for (Daemon *it : required(worker, daemon)) look.push_back(it);  // which it keeps now
  }
  std::erase_if(daemons, [&reach](const Daemon *it) { return !reach.contains(it); });
}

void do_stop(Worker &worker, const Request &request) {
  std::vector<Daemon *> daemons = resolve(worker, request);
  if (request.client.with_dependants) daemons = with_dependants(worker, request, std::move(daemons));
  refuse_required(worker, request, daemons);
  for (Daemon *daemon : daemons) {
    audit(worker, request.client, "stop", id_of(worker, *daemon), "allowed");
    add_waiter(worker, *daemon, request.client, Wait::stopped);
  }
  stop_in_order(worker, daemons);
}

void do_restart(Worker &worker, const Request &request) {
  const bool only_running = request.verb == "try-restart";
  const std::vector<Daemon *> daemons = resolve(worker, request);
  const std::set<const Daemon *> chosen(daemons.begin(), daemons.end());
  std::set<const Kin *> rolling;
  for (Daemon *daemon : daemons) {
    audit(worker, request.client, request.verb, id_of(worker, *daemon), "allowed");
    if (only_running && !daemon->slot_running) {
      say_outcome(request.client, Exit::done, id_of(worker, *daemon), fmt::format("{}: left as it is", state_name(*daemon)));
      continue;
    }
    Kin *kin = daemon->instance == 0 ? nullptr : kin_of(worker, daemon->owner, daemon->family());
    if (kin != nullptr && rolling.contains(kin)) continue;
    if (kin != nullptr) {
      std::vector<Daemon *> family = named(worker, daemon->owner, daemon->family());
      std::erase_if(family, [](const Daemon *it) { return !it->in_book; });
      const bool whole = std::ranges::all_of(family, [&chosen](const Daemon *it) { return chosen.contains(it); });
      const auto running = std::ranges::count_if(family, [](const Daemon *it) { return it->state == State::running; });
      if (only_running) std::erase_if(family, [](const Daemon *it) { return !it->slot_running; });
      if (whole && (running >= 2 || kin->roll.on())) {
        rolling.insert(kin);
        begin_roll(worker, *kin, family, request.client);
        continue;
      }
    }
    restart_one(worker, *daemon, {request.client.id, false, ""});
  }
}

void scale_one(Worker &worker, const Request &request, std::uint32_t owner, const std::string &family, std::uint32_t size) {
  const std::string id = user_name(worker, owner) + "/" + family;
  std::vector<Daemon *> fresh, surplus;
  std::string why;
  if (!scale(worker, owner, family, size, fresh, surplus, why)) return say_outcome(request.client, Exit::failed, id, why);
  if (fresh.empty() && surplus.empty()) say_outcome(request.client, Exit::done, id, fmt::format("there are {} of it already", size));
  for (Daemon *daemon : fresh) {
    if (!daemon->wanted) {
      say_outcome(request.client, Exit::done, id_of(worker, *daemon), "new; stopped, like the others: dmctl start starts it");
      continue;
    }
    add_waiter(worker, *daemon, request.client, Wait::running);
    if (daemon->placed) want_up(worker, *daemon);  // it was just being stopped
  }
  for (Daemon *daemon : surplus) {
    add_waiter(worker, *daemon, request.client, Wait::stopped);
    retire(worker, *daemon);
  }
  place_next(worker, owner);
}

void do_scale(Worker &worker, const Request &all) {
  Request request = all;
  const std::string_view text = request.ids.front();
  std::uint32_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  request.ids = request.ids.subspan(1);
  if (error != std::errc{} || end != text.data() + text.size() || size < 1 || size > max_instances || request.ids.empty())
    return say_outcome(request.client, Exit::usage, "", fmt::format("scale takes a number of 1 to {} and at least one family", max_instances));
  std::set<Key> families;
  for (const std::string_view id : request.ids) {
    if (id != "all" && id.find(':') == id.npos) continue;
    return say_outcome(request.client, Exit::usage, id, "scale takes the name of a family, neither all nor one of its daemons");
  }
  for (const Daemon *daemon : resolve(worker, request)) families.emplace(daemon->owner, daemon->family());
  for (const auto &[owner, family] : families) {
    audit(worker, request.client, fmt::format("scale {}", size), user_name(worker, owner) + "/" + family, "allowed");
    scale_one(worker, request, owner, family, size);
  }
}

void do_reload(Worker &worker, const Request &request) {
  for (Daemon *daemon : resolve(worker, request)) {
    audit(worker, request.client, "reload", id_of(worker, *daemon), "allowed");
    reload(worker, *daemon, request.client);
  }
}

void do_kill(Worker &worker, const Request &all) {
  int signal = 0;
  Request request = all;
  if (request.ids.size() >= 2) {
    const std::string_view text = request.ids.front();
    std::from_chars(text.data(), text.data() + text.size(), signal);
    request.ids = request.ids.subspan(1);
  }
  if (signal < 1 || signal > 64)
    return say_outcome(request.client, Exit::usage, "", "kill takes a signal of 1 to 64 and at least one daemon");
  for (Daemon *daemon : resolve(worker, request)) {
    audit(worker, request.client, fmt::format("kill -{}", signal), id_of(worker, *daemon), "allowed");
    if (!daemon->slot_running) {
      say_outcome(request.client, Exit::not_running, id_of(worker, *daemon), fmt::format("{}: nothing to signal", state_name(*daemon)));
      continue;
    }
    ask_signal(worker, *daemon, signal, Scope::main);
    say_outcome(request.client, Exit::done, id_of(worker, *daemon), fmt::format("signal {} sent to pid {}", signal, daemon->pid));
  }
}

void do_rescan(Worker &worker, const Request &request) {
  bool any = false;
  for (std::uint32_t i = 0; i < worker.owners.size(); i++) {
    const std::uint32_t flags = worker.policy.users[i].flags;
    const bool named = request.ids.empty() ? request.user.empty() || request.user == user_name(worker, i)
                                           : std::ranges::count(request.ids, std::string_view(user_name(worker, i))) > 0;
    if (!sees(worker, request.client, i) || (flags & user_runs) == 0 || (flags & user_resolved) == 0 || !named) continue;
    any = true;
    audit(worker, request.client, "rescan", user_name(worker, i), "allowed");
    // His own word is enough to make his directories; so is another's who names him.
    const bool create = i == request.client.user || !request.ids.empty() || !request.user.empty();
    rescan(worker, i, create, {request.client.id, true, ""});
  }
  if (!any)
    say_outcome(request.client, Exit::not_permitted, "",
                "not permitted: you are not listed under [runs_as] in the master config, nor do you manage such a user; "
                "ask root");
}

struct Verb {
  std::string_view name;
  bool needs_id;
  void (*serve)(Worker &, const Request &);
};

void do_version(Worker &, const Request &request) { say_text(request.client, "daemon-manager " DM_VERSION "\n"); }

constexpr Verb verbs[] = {
    {"status", false, do_status}, {"list", false, do_list},       {"pid", true, do_pid},
    {"start", true, do_start},    {"stop", true, do_stop},        {"restart", true, do_restart},
    {"kill", true, do_kill},      {"rescan", false, do_rescan},   {"version", false, do_version},
    {"scale", true, do_scale},
    {"reload", true, do_reload},  {"try-restart", true, do_restart},
};

bool has_flag(std::string_view flags, std::string_view flag) {
  for (;;) {
    const std::size_t comma = flags.find(',');
    if (flags.substr(0, comma) == flag) return true;
    if (comma == flags.npos) return false;
    flags.remove_prefix(comma + 1);
  }
}

void answer(Worker &worker, Client &client, std::string_view payload) {
  std::vector<std::string_view> fields;
  if (!split_fields(payload, fields) || fields.size() < 3)
    return say_outcome(client, Exit::usage, "", "this is no request of dmctl's, or one of another version");
  Request request{client, fields[0], fields[2], std::span(fields).subspan(3)};
  client.no_wait = has_flag(fields[1], "no-wait");
  client.with_dependants = has_flag(fields[1], "with-dependants");
  if (client.user == no_user && client.uid != 0 && request.verb != "version") {
    audit(worker, client, request.verb, "", "not permitted: not listed");
    return say_outcome(client, Exit::not_permitted, "",
                       fmt::format("not permitted: you (uid {}) are not listed in the master config; root can add a line with "
                                   "your name under [runs_as]",
                                   client.uid));
  }
  if (!request.user.empty()) {
    const std::uint32_t user = worker.policy.find_name(request.user);
    if (user == no_user || !sees(worker, client, user)) return not_permitted(worker, request, request.user);
  }
  for (const Verb &verb : verbs) {
    if (verb.name != request.verb) continue;
    if (verb.needs_id && request.ids.empty())
      return say_outcome(client, Exit::usage, "", fmt::format("{} needs at least one daemon, or all", verb.name));
    for (std::uint32_t i = 0; i < worker.owners.size(); i++)
      if (sees(worker, client, i) && (request.user.empty() || request.user == user_name(worker, i))) request.owners.push_back(i);
    return verb.serve(worker, request);
  }
  say_outcome(client, Exit::usage, "", fmt::format("the manager (" DM_VERSION ") does not know '{}'; is dmctl newer?", request.verb));
}

}  // namespace

bool sees(const Worker &worker, const Client &client, std::uint32_t owner) {
  return client.uid == 0 || (client.user != no_user && worker.policy.may_manage(client.user, owner));
}

void serve_deferred(Worker &worker, std::int64_t now) {
  if (worker.first_until == 0) return;
  const bool late = now >= worker.first_until;
  if (late) worker.first_until = 0;
  for (auto &[id, client] : worker.clients) {
    if (!client->deferred || client->closing) continue;
    bool unread = false;
    for (std::uint32_t i = 0; i < worker.owners.size() && !late; i++)
      unread = unread || (worker.owners[i].scan_asked && !worker.owners[i].scanned && sees(worker, *client, i));
    if (unread) continue;
    const std::string payload = std::move(*client->deferred);
    client->deferred.reset();
    client->pending--;
    serve(worker, *client, payload);
    advance(worker, *client);
  }
}

void serve(Worker &worker, Client &client, std::string_view payload) {
  client.pending++;  // what is answered at once must not end the answer before all of it is asked for
  answer(worker, client, payload);
  client.pending--;
}

}  // namespace dm::worker
