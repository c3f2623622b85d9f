// The verb explain: who may do what to a daemon, and why. The caller's privilege; the answer is the worker's judgement.
#include "dmctl/json.hh"
#include "dmctl/lint.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"
#include "lib/text.hh"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace dm::dmctl {
namespace {

Json reason_of(const Reason &reason) {
  Json object = Json::object();
  object["id"] = reason[reason_id];
  object["right"] = reason[reason_right];
  object["allowed"] = reason[reason_allowed] == "1";
  object["file"] = json_or_null(reason[reason_file]);
  object["line"] = json_number(reason[reason_line]);
  object["rule"] = json_or_null(reason[reason_rule]);
  object["text"] = reason[reason_text];
  return object;
}

// The verb by its own name, whatever it was called; nullptr, with words, where there is none.
const Verb *asked_verb(const Command &command, Printer &printer) {
  const Verb *verb = find_verb(command.words[1]);
  if (verb != nullptr) return verb;
  const std::string meant = nearest_verb(command.words[1]);
  printer.complain(own_words(fmt::format("'{}' is not a verb; {}dmctl help lists them", escape(command.words[1]),
                                         meant.empty() ? "" : fmt::format("did you mean '{}'? ", meant))),
                   Exit::usage);
  return nullptr;
}

}  // namespace

Exit run_explain(const Command &command, Printer &printer) {
  const Verb *verb = asked_verb(command, printer);
  if (verb == nullptr) return Exit::usage;
  if (user_exists(command.words[0]) == false) {
    printer.complain(own_words(fmt::format("there is no user '{}'", escape(command.words[0]))), Exit::usage);
    return Exit::usage;
  }
  Question question = question_of(command);
  question.arguments[1] = verb->name;
  const Answer answer = ask_manager(question, printer);
  if (!command.json) {
    for (const Reason &reason : answer.reasons)
      printer.say(fmt::format("{}: {}\n", reason[reason_allowed] == "1" ? "yes" : "no", escape(reason[reason_text])));
    return answer.code;
  }
  Json body = Json::object();
  if (answer.complete) {
    body["reasons"] = Json::array();
    for (const Reason &reason : answer.reasons) body["reasons"].push_back(reason_of(reason));
  }
  return put_json(command, printer, std::move(body), answer.code);
}

}  // namespace dm::dmctl
