// The verbs enable, disable and cat, which are about conf files. The caller's privilege: what he may not read or write stays so.
#include "dmctl/conf_edit.hh"
#include "dmctl/json.hh"
#include "dmctl/logfile.hh"
#include "dmctl/own_confs.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"
#include "lib/glob.hh"
#include "lib/text.hh"

#include <cstring>
#include <limits>
#include <pwd.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

struct Wanted {
  std::string owner, name, home;
  uid_t uid = 0;
  [[nodiscard]] std::string path() const { return fmt::format("{}/.daemon-manager/daemons/{}{}", home, name, conf_suffix); }
};

void want(std::vector<Wanted> &all, Wanted one) {
  for (const Wanted &known : all)
    if (known.owner == one.owner && known.name == one.name) return;
  all.push_back(std::move(one));
}

// The caller's own are his without a manager, so that a conf can be read before any rescan; all else the manager is asked about.
Exit choose(const Command &command, Printer &printer, std::vector<Wanted> &all) {
  const Caller caller = find_caller();
  Question question;
  question.verb = "status";
  question.user = command.user;
  question.keep_text = true;
  for (const std::string &word : command.words) {
    const bool own = (command.user.empty() || command.user == caller.name) && word != "all" && !is_glob(word);
    const std::optional<std::string> name = own ? own_conf(caller, word) : std::nullopt;
    if (name) want(all, {caller.name, *name, caller.home, ::geteuid()});
    else question.arguments.push_back(word);
  }
  if (question.arguments.empty()) return Exit::done;
  const Answer answer = ask_manager(question, printer);
  if (!answer.complete) return answer.code;
  Exit code = answer.code == Exit::not_running ? Exit::done : answer.code;  // whether it runs is not what was asked
  for (const Row &row : answer.rows) {
    const std::string &id = row[row_id];
    const std::size_t slash = id.rfind('/');
    Wanted one;
    one.owner = id.substr(0, slash);
    one.name = slash == id.npos ? "" : id.substr(slash + 1, id.find(':', slash) - slash - 1);
    const passwd *owner = ::getpwnam(one.owner.c_str());
    if (owner == nullptr) {
      printer.complain(safe_lines(id + ": its owner is not in the user database"));
      code = graver(code, Exit::failed);
      continue;
    }
    one.home = owner->pw_dir;
    one.uid = owner->pw_uid;
    want(all, std::move(one));
  }
  return code;
}

Exit explain(const Wanted &wanted, const OpenedLog &conf, Printer &printer) {
  const auto say = [&](Exit code, const std::string &why) {
    printer.complain(safe_lines(fmt::format("{}/{}: {}", wanted.owner, wanted.name, why)), code);
    return code;
  };
  const std::string path = wanted.path();
  switch (conf.fault) {
  case LogFault::none: break;
  case LogFault::missing: return say(Exit::no_such_daemon, fmt::format("its conf is gone: {}; dmctl rescan tells the manager", path));
  case LogFault::forbidden:
    return say(Exit::not_permitted,
               fmt::format("not permitted: its conf is {}'s, and only he and root may read it: {}", wanted.owner, path));
  case LogFault::not_a_log:
    return say(Exit::failed, fmt::format("not read: {} is no regular file of {}'s, or a symbolic link leads there", path, wanted.owner));
  case LogFault::failed: return say(Exit::failed, fmt::format("cannot open {}: {}", path, std::strerror(conf.errno_value)));
  }
  return Exit::failed;
}

Exit set_autostart(const Command &command, bool on, Printer &printer) {
  const Caller caller = find_caller();
  Exit code = Exit::done;
  bool any = false;
  for (const std::string &name : choose_own(caller, command, printer, code)) {
    const Edit edit = edit_autostart(caller.daemons.get(), caller.path, name, caller.name, on);
    if (!edit.problem.empty()) {
      printer.complain(safe_lines(edit.problem));
      code = graver(code, Exit::failed);
      continue;
    }
    any = true;
    printer.say(safe_lines(fmt::format("{}/{}: {}{}; {}", caller.name, name, on ? "enabled" : "disabled", edit.changed ? "" : " already",
                                       on ? "it starts when the manager does, and dmctl start starts it now where it does not run"
                                          : "it starts by dmctl start alone, and where it runs it goes on")));
  }
  if (!any) return code;
  // The manager reads it, so that its next successor, too, knows, and that a fault of one that was so already is told. What is faulty in other confs is told, and is no failure of this.
  Question question;
  question.verb = "rescan";
  question.user = caller.name;
  question.no_wait = command.no_wait;
  question.waits = true;
  printer.be_quiet(true);
  const Exit read = ask_manager(question, printer).code;
  printer.be_quiet(command.quiet);
  return read == Exit::failed ? code : graver(code, read);
}

}  // namespace

Exit run_enable(const Command &command, Printer &printer) { return set_autostart(command, true, printer); }
Exit run_disable(const Command &command, Printer &printer) { return set_autostart(command, false, printer); }

Exit run_cat(const Command &command, Printer &printer) {
  std::vector<Wanted> all;
  Exit code = choose(command, printer, all);
  std::string bytes;
  Json confs = Json::array();
  LogCopy::Taker taker;
  if (command.json) taker = [&bytes](std::string_view line) { bytes += std::string(line) + "\n"; };
  LogCopy copy(printer, ::isatty(printer.out()) != 0, "", nullptr, std::move(taker));
  for (const Wanted &wanted : all) {
    const std::string path = wanted.path();
    OpenedLog conf = open_conf(path, wanted.uid);
    if (conf.fault != LogFault::none) {
      code = graver(code, explain(wanted, conf, printer));
      continue;
    }
    if (all.size() > 1) printer.put("# " + escape(path) + "\n");
    off_t at = 0;
    if (!copy.copy(conf.file.get(), at, std::numeric_limits<off_t>::max())) {
      if (!printer.good()) return Exit::failed;
      code = graver(code, explain(wanted, {Fd(), LogFault::failed, errno}, printer));
    }
    copy.finish();
    Json one = Json::object();
    one["id"] = wanted.owner + "/" + wanted.name;
    one["path"] = path;
    one["text"] = std::exchange(bytes, {});
    confs.push_back(std::move(one));
  }
  Json body = Json::object();
  body["confs"] = std::move(confs);
  if (command.json) return put_json(command, printer, std::move(body), code);
  return printer.flush() ? code : Exit::failed;
}

}  // namespace dm::dmctl
