// The verbs about logs: reopen, and what dmctl asks to read another's. Sandboxed: no byte of a log passes here.
#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <vector>

#include "lib/glob.hh"
#include "worker/verbs.hh"

namespace dm::worker {

void do_reopen(Worker &worker, const Request &request) {
  // Who means all, or what a pattern matches, means those that write to a log now.
  std::vector<std::string_view> ids(request.ids.begin(), request.ids.end());
  const auto patterns = std::stable_partition(ids.begin(), ids.end(), [](std::string_view id) { return id != "all" && !is_glob(id); });
  Request named = request, many = request;
  named.ids = std::span(ids.begin(), patterns);
  many.ids = std::span(patterns, ids.end());
  std::vector<Daemon *> daemons = resolve(worker, named);
  const std::set<const Daemon *> seen(daemons.begin(), daemons.end());
  for (Daemon *daemon : resolve(worker, many))
    if (daemon->logged && daemon->log_file != in_syslog && daemon->slot_running && !seen.contains(daemon)) daemons.push_back(daemon);
  for (Daemon *daemon : daemons) {
    const std::string id = id_of(worker, *daemon);
    audit(worker, request.client, "reopen", id, "allowed");
    if (!daemon->logged) {
      say_outcome(request.client, Exit::failed, id, "it has no log; put output=log into its conf and restart it");
    } else if (daemon->log_file == in_syslog) {
      say_outcome(request.client, Exit::done, id, "its output goes to syslog: there is nothing to open anew");
    } else if (!daemon->slot_running) {
      say_outcome(request.client, Exit::not_running, id, fmt::format("{}: nothing writes to its log now", state_name(*daemon)));
    } else {
      ask_signal(worker, *daemon, 1, Scope::log);  // the number does not matter
      // Whether it can be opened only dm-log knows, and tells nobody.
      say_outcome(request.client, Exit::done, id, fmt::format("asked to open its log anew; dmctl log {} shows whether lines arrive", id));
    }
  }
}

// Says the number of the place at which dm-log will expect the client.
void do_lend(Worker &worker, const Request &request) {
  for (const Daemon *daemon : resolve(worker, request)) {
    audit(worker, request.client, "log", id_of(worker, *daemon), "allowed");
    if (!daemon->placed || !daemon->in_book) {
      say_outcome(request.client, Exit::failed, id_of(worker, *daemon),
                  fmt::format("its log cannot be read now: its conf is gone, or was not accepted yet; dmctl rescan -u {} tells",
                              user_name(worker, daemon->owner)));
      continue;
    }
    ask_lend(worker, *daemon, request.client.uid == 0 ? reader_root : request.client.user);
    say_text(request.client, fmt::format("{}\n", daemon->handle.slot));
  }
}

}  // namespace dm::worker
