// Which logs the words of log and tail mean, and where they are. The caller's privilege.
#include "dmctl/findlogs.hh"

#include "dmctl/home.hh"
#include "dmctl/judge.hh"
#include "dmctl/talk.hh"
#include "helpers/own.hh"
#include "lib/conf_expand.hh"
#include "lib/glob.hh"
#include "lib/text.hh"

#include <algorithm>
#include <pwd.h>
#include <unistd.h>
#include <utility>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

bool chooses_many(std::string_view word) { return word == "all" || is_glob(word); }

// By a word that is no pattern: its whole id, or without the owner, or the conf's where it is one of several.
bool is_named(const Command &command, std::string_view id) {
  const std::size_t slash = id.rfind('/') + 1, colon = id.find(':', slash);
  return std::ranges::any_of(command.words, [&](const std::string &word) {
    return !chooses_many(word) && (word == id || word == id.substr(slash) || word == id.substr(0, colon) || word == id.substr(slash, colon - slash));
  });
}

// Why there is nothing to read at that path of a daemon's; "" where there may be.
std::string no_log(const std::string &id, std::string_view path) {
  if (path.empty()) return "it has no log; put output=log into its conf and restart it";
  if (path != in_syslog) return {};
  return fmt::format("its output goes to syslog: journalctl -t '{0}' shows it, or grep ' {0}:' in what a syslogd writes below /var/log", escape(id));
}

// Where the log of this daemon is; or what is in the way, having said so.
Exit locate(const Row &row, Printer &printer, WantedLog &wanted) {
  wanted.id = row[row_id];
  wanted.path = row[row_log];
  if (const std::string why = no_log(wanted.id, wanted.path); !why.empty()) return refuse_log(wanted, Exit::failed, why, printer);
  wanted.owner = wanted.id.substr(0, wanted.id.rfind('/'));
  const passwd *owner = ::getpwnam(wanted.owner.c_str());
  if (owner == nullptr) return refuse_log(wanted, Exit::failed, "its owner is not in the user database", printer);
  wanted.uid = owner->pw_uid;
  return Exit::done;
}

// Those of one conf, as the manager would place them.
Exit add_own(const Caller &caller, const std::string &name, std::string_view instance, Printer &printer, std::vector<WantedLog> &all) {
  const OwnFile read = read_own_file(open_beneath(caller.daemons.get(), conf_file(name).c_str(), own_file_flags), most_conf_bytes, most_conf_bytes);
  const Conf conf = parse_conf(read.text, false);
  Exit code = Exit::done;
  for (std::uint32_t i = conf.instances == 0 ? 0 : 1; i <= conf.instances; i++) {
    if (!instance.empty() && instance != std::to_string(i)) continue;
    const std::string member = i == 0 ? name : fmt::format("{}:{}", name, i);
    WantedLog wanted{caller.name + "/" + member, {}, caller.name, ::geteuid()};
    Conf its = conf;
    expand(its, {name, caller.name, caller.home, i});
    switch (conf.log.output) {
    case Output::log: wanted.path = log_path(caller.home, member); break;
    case Output::file: wanted.path = its.log.file; break;
    case Output::syslog: wanted.path = in_syslog; break;
    case Output::discard: break;
    }
    if (const std::string why = no_log(wanted.id, wanted.path); !why.empty()) code = graver(code, refuse_log(wanted, Exit::failed, why, printer));
    else all.push_back(std::move(wanted));
  }
  return code;
}

// Without a manager, whose words for that are in `answer`: each word must be a conf of the caller's own.
Exit find_own(const Command &command, const Answer &answer, Printer &printer, std::vector<WantedLog> &all, bool &several) {
  const Caller caller = find_caller();
  std::vector<std::pair<std::string, std::string>> confs;
  for (const std::string &word : command.words) {
    const std::size_t colon = word.find(':');
    const bool own = !chooses_many(word) && (command.user.empty() || command.user == caller.name);
    const std::optional<std::string> name = own ? own_conf(caller, word) : std::nullopt;
    if (!name) return printer.complain(answer.text, Exit::no_manager), Exit::no_manager;
    confs.emplace_back(*name, colon == word.npos ? "" : word.substr(colon + 1));
  }
  printer.complain("dmctl: note: the manager does not run, or cannot be reached; this is what there is of one's own\n", Exit::done);
  Exit code = Exit::done;
  for (const auto &[name, instance] : confs) code = graver(code, add_own(caller, name, instance, printer, all));
  several = all.size() > 1 || confs.size() > 1;
  return all.empty() ? graver(code, Exit::failed) : code;
}

}  // namespace

Exit refuse_log(const WantedLog &wanted, Exit code, std::string_view why, Printer &printer) {
  printer.complain(fmt::format("{}: {}\n", escape(wanted.id), why));
  return code;
}

Exit find_logs(const Command &command, Printer &printer, std::vector<WantedLog> &all, bool &several) {
  Question question;
  question.verb = "status";
  question.arguments.assign(command.words.begin(), command.words.end());
  question.user = command.user;
  question.may_be_down = true;
  const Answer answer = ask_manager(question, printer);
  if (answer.code == Exit::no_manager) return find_own(command, answer, printer, all, several);
  if (!answer.complete || answer.rows.empty()) return graver(answer.code, Exit::failed);
  several = command.words.size() > 1 || answer.rows.size() > 1;
  Exit code = answer.code == Exit::not_running ? Exit::done : answer.code;  // of one that does not run it is read all the same
  for (const Row &row : answer.rows) {
    WantedLog wanted;
    if (!no_log(row[row_id], row[row_log]).empty() && !is_named(command, row[row_id])) continue;
    const Exit found = locate(row, printer, wanted);
    code = graver(code, found);
    if (found == Exit::done) all.push_back(std::move(wanted));
  }
  if (!all.empty() || code != Exit::done) return code;
  printer.complain(own_words(fmt::format("{} of these has a log to read; put output=log into a conf and restart its daemon",
                                         answer.rows.size() == 1 ? "not one" : fmt::format("none of {}", answer.rows.size()))));
  return Exit::failed;
}

}  // namespace dm::dmctl
