// What status says to programs. The caller's privilege.
#include "dmctl/status_json.hh"

#include "dmctl/fields.hh"
#include "dmctl/json.hh"
#include "dmctl/page.hh"
#include "lib/text.hh"

#include <nlohmann/json.hpp>

namespace dm::dmctl {
namespace {

template <typename Value> Json or_null(const std::optional<Value> &value) { return value ? Json(*value) : Json(); }

Json daemon_of(const Row &row) {
  Json daemon = Json::object();
  daemon["id"] = row[row_id];
  daemon["state"] = row[row_state];
  daemon["active"] = is_active(row);
  daemon["pid"] = json_number(row[row_pid]);
  daemon["respawns"] = json_number(row[row_respawns]);
  daemon["cooldown_ms"] = json_number(row[row_cooldown_ms]);
  daemon["uptime_ms"] = json_number(row[row_uptime_ms]);
  daemon["total_ms"] = json_number(row[row_total_ms]);
  daemon["target"] = json_or_null(row[row_target]);
  daemon["log"] = json_or_null(row[row_log]);
  daemon["note"] = json_or_null(row[row_note]);
  return daemon;
}

Json processes_of(const Usage &usage) {
  Json list = Json::array();
  for (const Branch &one : usage.tree) {
    Json process = Json::object();
    process["pid"] = one.process.pid;
    process["parent"] = one.process.parent;
    process["command"] = one.command.empty() ? command_of(one.process) : one.command;
    process["memory_bytes"] = one.process.rss;
    process["cpu_us"] = one.process.cpu_us;
    list.push_back(std::move(process));
  }
  return list;
}

Json exits_of(const Page &page) {
  Json exits = Json::array();
  for (const Event &event : page.ends) {
    Json end = Json::object();
    end["how"] = event[event_deed];
    end["status"] = event[event_code].empty() ? event[event_signal].empty() ? Json() : Json(parse_signal(event[event_signal])) : json_number(event[event_code]);
    end["ago_ms"] = ms_since(event[event_seconds]);
    end["ran_ms"] = event[event_lasted_s].empty() ? Json() : Json(number_of(event[event_lasted_s]).value_or(0) * 1000);
    end["by"] = json_or_null(event[event_by]);
    exits.push_back(std::move(end));
  }
  return exits;
}

void add_page(const Row &row, const std::vector<Event> &events, Processes &processes, Json &daemon) {
  const Page page = gather_page(row, processes, events);
  daemon["conf"] = json_or_null(row[row_conf]);
  daemon["command"] = json_or_null(row[row_start]);
  daemon["autostart"] = row[row_autostart].empty() ? Json() : Json(row[row_autostart] == "yes");
  daemon["conf_changed"] = page.edited || !row[row_stale].empty();
  daemon["memory_bytes"] = or_null(page.usage.memory);
  daemon["cpu_us"] = or_null(page.usage.cpu_us);
  daemon["descriptors"] = or_null(page.descriptors);
  daemon["descriptors_limit"] = or_null(page.most_descriptors);
  daemon["processes"] = processes_of(page.usage);
  daemon["processes_hidden"] = page.usage.hidden;
  daemon["last_exits"] = exits_of(page);
  daemon["last_lines"] = page.last.shown ? Json(page.last.lines) : Json();
}

}  // namespace

Exit put_status_json(const Command &command, Printer &printer, const Answer &answer, Exit code) {
  Json body = Json::object();
  Processes processes;
  if (answer.complete) {
    body["daemons"] = Json::array();
    for (const Row &row : answer.rows) {
      Json daemon = daemon_of(row);
      if (command.long_form) add_page(row, answer.events, processes, daemon);
      body["daemons"].push_back(std::move(daemon));
    }
  }
  return put_json(command, printer, std::move(body), code);
}

}  // namespace dm::dmctl
