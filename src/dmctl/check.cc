// The verb check: judges confs as dm-scan and the worker would, with the caller's rights, and asks no manager.
#include "dmctl/own_confs.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"
#include "helpers/own.hh"
#include "helpers/scan_file.hh"
#include "lib/book_words.hh"
#include "lib/conf.hh"
#include "lib/conf_expand.hh"
#include "lib/text.hh"

#include <cerrno>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

void say_fault(const std::string &path, const ConfFault &fault, Printer &printer) {
  const std::string place = fault.line == 0 ? path : fmt::format("{}:{}:{}", path, fault.line, fault.column);
  printer.complain(safe_lines(fmt::format("{}: {}{}", place, fault.warning ? "warning: " : "", fault.text)));
}

// One conf that was opened, or could not be; `name` is the daemon's. True where nothing but warnings was said.
bool judge(const Caller &caller, Fd file, const std::string &path, const std::string &name, Printer &printer) {
  OwnFile read = read_own_file(std::move(file), most_conf_bytes, most_conf_bytes);
  const auto refuse = [&](BookProblem problem, std::uint32_t detail, const std::string &place) {
    printer.complain(safe_lines(describe_book_problem(problem, detail, place, caller.name)));
    return false;
  };
  if (!valid_daemon_name(name)) {
    printer.complain(safe_lines(fmt::format("{}: this is no name for a daemon: it takes letters, digits, _ and (not first) . and -, "
                                            "at most {}. Rename the file", path, max_name)));
    return false;
  }
  if (read.problem != BookProblem::none) return refuse(read.problem, read.detail, path);
  const Meanings meanings{name, caller.name, caller.home};
  Conf conf = parse_conf(read.text, false);
  judge_expanded(conf, read.text, meanings);
  for (const ConfFault &fault : conf.faults) say_fault(path, fault, printer);
  BookEntry entry{};
  add_env_file(entry, read.text, meanings, most_conf_bytes, most_conf_bytes);
  if (entry.problem != BookProblem::none) return refuse(entry.problem, entry.detail, fmt::format("{}:{}:{}", path, entry.line, entry.column));
  if (!conf.usable()) return false;
  printer.put(escape(name) + ": ok\n");
  return true;
}

bool judge_own(const Caller &caller, const std::string &name, Printer &printer) {
  const std::string file = name + std::string(conf_suffix);
  return judge(caller, open_beneath(caller.daemons.get(), file.c_str(), own_file_flags), caller.path + "/" + file, name, printer);
}

bool judge_path(const Caller &caller, const std::string &path, Printer &printer) {
  std::string name = path.substr(path.rfind('/') + 1);
  if (name.ends_with(conf_suffix)) name.resize(name.size() - conf_suffix.size());
  return judge(caller, Fd(::open(path.c_str(), own_file_flags)), path, name, printer);
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
