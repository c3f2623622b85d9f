// The verbs that only show: status, list, pid, version. Sandboxed.
#include <sys/wait.h>

#include <fmt/core.h>

#include "worker/verbs.hh"

#include "settings.hh"

namespace dm::worker {
namespace {

std::string number(auto value) { return std::to_string(value); }

std::string since(std::int64_t from, std::int64_t to) { return number(to > from ? to - from : 0); }

// What one who looks at this daemon alone is told beside: RowField from row_conf on.
void add_long_fields(Worker &worker, const Client &client, const Daemon &daemon, bool up, std::int64_t now, std::vector<std::string> &fields) {
  const std::optional<BookConf> entry = read_entry(worker, daemon);
  fields.push_back(conf_path(worker, daemon.owner, daemon.name));
  // Who manages others' daemons may not read their confs.
  const bool his = client.uid == 0 || client.user == daemon.owner;
  const std::optional<Conf> conf = his && entry ? read_conf(worker, daemon) : std::nullopt;
  fields.push_back(conf ? conf->start : "");
  fields.push_back(entry ? number(entry->entry.modified_ns) : "");
  const bool older = up && daemon.started_hash != daemon.conf_hash;
  fields.emplace_back(!daemon.in_book ? "gone" : older ? "changed" : "");
  fields.emplace_back(entry && entry->entry.problem != BookProblem::none ? "" : daemon.autostart ? "yes" : "no");
  const bool ended = !up && daemon.end_code != 0 && began(daemon);
  fields.emplace_back(!ended ? "" : daemon.end_code == CLD_EXITED ? "exited" : "killed");
  fields.push_back(ended ? number(daemon.end_status) : "");
  fields.push_back(ended ? since(daemon.ended_ms, now) : "");
  fields.push_back(ended ? since(daemon.started_ms, daemon.ended_ms) : "");
  fields.emplace_back(his ? "yes" : "no");
}

void put_row(Worker &worker, Client &client, const Daemon &daemon, std::int64_t now) {
  const bool up = daemon.pid != 0 && daemon.slot_running;
  const std::uint64_t uptime = up && now > daemon.started_ms ? static_cast<std::uint64_t>(now - daemon.started_ms) : 0;
  // In whole seconds, rounded up: "0s" would be said of one that does not start yet.
  const std::int64_t left = daemon.state == State::cooldown && daemon.usable && daemon.timer_ms > now ? daemon.timer_ms - now : 0;
  const std::int64_t cooldown = (left + 999) / 1000 * 1000;
  std::vector<std::string> fields{
      id_of(worker, daemon), state_name(daemon), up ? number(daemon.pid) : "", number(daemon.respawns), number(cooldown), number(uptime),
      number(daemon.total_ms + uptime), daemon.target == no_user ? "" : user_name(worker, daemon.target),
      daemon.state == State::waiting && daemon.problem.empty() ? describe_wait(worker, daemon) : describe_note(worker, daemon, now), log_of(worker, daemon)};
  if (client.long_rows) add_long_fields(worker, client, daemon, up, now, fields);
  put_frame(client.out, FrameKind::row, std::vector<std::string_view>(fields.begin(), fields.end()));
  if (client.long_rows) put_endings(worker, client, daemon);
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

}  // namespace

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
    else say_outcome(request.client, Exit::not_running, id_of(worker, *daemon),
                     fmt::format("{}, so it has no pid; dmctl status {} tells why", state_name(*daemon), id_of(worker, *daemon)));
  }
}

void do_version(Worker &, const Request &request) { say_text(request.client, "daemon-manager " DM_VERSION "\n"); }

}  // namespace dm::worker
