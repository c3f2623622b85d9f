// The verbs about logs: reopen, and what dmctl asks to read another's. Sandboxed: no byte of a log passes here.
#include <fmt/core.h>

#include "worker/verbs.hh"

namespace dm::worker {

void do_reopen(Worker &worker, const Request &request) {
  for (Daemon *daemon : resolve(worker, request)) {
    audit(worker, request.client, "reopen", id_of(worker, *daemon), "allowed");
    if (!daemon->slot_running || !daemon->logged) {
      say_outcome(request.client, Exit::not_running, id_of(worker, *daemon),
                  daemon->logged ? fmt::format("{}: nothing writes to its log now", state_name(*daemon))
                                 : std::string("it has no log; put output=log into its conf and restart it"));
      continue;
    }
    ask_signal(worker, *daemon, 1, Scope::log);  // the number does not matter
    say_outcome(request.client, Exit::done, id_of(worker, *daemon), "its log is opened anew");
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
