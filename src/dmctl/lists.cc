// The verbs that print one thing of each daemon: list, is-active, pid; and version. The caller's privilege.
#include "dmctl/json.hh"
#include "dmctl/reach.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"
#include "lib/text.hh"
#include "settings.hh"

#include <nlohmann/json.hpp>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

// Their rows: `list` and `pid` have none of their own on the wire, where they are text.
Answer ask_for_rows(const Command &command, Printer &printer) {
  Question question = question_of(command);
  question.verb = "status";
  question.keep_text = true;
  return ask_manager(question, printer);
}

// One object a daemon, as `describe` fills it.
Exit put_rows(const Command &command, Printer &printer, const Answer &answer, Exit code, void (*describe)(const Row &, Json &)) {
  Json daemons = Json::array();
  for (const Row &row : answer.rows) {
    Json daemon = Json::object();
    daemon["id"] = row[row_id];
    describe(row, daemon);
    daemons.push_back(std::move(daemon));
  }
  Json body = Json::object();
  if (answer.complete) body["daemons"] = std::move(daemons);
  return put_json(command, printer, std::move(body), code);
}

// Whether they run was not asked.
Exit found(const Answer &answer) { return answer.code == Exit::not_running ? Exit::done : answer.code; }

Exit list_as_json(const Command &command, Printer &printer) {
  const Answer answer = ask_for_rows(command, printer);
  return put_rows(command, printer, answer, found(answer), [](const Row &, Json &) {});
}

Exit pids_as_json(const Command &command, Printer &printer) {
  const Answer answer = ask_for_rows(command, printer);
  Exit code = found(answer);
  for (const Row &row : answer.rows)
    if (row[row_pid].empty()) code = graver(code, Exit::not_running);
  return put_rows(command, printer, answer, code, [](const Row &row, Json &daemon) { daemon["pid"] = json_number(row[row_pid]); });
}

}  // namespace

Exit run_is_active(const Command &command, Printer &printer) {
  const Answer answer = ask_for_rows(command, printer);
  const Exit code = answer.complete ? graver(answer.code, activity(answer.rows)) : answer.code;
  if (command.json)
    return put_rows(command, printer, answer, code, [](const Row &row, Json &daemon) {
      daemon["state"] = row[row_state];
      daemon["active"] = is_active(row);
    });
  if (answer.complete)
    for (const Row &row : answer.rows) printer.put(escape(row[row_state]) + "\n");
  return code;
}

Exit run_list(const Command &command, Printer &printer) {
  if (command.json) return list_as_json(command, printer);
  const Answer answer = ask_manager(question_of(command), printer);
  if (answer.complete)
    for (const Row &row : answer.rows) printer.put(escape(row[row_id]) + "\n");
  return answer.code;
}

Exit run_pid(const Command &command, Printer &printer) {
  if (command.json) return pids_as_json(command, printer);
  Question question = question_of(command);
  question.bare = true;
  const Answer answer = ask_manager(question, printer);
  if (!answer.complete) return answer.code;
  Exit code = answer.code;
  for (const Row &row : answer.rows) {
    if (!row[row_pid].empty()) printer.put(escape(row[row_pid]) + "\n");
    else {
      printer.complain(fmt::format("{}: not running\n", escape(row[row_id])));
      code = graver(code, Exit::not_running);
    }
  }
  return code;
}

Exit run_version(const Command &command, Printer &printer) {
  printer.put("dmctl " DM_VERSION "\n");
  Json body = Json::object();
  body["dmctl"] = DM_VERSION;
  Exit code = Exit::done;
  if (command.words.empty()) {  // not --version
    Question question = question_of(command);
    question.keep_text = true;
    Answer answer = ask_manager(question, printer);
    code = answer.code;
    if (answer.spoke) printer.put(answer.text);
    constexpr std::string_view name = "daemon-manager ";
    while (answer.text.ends_with('\n')) answer.text.pop_back();
    const std::string differ = answer.complete && answer.text.starts_with(name) ? differing_versions(answer.text.substr(name.size())) : std::string();
    if (!differ.empty()) printer.complain("note: " + differ + "\n", Exit::done);
    if (answer.complete) body["manager"] = answer.text.starts_with(name) ? answer.text.substr(name.size()) : answer.text;
  }
  return command.json ? put_json(command, printer, std::move(body), code) : code;
}

}  // namespace dm::dmctl
