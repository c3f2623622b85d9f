// The verbs that start, stop, signal and read anew. Sandboxed. Who asked for what goes to the manager's log.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <set>
#include <utility>

#include "worker/verbs.hh"

namespace dm::worker {
namespace {

constexpr unsigned dependants_named = 8;   // of one daemon; there may be thousands

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

void scale_one(Worker &worker, const Request &request, std::uint32_t owner, const std::string &family, std::uint32_t size) {
  const std::string id = user_name(worker, owner) + "/" + family;
  std::vector<Daemon *> fresh, surplus;
  std::string why;
  if (!scale(worker, owner, family, size, fresh, surplus, why)) return say_outcome(request.client, Exit::failed, id, why);
  if (fresh.empty() && surplus.empty()) say_outcome(request.client, Exit::done, id, fmt::format("there are {} of it already", size));
  for (Daemon *daemon : fresh) {
    daemon->by = request.client.uid;
    if (!daemon->wanted) {
      say_outcome(request.client, Exit::done, id_of(worker, *daemon), "new; stopped, like the others: dmctl start starts it");
      continue;
    }
    add_waiter(worker, *daemon, request.client, Wait::running);
    if (daemon->placed) want_up(worker, *daemon);  // it was just being stopped
  }
  for (Daemon *daemon : surplus) {
    if (daemon->state == State::stopped && !daemon->settling)
      say_outcome(request.client, Exit::done, id_of(worker, *daemon), "was stopped, and is there no more");
    else add_waiter(worker, *daemon, request.client, Wait::stopped);
    daemon->by = request.client.uid;
    retire(worker, *daemon, "dmctl scale has made its family smaller");
  }
  place_next(worker, owner);
}

}  // namespace

void do_start(Worker &worker, const Request &all) {
  std::vector<Key> unread;
  Request request = all;
  request.unread = &unread;
  for (Daemon *daemon : resolve(worker, request)) {
    audit(worker, request.client, "start", id_of(worker, *daemon), "allowed");
    if (take_up_start(worker, *daemon, &request.client, request.client.first_ms)) continue;
    daemon->wanted = true;
    if (end_lingering(worker, *daemon)) ask_remember(worker, *daemon);
    if (daemon->state == State::running) {
      say_outcome(request.client, Exit::done, id_of(worker, *daemon), fmt::format("runs already, pid {}", daemon->pid));
      continue;
    }
    daemon->by = request.client.uid;
    rescan(worker, daemon->owner, false, {request.client.id, false, daemon->name});
  }
  for (const auto &[owner, name] : unread) {
    audit(worker, request.client, "start", user_name(worker, owner) + "/" + name, "allowed, if there is such a conf");
    rescan(worker, owner, false, {request.client.id, false, name, Again::none, true, request.client.uid});
  }
}

void do_stop(Worker &worker, const Request &request) {
  std::vector<Daemon *> daemons = resolve(worker, request);
  if (request.client.with_dependants) daemons = with_dependants(worker, request, std::move(daemons));
  refuse_required(worker, request, daemons);
  for (Daemon *daemon : daemons) {
    audit(worker, request.client, "stop", id_of(worker, *daemon), "allowed");
    daemon->by = request.client.uid;
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
    daemon->by = request.client.uid;
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
        restart_family(worker, family, request.client, only_running ? Again::running : Again::family);
        continue;
      }
    }
    restart(worker, *daemon, request.client.id);
  }
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
    return say_outcome(request.client, Exit::usage, id,
                       "scale takes the name of a conf with instances=, neither all nor one of its daemons; like: dmctl scale web 4");
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

void do_reset_failed(Worker &worker, const Request &request) {
  for (Daemon *daemon : resolve(worker, request)) {
    audit(worker, request.client, "reset-failed", id_of(worker, *daemon), "allowed");
    if (daemon->state != State::stopped || daemon->rest != Rest::failed) {
      say_outcome(request.client, Exit::done, id_of(worker, *daemon),
                  fmt::format("{}: there is no failure to forget", state_name(*daemon)));
      continue;
    }
    daemon->rest = Rest::none;
    daemon->ends = 0;
    daemon->step = 0;
    touch(worker, *daemon);
    record(worker, *daemon, Deed::reset, request.client.uid);
    ask_remember(worker, *daemon);
    say_outcome(request.client, Exit::done, id_of(worker, *daemon), "stopped; its failures are forgotten");
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
  const std::vector<Daemon *> daemons = resolve(worker, request);
  // A word that is no daemon's may have been meant as another signal than the one that would be sent.
  if (request.client.code != Exit::done)
    return say_outcome(request.client, Exit::failed, "", "nothing was sent, for each word has to be a daemon, a pattern or, as the first or last, a signal");
  for (Daemon *daemon : daemons) {
    audit(worker, request.client, fmt::format("kill -{}", signal), id_of(worker, *daemon), "allowed");
    if (!daemon->slot_running) {
      say_outcome(request.client, Exit::not_running, id_of(worker, *daemon),
                  fmt::format("{}: there is no process to signal; dmctl status {} tells why", state_name(*daemon), id_of(worker, *daemon)));
      continue;
    }
    record(worker, *daemon, Deed::signalled, request.client.uid, static_cast<std::uint8_t>(signal));
    ask_signal(worker, *daemon, signal, Scope::main);
    say_outcome(request.client, Exit::done, id_of(worker, *daemon), fmt::format("signal {} sent to pid {}", signal, daemon->pid));
  }
}

}  // namespace dm::worker
