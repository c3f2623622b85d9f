// The verb history: what has happened to daemons, in the order of time. The caller's privilege.
#include "dmctl/json.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"
#include "lib/text.hh"

#include <algorithm>
#include <charconv>
#include <ctime>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace dm::dmctl {
namespace {

std::time_t time_of(const Event &event) {
  std::uint32_t seconds = 0;
  const std::string &field = event[event_seconds];
  std::from_chars(field.data(), field.data() + field.size(), seconds);
  return static_cast<std::time_t>(seconds);
}

// In the local time, with its distance from UTC, as logs have it.
std::string stamp(std::time_t at) {
  char text[40];
  tm local{};
  ::localtime_r(&at, &local);
  std::string zoned(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &local));
  if (local.tm_gmtoff == 0) return zoned.replace(zoned.size() - 5, 5, "Z");
  return zoned.insert(zoned.size() - 2, ":");
}

Json event_of(const Event &event) {
  Json object = Json::object();
  object["id"] = event[event_id];
  object["time"] = json_number(event[event_seconds]);
  object["event"] = event[event_deed];
  object["by"] = json_or_null(event[event_by]);
  object["pid"] = json_number(event[event_pid]);
  object["exit_code"] = json_number(event[event_code]);
  object["signal"] = json_or_null(event[event_signal]);
  object["lasted_s"] = json_number(event[event_lasted_s]);
  object["text"] = event[event_text];
  return object;
}

// The ids as a column only where there are several.
void put_events(const std::vector<Event> &events, Printer &printer) {
  std::size_t widest = 0;
  bool several = false;
  for (const Event &event : events) {
    widest = std::max(widest, escape(event[event_id]).size());
    several = several || event[event_id] != events.front()[event_id];
  }
  for (const Event &event : events) {
    std::string line = stamp(time_of(event)) + "  ";
    if (several) line += fmt::format("{:<{}}  ", escape(event[event_id]), widest);
    printer.say(line + escape(event[event_text]) + "\n");
  }
}

}  // namespace

Exit run_history(const Command &command, Printer &printer) {
  Answer answer = ask_manager(question_of(command), printer);
  // Those of one daemon come in their order, whatever the clock was set to meanwhile.
  std::ranges::stable_sort(answer.events, {}, time_of);
  if (!command.json) {
    if (answer.complete) put_events(answer.events, printer);
    return answer.code;
  }
  Json body = Json::object();
  if (answer.complete) {
    body["events"] = Json::array();
    for (const Event &event : answer.events) body["events"].push_back(event_of(event));
  }
  return put_json(command, printer, std::move(body), answer.code);
}

}  // namespace dm::dmctl
