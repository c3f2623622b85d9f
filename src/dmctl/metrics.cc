// The verb metrics: what Prometheus reads, as it comes from the manager, or its samples as JSON. The caller's privilege.
#include "dmctl/json.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"

#include <algorithm>

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

}  // namespace

Exit run_metrics(const Command &command, Printer &printer) {
  if (!command.json) return run_change(command, printer);
  Question question = question_of(command);
  question.keep_text = true;
  const Answer answer = ask_manager(question, printer);
  Json body = Json::object();
  if (answer.complete) {
    body["samples"] = Json::array();
    for (std::string_view text = answer.text; !text.empty(); text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1))
      if (Json sample = sample_of(text.substr(0, text.find('\n'))); !text.starts_with('#') && !sample.is_null()) body["samples"].push_back(std::move(sample));
  }
  return put_json(command, printer, std::move(body), answer.code);
}

}  // namespace dm::dmctl
