// The verb check: judges confs as dm-scan and the worker would, with the caller's rights, and asks no manager.
#include "dmctl/home.hh"
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
#include <vector>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

// One conf that was opened, or could not be; `name` is the daemon's. True where nothing but warnings was said.
bool judge(const Caller &caller, Fd file, const std::string &path, const std::string &name, Printer &printer) {
  const Judgement judgement = judge_conf(caller, read_own_file(std::move(file), most_conf_bytes, most_conf_bytes), path, name);
  if (!judgement.text.empty()) printer.complain(judgement.text);
  if (judgement.usable) printer.put(escape(name) + ": ok\n");
  return judgement.usable;
}

bool judge_own(const Caller &caller, const std::string &name, Printer &printer) {
  Fd file = open_beneath(caller.daemons.get(), conf_file(name).c_str(), own_file_flags);
  return judge(caller, std::move(file), conf_path(caller, name), name, printer);
}

bool judge_path(const Caller &caller, const std::string &path, Printer &printer) {
  const std::string_view file = std::string_view(path).substr(path.rfind('/') + 1);
  return judge(caller, Fd(::open(path.c_str(), own_file_flags)), path, std::string(without_suffix(file)), printer);
}

Exit judge_all(const Caller &caller, Printer &printer) {
  std::vector<std::string> names;
  if (caller.problem.empty() && !list_names(caller, names)) {
    printer.complain(safe_lines(describe_book_problem(BookProblem::unreadable, static_cast<std::uint32_t>(errno), caller.path, caller.name)));
    return Exit::failed;
  }
  if (!caller.problem.empty()) {
    printer.complain(safe_lines(caller.problem));
    return Exit::failed;
  }
  if (names.empty()) printer.complain(safe_lines("there are no confs in " + caller.path));
  bool good = true;
  for (const std::string &name : names) good = judge_own(caller, name, printer) && good;
  return good ? Exit::done : Exit::failed;
}

}  // namespace

Exit run_check(const Command &command, Printer &printer) {
  if (!command.user.empty()) {
    printer.complain(own_words("check judges one's own confs, as oneself; it takes no -u"));
    return Exit::usage;
  }
  const Caller caller = find_caller();
  if (command.words.empty()) return judge_all(caller, printer);
  Exit code = Exit::done;
  for (const std::string &word : command.words) {
    const bool there = ::access(word.c_str(), F_OK) == 0 || errno != ENOENT;
    bool good = false;
    if (word.find('/') != word.npos && there) good = judge_path(caller, word, printer);
    else if (const std::optional<std::string> name = own_name(caller, word)) good = judge_own(caller, *name, printer);
    else if (there) good = judge_path(caller, word, printer);
    else {
      std::string text = word + ": there is no such file";
      if (word.find('/') == word.npos) text += fmt::format(", and no {}/{}.conf", caller.path, without_suffix(word));
      printer.complain(safe_lines(text));
      code = graver(code, Exit::no_such_daemon);
      continue;
    }
    if (!good) code = graver(code, Exit::failed);
  }
  return code;
}

}  // namespace dm::dmctl
