// The verb explain: whether somebody may do something to a daemon, and by which line of the master config. Sandboxed. It judges by what the
// verbs themselves judge by; of whom the caller may not know it says no more than they do.
#include <fmt/core.h>

#include <algorithm>

#include "worker/verbs.hh"

namespace dm::worker {
namespace {

constexpr std::size_t least_words = 3;  // USER VERB ID
constexpr std::string_view run_as = "run-as";  // no verb of dmctl's: check asks whether USER may run daemons as these users

// Verbs that dmctl does with the caller's own rights on the owner's files: there the master config lets nobody do more.
constexpr std::string_view on_files[] = {"cat", "enable", "disable", "edit", "new", "check"};
// Verbs that may end in a start.
constexpr std::string_view that_start[] = {"start", "restart", "try-restart", "scale", "rescan", "enable", "new", "edit"};

bool is_one_of(std::string_view verb, std::span<const std::string_view> verbs) { return std::ranges::count(verbs, verb) != 0; }

// One who is asked about: a row, or no_user; root need not have one.
struct Somebody {
  std::string_view name;
  std::uint32_t user;
  bool root;
};

void put_reason(const Worker &worker, Client &client, const Daemon &daemon, std::string_view right, bool allowed, const PolicyRule *rule,
                const std::string &text) {
  const Policy &policy = worker.policy;
  const std::string file = policy.text(policy.header->config);
  const std::string line = rule == nullptr ? "" : std::to_string(rule->line), written = rule == nullptr ? "" : policy.text(rule->text);
  put_frame(client.out, FrameKind::reason,
            {id_of(worker, daemon), right, allowed ? "1" : "0", rule == nullptr ? "" : file, line, written,
             rule == nullptr ? text : fmt::format("{}: {}:{}: {}", text, file, line, written)});
  if (!allowed && client.code == Exit::done) client.code = Exit::not_permitted;
}

// What he may, in words: "stop david/web". Verbs of dmctl that are none in English are said to be used.
std::string deed(std::string_view verb, const std::string &id) {
  constexpr std::string_view no_deeds[] = {"status", "list", "is-active", "pid", "history", "log",         "tail",
                                           "metrics", "cat", "new",      "top", "try-restart", "reset-failed"};
  return is_one_of(verb, no_deeds) ? fmt::format("use {} on {}", verb, id) : fmt::format("{} {}", verb, id);
}

// Whether he may have it done to this daemon at all.
bool explain_control(const Worker &worker, Client &client, const Daemon &daemon, const Somebody &who, std::string_view verb) {
  const std::string owner = user_name(worker, daemon.owner), it = deed(verb, id_of(worker, daemon));
  const std::string config = worker.policy.text(worker.policy.header->config);
  const bool files = is_one_of(verb, on_files);
  if (who.root) return put_reason(worker, client, daemon, "root", true, nullptr, fmt::format("root may {}, as all others", it)), true;
  if (who.user == daemon.owner) {
    put_reason(worker, client, daemon, "own", true, worker.policy.why_run(daemon.owner, daemon.owner), fmt::format("{} may {}, for it is his own", who.name, it));
    return true;
  }
  const bool manages = who.user != no_user && worker.policy.may_manage(who.user, daemon.owner);
  if (manages && !files) {
    put_reason(worker, client, daemon, "manages", true, worker.policy.why_manage(who.user, daemon.owner),
               fmt::format("{} may {}, for he manages the daemons of {}", who.name, it, owner));
    return true;
  }
  // Who is listed only root is told.
  const bool unlisted = client.uid == 0 && who.user == no_user;
  put_reason(worker, client, daemon, files ? "own" : "manages", false, nullptr,
             unlisted ? fmt::format("{0} may not {1}: {0} is not listed in {2}; \"{0}: {3}\" under [manages] allows it",
                                    who.name, it, config, owner)
             : files  ? fmt::format("{} may not {}: that is done with one's own rights, on the files of {}", who.name, it, owner)
                      : fmt::format("{0} may not {1}: no line says so. Root can allow it by \"{0}: {3}\" under [manages] in {2}",
                                    who.name, it, config, owner));
  return false;
}

// What root can do about one who may not run daemons as another.
std::string how_to_allow(const Worker &worker, const std::string &owner, std::string_view target) {
  if (target == "root") return "nobody may run daemons as root";
  return fmt::format("no line says so. Root can allow it by \"{}: {}\" under [runs_as] in {}", owner, target, worker.policy.text(worker.policy.header->config));
}

// Of himself, and for root of all, as whom one may run daemons that need not be there yet.
void explain_targets(const Worker &worker, const Request &request, const Somebody &who, bool himself) {
  if (!himself) return say_outcome(request.client, Exit::not_permitted, "", "not permitted: you may ask this of yourself");
  for (const std::string_view name : request.ids) {
    const std::uint32_t target = worker.policy.find_name(name);
    const bool allowed = who.user != no_user && target != no_user && worker.policy.may_run(who.user, target);
    const std::string user(who.name);
    put_frame(request.client.out, FrameKind::reason,
              {"", "runs_as", allowed ? "1" : "0", "", "", "",
               allowed ? fmt::format("{} may run daemons as {}", user, name)
                       : fmt::format("{} may not run daemons as {}: {}", user, name, how_to_allow(worker, user, name))});
  }
}

// Whether the owner may run it as whom its conf says. The verb is of whoever asks for it; the run is always the owner's.
void explain_run(Worker &worker, Client &client, const Daemon &daemon) {
  const std::optional<Conf> conf = read_conf(worker, daemon);
  if (!conf) return;
  const std::string owner = user_name(worker, daemon.owner), name = conf->user.empty() ? owner : conf->user;
  const std::uint32_t target = conf->user.empty() ? daemon.owner : worker.policy.find_name(conf->user);
  const bool allowed = target != no_user && worker.policy.may_run(daemon.owner, target);
  const std::string what = fmt::format("{} {} run {} as {}", owner, allowed ? "may" : "may not", id_of(worker, daemon), target == daemon.owner ? "himself" : name);
  put_reason(worker, client, daemon, "runs_as", allowed, allowed ? worker.policy.why_run(daemon.owner, target) : nullptr,
             allowed ? what
                     : fmt::format("{}: {}", what, how_to_allow(worker, owner, name)));
}

}  // namespace

void do_explain(Worker &worker, const Request &all) {
  if (all.ids.size() < least_words)
    return say_outcome(all.client, Exit::usage, "", "explain takes a user, a verb and at least one daemon, like: dmctl explain amy stop david/web");
  Request request = all;
  Client &client = request.client;
  const std::uint32_t user = worker.policy.find_name(request.ids[0]);
  const Somebody who{request.ids[0], user, request.ids[0] == "root"};
  const std::string_view verb = request.ids[1];
  request.ids = request.ids.subspan(2);
  const bool himself = client.uid == 0 || (client.user != no_user && user == client.user);
  if (verb == run_as) return explain_targets(worker, request, who, himself);
  for (const Daemon *daemon : resolve(worker, request)) {
    if (!himself && daemon->owner != client.user) {
      say_outcome(client, Exit::not_permitted, id_of(worker, *daemon),
                  "not permitted: you may ask this of yourself, and of others only about your own daemons; root may ask it of all");
      continue;
    }
    if (explain_control(worker, client, *daemon, who, verb) && is_one_of(verb, that_start)) explain_run(worker, client, *daemon);
  }
}

}  // namespace dm::worker
