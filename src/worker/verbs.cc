// What a client asks for, taken apart and handed to its verb. Sandboxed.
#include "worker/verbs.hh"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "settings.hh"

namespace dm::worker {
namespace {

struct Verb {
  std::string_view name;
  bool needs_id, changes;
  void (*serve)(Worker &, const Request &);
};

constexpr Verb verbs[] = {
    {"status", false, false, do_status}, {"list", false, false, do_list},       {"pid", true, false, do_pid},
    {"start", true, true, do_start},     {"stop", true, true, do_stop},         {"restart", true, true, do_restart},
    {"kill", true, true, do_kill},       {"rescan", false, false, do_rescan},   {"version", false, false, do_version},
    {"scale", true, true, do_scale},     {"history", true, false, do_history},
    {"explain", true, false, do_explain}, {"metrics", false, false, do_metrics},
    {"reload", true, true, do_reload},   {"try-restart", true, true, do_restart}, {"reset-failed", true, true, do_reset_failed},
    {"reopen", true, false, do_reopen},  {"lend", true, false, do_lend},
};

// Takes the first of them off the front.
std::string_view take_flag(std::string_view &flags) {
  const std::size_t end = std::min(flags.find(','), flags.size());
  const std::string_view flag = flags.substr(0, end);
  flags.remove_prefix(std::min(end + 1, flags.size()));
  return flag;
}

bool has_flag(std::string_view flags, std::string_view flag) {
  while (!flags.empty())
    if (take_flag(flags) == flag) return true;
  return false;
}

// The time behind flag_asked, 0 where it is not there; nothing where there is no time behind it, or it is there twice.
std::optional<std::int64_t> first_asked(std::string_view flags) {
  std::int64_t first = 0;
  while (!flags.empty()) {
    std::string_view flag = take_flag(flags);
    if (!flag.starts_with(flag_asked)) continue;
    flag.remove_prefix(flag_asked.size());
    const bool again = first != 0;
    const auto [end, error] = std::from_chars(flag.data(), flag.data() + flag.size(), first);
    if (again || error != std::errc{} || end != flag.data() + flag.size() || first <= 0 || flag.front() == '0') return std::nullopt;
  }
  return first;
}

void answer(Worker &worker, Client &client, std::string_view payload) {
  std::vector<std::string_view> fields;
  const bool whole = split_fields(payload, fields) && fields.size() >= 3;
  const std::optional<std::int64_t> first = whole ? first_asked(fields[1]) : std::nullopt;
  if (!first) return say_outcome(client, Exit::usage, "", "this is no request of dmctl's, or one of another version");
  Request request{client, fields[0], fields[2], std::span(fields).subspan(3)};
  client.no_wait = has_flag(fields[1], "no-wait");
  client.with_dependants = has_flag(fields[1], "with-dependants");
  client.long_rows = has_flag(fields[1], "long");
  client.first_ms = *first;
  if (client.user == no_user && client.uid != 0 && request.verb != "version") {
    audit(worker, client, request.verb, "", "not permitted: not listed");
    return say_outcome(client, Exit::not_permitted, "",
                       fmt::format("not permitted: you (uid {}) are not listed in the master config; root can add a line with "
                                   "your name under [runs_as] in {}, and then: systemctl reload daemon-manager (or SIGHUP to it)",
                                   client.uid, worker.policy.text(worker.policy.header->config)));
  }
  if (client.first_ms > now_ms())
    return say_outcome(client, Exit::failed, "", "this was asked before, and what came of that cannot be told, for your clock is not the manager's; "
                                                 "dmctl status tells how things stand");
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
    client.changes = verb.changes;
    return verb.serve(worker, request);
  }
  say_unknown(client, fmt::format("the manager (" DM_VERSION ") does not know '{}', so dmctl is newer, or this is another program", request.verb));
}

}  // namespace

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
