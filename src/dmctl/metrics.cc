// The verb metrics: what Prometheus reads, as it comes from the manager, with what the system tells of processes; or the samples as JSON.
// The caller's privilege.
#include "dmctl/json.hh"
#include "dmctl/status_view.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"
#include "lib/text.hh"

#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace dm::dmctl {
namespace {

// A label's value up to its closing quote, which `text` then begins behind; false where there is none.
bool take_value(std::string_view &text, std::string &value) {
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] == '"') return text.remove_prefix(i + 1), true;
    if (text[i] == '\\' && ++i < text.size()) value += text[i] == 'n' ? '\n' : text[i];
    else if (i < text.size()) value += text[i];
  }
  return false;
}

// NAME{LABEL="VALUE",…} NUMBER; null where it is no sample.
Json sample_of(std::string_view line) {
  const std::size_t end = line.find_first_of("{ ");
  if (end == line.npos || end == 0) return {};
  Json sample = Json::object(), labels = Json::object();
  sample["name"] = line.substr(0, end);
  const bool labelled = line[end] == '{';
  line.remove_prefix(end + 1);
  while (labelled && !line.starts_with('}')) {
    const std::size_t equals = line.find("=\"");
    if (equals == line.npos) return {};
    const std::string name(line.substr(0, equals));
    std::string value;
    line.remove_prefix(equals + 2);
    if (!take_value(line, value)) return {};
    labels[name] = json_text(value);
    if (line.starts_with(',')) line.remove_prefix(1);
  }
  if (labelled) line.remove_prefix(line.starts_with("} ") ? 2 : line.size());
  sample["labels"] = std::move(labels);
  sample["value"] = Json::parse(line, nullptr, false);
  return sample["value"].is_number() ? sample : Json();
}

// Memory and CPU of those that run, as far as the caller may see them: the worker in its cage sees neither.
std::string usage_of(const Command &command) {
  constexpr std::uint64_t second = 1'000'000;
  Printer nobody(-1, -1);
  Question question = question_of(command);
  question.verb = "status";
  question.keep_text = true;
  std::string memory = "# HELP daemon_manager_daemon_memory_bytes That its processes hold; absent where the system does not show them.\n"
                       "# TYPE daemon_manager_daemon_memory_bytes gauge\n";
  std::string cpu = "# HELP daemon_manager_daemon_cpu_seconds_total That its processes have used, counted anew from some starts on; "
                    "absent where the system does not show them.\n"
                    "# TYPE daemon_manager_daemon_cpu_seconds_total counter\n";
  for (const Sight &sight : look_at(ask_manager(question, nobody).rows)) {
    const std::string labels = fmt::format("{{daemon=\"{}\"}}", metric_label(sight.row[row_id]));
    if (sight.memory) memory += fmt::format("daemon_manager_daemon_memory_bytes{} {}\n", labels, *sight.memory);
    if (const std::uint64_t us = sight.cpu_us.value_or(0); sight.cpu_us)
      cpu += fmt::format("daemon_manager_daemon_cpu_seconds_total{} {}.{:06}\n", labels, us / second, us % second);
  }
  return memory + cpu;
}

}  // namespace

Exit run_metrics(const Command &command, Printer &printer) {
  Question question = question_of(command);
  question.keep_text = true;
  Answer answer = ask_manager(question, printer);
  if (answer.complete && answer.text.find("\ndaemon_manager_daemon_up{") != answer.text.npos) answer.text += usage_of(command);
  if (!command.json) {
    if (answer.spoke) printer.put(answer.text);  // else it says why nobody answered, which has been told
    return answer.code;
  }
  Json body = Json::object();
  if (answer.complete) {
    body["samples"] = Json::array();
    for (std::string_view text = answer.text; !text.empty(); text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1))
      if (Json sample = sample_of(text.substr(0, text.find('\n'))); !text.starts_with('#') && !sample.is_null()) body["samples"].push_back(std::move(sample));
  }
  return put_json(command, printer, std::move(body), answer.code);
}

}  // namespace dm::dmctl
