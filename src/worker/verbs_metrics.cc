// The verb metrics: what is known of daemons in the text format of Prometheus. Sandboxed. Each family of samples stands together, below
// what it means.
#include <fmt/core.h>

#include <csignal>

#include "lib/text.hh"
#include "worker/verbs.hh"

#include "settings.hh"

namespace dm::worker {
namespace {

constexpr std::size_t piece = max_answer_frame / 2;  // so much is sent at a time

class Exposition {
public:
  explicit Exposition(Client &client) : client_(client) {}
  Exposition(const Exposition &) = delete;
  Exposition &operator=(const Exposition &) = delete;
  ~Exposition() { say_text(client_, text_); }

  void begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP daemon_manager_{} {}\n# TYPE daemon_manager_{} {}\n", name, help, name, type);
  }
  // `labels`: with their braces, or none.
  void put(std::string_view labels, std::string_view value) {
    text_ += fmt::format("daemon_manager_{}{} {}\n", name_, labels, value);
    if (text_.size() < piece) return;
    say_text(client_, text_);
    text_.clear();
  }

private:
  Client &client_;
  std::string text_;
  std::string_view name_;
};

std::string seconds(std::uint64_t ms) { return fmt::format("{}.{:03}", ms / 1000, ms % 1000); }

std::uint64_t uptime_ms(const Daemon &daemon, std::int64_t now) {
  const bool up = daemon.pid != 0 && daemon.slot_running;
  return up && now > daemon.started_ms ? static_cast<std::uint64_t>(now - daemon.started_ms) : 0;
}

// One family: what it is called, and its value for a daemon, "" where it has none.
struct Family {
  std::string_view name, type, help;
  std::string (*value)(const Daemon &, std::int64_t now);
};

constexpr Family families[] = {
    {"daemon_up", "gauge", "1 where it runs, or listens for who starts it.",
     [](const Daemon &it, std::int64_t) { return std::string(it.state == State::running || it.state == State::listening ? "1" : "0"); }},
    {"daemon_starts_total", "counter", "Starts since the manager has known it, after_exit= included.",
     [](const Daemon &it, std::int64_t) { return std::to_string(it.last_runs); }},
    {"daemon_respawns_total", "counter", "Starts that came by themselves after a run had ended.",
     [](const Daemon &it, std::int64_t) { return std::to_string(it.respawns); }},
    {"daemon_uptime_seconds", "gauge", "Of this run; 0 where it does not run.", [](const Daemon &it, std::int64_t now) { return seconds(uptime_ms(it, now)); }},
    {"daemon_running_seconds_total", "counter", "Of all its runs together.",
     [](const Daemon &it, std::int64_t now) { return seconds(it.total_ms + uptime_ms(it, now)); }},
    {"daemon_last_exit_code", "gauge", "With which its last run ended, where that was no signal; absent while it runs.",
     [](const Daemon &it, std::int64_t) { return it.end_code == CLD_EXITED ? std::to_string(it.end_status) : std::string(); }},
    {"daemon_last_exit_signal", "gauge", "By which its last run was ended, 0 where that was none; absent while it runs.",
     [](const Daemon &it, std::int64_t) {
       return it.end_code == 0 ? std::string() : std::to_string(it.end_code == CLD_EXITED ? 0 : it.end_status);
     }},
};

void put_manager(const Worker &worker, Exposition &out) {
  std::size_t daemons = 0;
  for (const Owner &owner : worker.owners) daemons += owner.daemons.size();
  out.begin("info", "gauge", "The manager's version.");
  out.put("{version=\"" + metric_label(DM_VERSION) + "\"}", "1");
  out.begin("daemons", "gauge", "Daemons that it knows.");
  out.put("", std::to_string(daemons));
  out.begin("clients", "gauge", "Connections of dmctl, this one among them.");
  out.put("", std::to_string(worker.clients.size()));
}

}  // namespace

void do_metrics(Worker &worker, const Request &request) {
  const std::int64_t now = now_ms();
  const std::vector<Daemon *> daemons = request.ids.empty() ? all_of(worker, request) : resolve(worker, request);
  Exposition out(request.client);
  for (const Family &family : families) {
    out.begin(family.name, family.type, family.help);
    for (const Daemon *daemon : daemons)
      if (const std::string value = family.value(*daemon, now); !value.empty())
        out.put(fmt::format("{{daemon=\"{}\"}}", metric_label(id_of(worker, *daemon))), value);
  }
  out.begin("daemon_state", "gauge", "1 with the state that it is in.");
  for (const Daemon *daemon : daemons)
    out.put(fmt::format("{{daemon=\"{}\",state=\"{}\"}}", metric_label(id_of(worker, *daemon)), state_name(*daemon)), "1");
  if (request.client.uid == 0 && request.ids.empty()) put_manager(worker, out);
}

}  // namespace dm::worker
