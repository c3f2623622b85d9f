// What people read about daemons: states, reasons, what to do. Sandboxed. Bytes that users chose are escaped by whoever prints.
#include <fmt/core.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "lib/text.hh"
#include "worker/worker.hh"

namespace dm::worker {
namespace {

// "no such file" for ENOENT …: strerror may want a locale, and so a file.
std::string why(int error) {
  const char *text = ::strerrordesc_np(error);
  return text != nullptr ? text : fmt::format("error {}", error);
}

std::string describe_dir(const Worker &worker, const Daemon &daemon, const Conf &conf) {
  const RunReport &report = daemon.report;
  const std::string target = user_name(worker, daemon.target);
  const std::string at = conf.dir.substr(0, report.detail != 0 ? report.detail : conf.dir.size());
  if (report.errno_value == EACCES)
    return fmt::format("cannot enter {}: its mode shuts {} out. Either let {} pass (chmod o+x {}, or setfacl -m u:{}:x {}), or "
                       "put dir= where {} may go",
                       at, target, target, at, target, at, target);
  return fmt::format("cannot enter {}: {}. Make it, or correct dir= in {}", at, why(report.errno_value),
                     conf_path(worker, daemon.owner, daemon.name));
}

std::string describe_exec(const Worker &worker, const Daemon &daemon, const Conf &conf) {
  std::vector<std::string> words;
  const std::string program = split_command(conf.start, words) && !words.empty() ? words.front() : "/bin/sh";
  const std::string file = conf_path(worker, daemon.owner, daemon.name);
  if (daemon.report.detail == 0 && program.find('/') == program.npos && daemon.report.errno_value == ENOENT)
    return fmt::format("there is no program {} in PATH. Install it, or write its whole path in start= in {}", program, file);
  const std::string at = program.substr(0, daemon.report.detail != 0 ? daemon.report.detail : program.size());
  const std::string target = user_name(worker, daemon.target);
  if (daemon.report.errno_value == ELIBACC)
    return fmt::format("cannot run {} as {}: the interpreter in its first line, or its loader, is not there. Install it, or "
                       "correct that line",
                       at, target);
  if (daemon.report.errno_value == EACCES)
    return fmt::format("cannot run {} as {}: permission denied. Make it executable for {} (chmod +x {}), or correct start= in {}",
                       at, target, target, at, file);
  return fmt::format("cannot run {} as {}: {}. See to it, or correct start= in {}", at, target, why(daemon.report.errno_value),
                     file);
}

}  // namespace

const char *state_name(const Daemon &daemon) {
  switch (daemon.state) {
    case State::stopped: return daemon.rest == Rest::none ? "stopped" : daemon.rest == Rest::done ? "done" : "failed";
    case State::starting: return "starting";
    case State::running: return "running";
    case State::stopping: return "stopping";
    case State::clearing:
    case State::cooldown: return "cooldown";
  }
  return "stopped";
}

void note(Worker &worker, const std::string &text) { worker.log.line(text); }

std::string user_name(const Worker &worker, std::uint32_t user) {
  return user < worker.policy.count() ? worker.policy.text(worker.policy.users[user].name) : "?";
}

std::string id_of(const Worker &worker, const Daemon &daemon) {
  return user_name(worker, daemon.owner) + "/" + (daemon.name.empty() ? "?" : daemon.name);
}

std::string conf_path(const Worker &worker, std::uint32_t owner, std::string_view name) {
  const bool known = owner < worker.policy.count();
  return fmt::format("{}/.daemon-manager/daemons/{}.conf", known ? worker.policy.text(worker.policy.users[owner].home) : "?", name);
}

std::string describe_problem(const Worker &worker, std::uint32_t index, BookProblem problem, std::uint32_t detail,
                             const std::string &path) {
  const Owner &owner = worker.owners[index];
  const std::string home = worker.policy.text(worker.policy.users[index].home);
  const std::string dirs[] = {home, home + "/.daemon-manager", home + "/.daemon-manager/daemons"};
  const std::string it = !path.empty() ? path : dirs[owner.where < 3 ? owner.where : 0];
  const std::string name = user_name(worker, index);
  const std::string env = it + ": the file that env_file= names";
  const char *kind = path.empty() ? "directory" : "file";
  if (path.empty() && owner.result == BookResult::timed_out)
    return fmt::format("{} did not answer in 10 s; when it is there again, dmctl rescan", home);
  if (path.empty() && owner.result != BookResult::ok)
    return owner.scan_errno != 0
               ? fmt::format("the confs of {} could not be read: {}; try again", name, why(static_cast<int>(owner.scan_errno)))
               : fmt::format("the confs of {} could not be read (dm-scan failed); see the manager's log", name);
  switch (problem) {
    case BookProblem::none: return {};
    case BookProblem::not_owner:
      return fmt::format("{}: belongs to uid {}; it must belong to {}: remove it and make it anew", it, detail, name);
    case BookProblem::writable:
      return fmt::format("{}: others may write to it (mode {:04o}): chmod go-w {}", it, detail & 07777, it);
    case BookProblem::not_regular: return fmt::format("{}: is no regular {}; remove it", it, kind);
    case BookProblem::symlink: return fmt::format("{}: is a symbolic link; put the {} itself there", it, kind);
    case BookProblem::too_big:
      return fmt::format("{}: too big: all confs of {} together may have {} bytes ([limits] book in the master config)", it,
                         name, detail);
    case BookProblem::unreadable: return fmt::format("{}: cannot be read: {}", it, why(static_cast<int>(detail)));
    case BookProblem::bad_name: return fmt::format("{}: no name for a daemon", it);
    case BookProblem::missing: return fmt::format("there is no {}; dmctl rescan makes it", dirs[1]);
    case BookProblem::home_unreachable:
      return fmt::format("{}: cannot be entered: {}; when it is there again, dmctl rescan", home, why(static_cast<int>(detail)));
    case BookProblem::nul_byte: return fmt::format("{}: holds a NUL byte; a conf is plain text", it);
    case BookProblem::too_many:
      return fmt::format("{}: {} confs are more than anyone may have ({}); remove some", it, detail, max_entries);
    case BookProblem::env_not_owner:
      return fmt::format("{} belongs to uid {}; it must belong to {}: make a copy of your own", env, detail, name);
    case BookProblem::env_writable: return fmt::format("{} may be written to by others (mode {:04o}): chmod go-w", env, detail & 07777);
    case BookProblem::env_not_regular: return env + " is no regular file; name one";
    case BookProblem::env_symlink: return env + " is a symbolic link; name the file itself";
    case BookProblem::env_too_big:
      return fmt::format("{} is too big: with all confs of {} it may have {} bytes ([limits] book in the master config)", env, name, detail);
    case BookProblem::env_unreadable:
      return fmt::format("{} cannot be read: {}. Make it, or correct the line", env, why(static_cast<int>(detail)));
    case BookProblem::env_nul_byte: return env + " holds a NUL byte; it is plain text";
    case BookProblem::env_bad_line:
      return fmt::format("{} has something else than NAME=value, # and a comment, or nothing in its line {}: mend or delete it", env, detail);
  }
  return fmt::format("{}: refused", it);
}

std::string describe_end(const Daemon &daemon) {
  if (daemon.end_code == CLD_EXITED)
    return daemon.end_status == 0 && !daemon.particular
               ? "exit code 0 (if it went to the background: let it stay in the foreground)"
               : fmt::format("exit code {}", daemon.end_status);
  if (daemon.end_code == CLD_KILLED || daemon.end_code == CLD_DUMPED)
    return fmt::format("killed by {}", signal_name(daemon.end_status));
  return "unknown";
}

std::string describe_failure(const Worker &worker, const Daemon &daemon) {
  const int error = daemon.report.errno_value;
  const std::optional<Conf> conf = read_conf(worker, daemon);
  switch (daemon.report.stage) {
    case RunStage::none: return {};
    case RunStage::fork: return fmt::format("no process could be made for it: {}", why(error));
    case RunStage::identity: return fmt::format("could not become {}: {}", user_name(worker, daemon.target), why(error));
    case RunStage::exec_helper:
      return error == EAGAIN ? fmt::format("{} has as many processes as he may have (ulimit -u); end some",
                                           user_name(worker, daemon.target))
                             : fmt::format("dm-run could not be run: {}", why(error));
    case RunStage::book: return "its conf changed while it was being started; dmctl rescan, then start it again";
    case RunStage::user: return "user= in its conf is not whom it was started as; dmctl rescan, then start it again";
    case RunStage::dir: return conf ? describe_dir(worker, daemon, *conf) : fmt::format("cannot enter dir=: {}", why(error));
    case RunStage::environment: return fmt::format("its environment could not be made: {}", why(error));
    case RunStage::output: return fmt::format("its log could not be opened: {}", why(error));
    case RunStage::exec: return conf ? describe_exec(worker, daemon, *conf) : fmt::format("cannot run start=: {}", why(error));
    case RunStage::deadline: return "it was not executed in 10 s: does dir= answer?";
  }
  return {};
}

std::string describe_note(const Worker &worker, const Daemon &daemon, std::int64_t now) {
  std::string text = daemon.problem.empty() ? daemon.warning : daemon.problem;
  const bool down = daemon.state == State::cooldown || daemon.state == State::clearing ||
                    (daemon.state == State::stopped && (daemon.wanted || daemon.rest != Rest::none));
  // In state D SIGKILL has not ended it yet: it keeps its place, and its owner shall know why.
  const bool stuck = daemon.state == State::starting && daemon.report.stage == RunStage::deadline;
  if ((down || stuck) && daemon.last_runs != 0) {
    if (!text.empty()) text += "; ";
    if (daemon.report.stage != RunStage::none) text += "start failed: " + describe_failure(worker, daemon);
    else
      text += fmt::format("last exit: {} after {}", describe_end(daemon),
                          short_time(static_cast<std::uint64_t>(daemon.ended_ms - daemon.started_ms)));
    if (daemon.state == State::stopped && daemon.rest == Rest::failed)
      text += fmt::format("; it is not started again by itself (dmctl start {} does it)", id_of(worker, daemon));
    if (daemon.state == State::cooldown && daemon.timer_ms > now)
      text += fmt::format("; next start in {} (dmctl start {} does it now)",
                          short_time(static_cast<std::uint64_t>(daemon.timer_ms - now + 999)), id_of(worker, daemon));
  }
  return text;
}

}  // namespace dm::worker
