// A request of a client's, and the verbs that it can be of. Sandboxed.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "worker/worker.hh"

namespace dm::worker {

struct Request {
  Client &client;
  std::string_view verb, user;  // user: dmctl -u, "" for none
  std::span<const std::string_view> ids;
  std::vector<std::uint32_t> owners{};  // whose daemons it can be about
  std::vector<Key> *unread = nullptr;   // gets the names that are nobody's, for they may be in confs that are not read yet
};

// verb_ids.cc
void audit(Worker &worker, const Client &client, std::string_view verb, std::string_view subject, const char *verdict);
// The same words whether or not there is such a user or daemon.
void not_permitted(Worker &worker, const Request &request, std::string_view id);
// There is none of that name among those of `owners`, all of whom the client may see: says so, and what he may have meant.
void no_daemon(Worker &worker, Client &client, std::string_view id, std::span<const std::uint32_t> owners);
// All that the request can be about, by owner, family and number.
std::vector<Daemon *> all_of(Worker &worker, const Request &request);
// The daemons that the ids name, each once, in their order; what is wrong with an id is said.
std::vector<Daemon *> resolve(Worker &worker, const Request &request);

// verbs_show.cc
void do_status(Worker &worker, const Request &request);
void do_list(Worker &worker, const Request &request);
void do_pid(Worker &worker, const Request &request);
void do_version(Worker &worker, const Request &request);

// verbs_logs.cc
void do_reopen(Worker &worker, const Request &request);
void do_lend(Worker &worker, const Request &request);

// verbs_explain.cc
void do_explain(Worker &worker, const Request &request);

// verbs_history.cc
// The last few times that it ended, or did not come to run, as events.
void put_endings(Worker &worker, Client &client, const Daemon &daemon);
void do_history(Worker &worker, const Request &request);

// verbs_metrics.cc
void do_metrics(Worker &worker, const Request &request);

// verbs_change.cc
void do_start(Worker &worker, const Request &request);
void do_stop(Worker &worker, const Request &request);
void do_restart(Worker &worker, const Request &request);
void do_scale(Worker &worker, const Request &request);
void do_reload(Worker &worker, const Request &request);
void do_reset_failed(Worker &worker, const Request &request);
void do_kill(Worker &worker, const Request &request);
void do_rescan(Worker &worker, const Request &request);

}  // namespace dm::worker
