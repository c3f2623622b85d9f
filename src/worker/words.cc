// What people read about daemons: states, reasons, what to do. Sandboxed. Bytes that users chose are escaped by whoever prints.
#include <sys/wait.h>

#include <fmt/core.h>

#include <csignal>

#include "lib/book_words.hh"
#include "lib/text.hh"
#include "worker/worker.hh"

namespace dm::worker {
namespace {

const char *how_to_be_ready(Ready ready) {
  switch (ready) {
    case Ready::started: return "before= or its start takes too long";
    case Ready::notify: return "with ready=notify it has to send READY=1 to NOTIFY_SOCKET, see sd_notify(3)";
    case Ready::fd: return "with ready=fd it has to write a newline to that descriptor";
    case Ready::connect: return "with ready=connect it has to accept a connection on each of its sockets";
  }
  return "";
}

}  // namespace

std::string describe_fault(const Worker &, const Daemon &daemon) {
  switch (daemon.fault) {
    case Fault::none: case Fault::unbound: return {};
    case Fault::slow:
      return fmt::format("was not ready within {} (start_timeout=)", short_time(daemon.terms.start_timeout_ms));
    case Fault::silent: return fmt::format("was silent for {} (watchdog=) and was ended for that", short_time(daemon.watchdog_ms));
  }
  return {};
}

std::string describe_remedy(const Daemon &daemon) {
  return daemon.fault == Fault::slow ? fmt::format(": {}", how_to_be_ready(daemon.ready_by)) : std::string();
}

std::string describe_command(std::int32_t code, std::int32_t status) {
  if (code == CLD_EXITED) return status == 0 ? std::string() : fmt::format("exit code {}", status);
  if (code == CLD_KILLED || code == CLD_DUMPED) return fmt::format("killed by {}", signal_name(status));
  return "it could not be run";
}

bool of_bind(RunStage stage) { return stage >= RunStage::listen_book; }

bool began(const Daemon &daemon) {
  return daemon.fault != Fault::unbound && (daemon.report.stage == RunStage::none || of_bind(daemon.report.stage));
}

const char *state_name(const Daemon &daemon) {
  switch (daemon.state) {
    case State::stopped: return daemon.rest == Rest::none ? "stopped" : daemon.rest == Rest::done ? "done" : "failed";
    case State::binding:
    case State::starting:
    case State::readying: return "starting";
    case State::listening: return "listening";
    case State::waiting: return "waiting";
    case State::running: return "running";
    case State::stopping: return "stopping";
    case State::finishing: return daemon.ordered ? "stopping" : "cooldown";
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
  return conf_file(worker, owner, name.substr(0, name.find(':')));
}

std::string conf_file(const Worker &worker, std::uint32_t owner, std::string_view name) {
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
  const char *kind = path.empty() ? "directory" : "file";
  if (path.empty() && owner.result == BookResult::timed_out)
    return fmt::format("{} did not answer in 10 s; when it is there again, dmctl rescan", home);
  if (path.empty() && owner.result != BookResult::ok)
    return owner.scan_errno != 0
               ? fmt::format("the confs of {} could not be read: {}; try again", name, errno_words(static_cast<int>(owner.scan_errno)))
               : fmt::format("the confs of {} could not be read (dm-scan failed); see the manager's log", name);
  if (path.empty() && problem == BookProblem::missing) return describe_book_problem(problem, detail, dirs[1], name, kind);
  if (path.empty() && problem == BookProblem::home_unreachable) return describe_book_problem(problem, detail, home, name, kind);
  return describe_book_problem(problem, detail, it, name, kind);
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

namespace {

// What one that runs says of itself, and what is wrong with its sockets.
void describe_said(const Worker &worker, const Daemon &daemon, std::int64_t now, const auto &add) {
  if (daemon.state == State::readying && daemon.timer_ms > now)
    add(fmt::format("not ready yet; it has {} more (start_timeout=)", short_time(static_cast<std::uint64_t>(daemon.timer_ms - now + 999))));
  if (!daemon.status.empty()) add(daemon.status);
  if (daemon.reloading) add("it reloads");
  if (daemon.leaving) add("it says that it stops");
  if (daemon.terms.listens != 0 && daemon.sockets == 0 && daemon.usable)
    add("its listening sockets are gone" + (of_bind(daemon.report.stage) ? ": " + describe_failure(worker, daemon) : std::string()));
}

}  // namespace

std::string describe_note(const Worker &worker, const Daemon &daemon, std::int64_t now) {
  std::string text = daemon.problem.empty() ? daemon.warning : daemon.problem;
  const auto add = [&text](const std::string &more) { text += (text.empty() ? "" : "; ") + more; };
  if (daemon.state == State::readying || daemon.state == State::running) describe_said(worker, daemon, now, add);
  if (daemon.state == State::stopping && daemon.timer_ms > now)
    add(fmt::format("it has {} more to end, then it is killed (stop_timeout=)", short_time(static_cast<std::uint64_t>(daemon.timer_ms - now + 999))));
  const bool down = daemon.state == State::cooldown || daemon.state == State::clearing || daemon.state == State::finishing ||
                    (daemon.state == State::stopped && (daemon.wanted || daemon.rest == Rest::failed));
  // In state D SIGKILL has not ended it yet: it keeps its place, and its owner shall know why.
  const bool stuck = daemon.state == State::starting && daemon.report.stage == RunStage::deadline;
  if ((down || stuck) && (daemon.last_runs != 0 || daemon.fault == Fault::unbound)) {
    if (!text.empty()) text += "; ";
    if (!began(daemon)) text += "start failed: " + describe_failure(worker, daemon);
    else if (daemon.fault == Fault::slow) text += "start failed: it " + describe_fault(worker, daemon) + describe_remedy(daemon);
    else if (daemon.fault == Fault::silent) text += "it " + describe_fault(worker, daemon);
    else
      text += fmt::format("last exit: {} after {}", describe_end(daemon),
                          short_time(static_cast<std::uint64_t>(daemon.ended_ms - daemon.started_ms)));
    if (daemon.state == State::stopped && daemon.rest == Rest::failed)
      text += fmt::format("; {}it is not started again by itself (dmctl start {} does it)",
                          daemon.ends == 0 ? "" : fmt::format("given up after it had ended {} times (give_up_after=): ", daemon.ends), id_of(worker, daemon));
    const bool barred = !daemon.problem.empty() && !daemon.usable && !daemon.elsewhere;
    if (barred && daemon.wanted && (daemon.state == State::stopped || daemon.state == State::cooldown))
      text += fmt::format("; it is not started again before that is mended (then dmctl start {} does it)", id_of(worker, daemon));
    else if (daemon.state == State::cooldown && daemon.timer_ms > now)
      text += fmt::format("; next start in {} (dmctl start {} does it now)",
                          short_time(static_cast<std::uint64_t>(daemon.timer_ms - now + 999)), id_of(worker, daemon));
  }
  return text;
}

}  // namespace dm::worker
