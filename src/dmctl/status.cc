// The verb status. The caller's privilege.
#include "dmctl/json.hh"
#include "dmctl/table.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"

#include <nlohmann/json.hpp>

namespace dm::dmctl {
namespace {

Json daemon_of(const Row &row) {
  const auto text = [](const std::string &field) { return field.empty() ? Json() : Json(field); };
  Json daemon = Json::object();
  daemon["id"] = row[row_id];
  daemon["state"] = row[row_state];
  daemon["active"] = is_active(row);
  daemon["pid"] = json_number(row[row_pid]);
  daemon["respawns"] = json_number(row[row_respawns]);
  daemon["cooldown_ms"] = json_number(row[row_cooldown_ms]);
  daemon["uptime_ms"] = json_number(row[row_uptime_ms]);
  daemon["total_ms"] = json_number(row[row_total_ms]);
  daemon["target"] = text(row[row_target]);
  daemon["log"] = text(row[row_log]);
  daemon["note"] = text(row[row_note]);
  return daemon;
}

Exit put_as_json(const Command &command, Printer &printer, const Answer &answer, Exit code) {
  Json body = Json::object();
  if (answer.complete) {
    body["daemons"] = Json::array();
    for (const Row &row : answer.rows) body["daemons"].push_back(daemon_of(row));
  }
  return put_json(command, printer, std::move(body), code);
}

}  // namespace

Exit run_status(const Command &command, Printer &printer) {
  Question question = question_of(command);
  question.keep_text = true;
  const Answer answer = ask_manager(question, printer);
  Exit code = answer.code;
  if (answer.complete && !command.words.empty()) code = graver(code, activity(answer.rows));
  if (command.json) return put_as_json(command, printer, answer, code);
  if (!answer.complete) return answer.code;
  if (!answer.rows.empty()) printer.put(status_table(answer.rows));
  else if (!answer.spoke && answer.code == Exit::done) {
    printer.put(status_table(answer.rows));
    if (!command.quiet) printer.complain("  no daemons yet: dmctl new NAME makes one, see daemon.conf(5)\n");
  }
  printer.put(answer.text);
  return code;
}

}  // namespace dm::dmctl
