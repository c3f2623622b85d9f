// The verb check: judges confs as dm-scan and the worker would, with the caller's rights, and asks no manager.
#include "dmctl/home.hh"
#include "dmctl/json.hh"
#include "dmctl/judge.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"
#include "helpers/own.hh"
#include "lib/book_words.hh"
#include "lib/text.hh"

#include <cerrno>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

// Judges confs one after the other, and says at once what there is to say, or keeps it for a document.
class Check {
public:
  Check(const Command &command, const Caller &caller, Printer &printer) : json_(command.json), caller_(caller), printer_(printer) {}
  // All of these: true where nothing but warnings was said.
  bool own(const std::string &name) {
    Fd file = open_beneath(caller_.daemons.get(), conf_file(name).c_str(), own_file_flags);
    return judge(std::move(file), conf_path(caller_, name), name);
  }
  bool path(const std::string &path) {
    const std::string_view file = std::string_view(path).substr(path.rfind('/') + 1);
    return judge(Fd(::open(path.c_str(), own_file_flags)), path, std::string(without_suffix(file)));
  }
  Exit all();
  Json confs = Json::array();

private:
  bool judge(Fd file, const std::string &path, const std::string &name);
  bool json_;
  const Caller &caller_;
  Printer &printer_;
};

Json object_of(const Judgement &judgement, const std::string &path, const std::string &name) {
  const auto number = [](std::uint32_t value) { return value == 0 ? Json() : Json(value); };
  Json conf = Json::object();
  conf["name"] = name;
  conf["path"] = path;
  conf["ok"] = judgement.usable;
  conf["problems"] = Json::array();
  for (const ConfFault &fault : judgement.faults) {
    Json problem = Json::object();
    problem["warning"] = fault.warning;
    problem["line"] = number(fault.line);
    problem["column"] = number(fault.column);
    problem["text"] = fault.text;
    conf["problems"].push_back(std::move(problem));
  }
  return conf;
}

// One conf that was opened, or could not be; `name` is the daemon's.
bool Check::judge(Fd file, const std::string &path, const std::string &name) {
  const Judgement judgement = judge_conf(caller_, read_own_file(std::move(file), most_conf_bytes, most_conf_bytes), path, name, printer_.err());
  if (json_) confs.push_back(object_of(judgement, path, name));
  else if (!judgement.text.empty()) printer_.complain_as_it_is(judgement.text);
  if (judgement.usable) printer_.put(escape(name) + ": ok\n");
  return judgement.usable;
}

Exit Check::all() {
  std::vector<std::string> names;
  if (caller_.problem.empty() && !list_names(caller_, names)) {
    printer_.complain(safe_lines(describe_book_problem(BookProblem::unreadable, static_cast<std::uint32_t>(errno), caller_.path, caller_.name)));
    return Exit::failed;
  }
  if (!caller_.problem.empty()) {
    printer_.complain(safe_lines(caller_.problem));
    return Exit::failed;
  }
  if (names.empty() && !json_) printer_.complain(safe_lines("there are no confs in " + caller_.path));
  bool good = true;
  for (const std::string &name : names) good = own(name) && good;
  return good ? Exit::done : Exit::failed;
}

Exit check_words(const Command &command, const Caller &caller, Check &check, Printer &printer) {
  Exit code = Exit::done;
  for (const std::string &word : command.words) {
    const bool there = ::access(word.c_str(), F_OK) == 0 || errno != ENOENT;
    bool good = false;
    if (word.find('/') != word.npos && there) good = check.path(word);
    else if (const std::optional<std::string> name = own_conf(caller, word)) good = check.own(*name);
    else if (there) good = check.path(word);
    else {
      std::string text = word + ": there is no such file";
      if (word.find('/') == word.npos) text += fmt::format(", and no {}/{}.conf", caller.path, without_suffix(word));
      printer.complain(safe_lines(text), Exit::no_such_daemon);
      code = graver(code, Exit::no_such_daemon);
      continue;
    }
    if (!good) code = graver(code, Exit::failed);
  }
  return code;
}

}  // namespace

Exit run_check(const Command &command, Printer &printer) {
  if (!command.user.empty()) {
    printer.complain(own_words("check judges one's own confs, as oneself; it takes no -u"), Exit::usage);
    return Exit::usage;
  }
  const Caller caller = find_caller();
  Check check(command, caller, printer);
  const Exit code = command.words.empty() ? check.all() : check_words(command, caller, check, printer);
  if (!command.json) return code;
  Json body = Json::object();
  body["confs"] = std::move(check.confs);
  return put_json(command, printer, std::move(body), code);
}

}  // namespace dm::dmctl
