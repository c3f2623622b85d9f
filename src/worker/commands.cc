// Asks daemons to stop and to reload, by signal or by stop= and reload=. Sandboxed.
#include <fmt/core.h>

#include <utility>

#include "lib/text.hh"
#include "worker/worker.hh"

namespace dm::worker {
namespace {

// (Signed: after a takeover the place may have counted further than what was asked for, as with sockets.)
bool pending(const Daemon &daemon) { return is_due(daemon.commands_due, daemon.commands); }

// stop= has ended, or could not be run. Whom it left running gets the signal; stop_timeout goes on.
void stop_ended(Worker &worker, Daemon &daemon, const TellSlot &tell) {
  const std::string how = describe_command(tell.command_code, tell.command_status);
  if (!how.empty()) note(worker, fmt::format("stop= of {}: {}", id_of(worker, daemon), how));
  if (daemon.state == State::stopping && daemon.slot_running) ask_signal(worker, daemon, daemon.stop_signal, Scope::main);
  else ask_remember(worker, daemon);
}

void reload_ended(Worker &worker, Daemon &daemon, const TellSlot &tell) {
  const std::string how = describe_command(tell.command_code, tell.command_status);
  answer_waiters(worker, daemon, Wait::reloaded, how.empty() ? Exit::done : Exit::failed,
                 how.empty() ? "reloaded" : fmt::format("reload= in its conf: {}. See its log, or run the command by hand", how));
  if (std::exchange(daemon.stop_due, false) && daemon.state == State::stopping && daemon.slot_running) {
    if (is_allowed(worker, daemon)) return ask_command(worker, daemon, Command::stop);
    return ask_signal(worker, daemon, daemon.stop_signal, Scope::main);
  }
  ask_remember(worker, daemon);
}

}  // namespace

void order_stop(Worker &worker, Daemon &daemon, std::int64_t now, bool late) {
  daemon.undecided = !late && daemon.executed && awaits_conf(worker, daemon);
  set_timer(worker, daemon, now + (daemon.undecided ? conf_ms : daemon.stop_timeout_ms));
  if (daemon.undecided) return ask_remember(worker, daemon);
  daemon.extended_until = 0;
  daemon.stop_due = false;
  const bool executed = daemon.executed && daemon.usable && daemon.terms.stop_command && is_allowed(worker, daemon);
  if (!executed) return ask_signal(worker, daemon, daemon.stop_signal, Scope::main);
  if (daemon.underway == Underway::none) return ask_command(worker, daemon, Command::stop);
  daemon.stop_due = true;  // one at a time
  ask_remember(worker, daemon);
}

void take_commands(Worker &worker, Daemon &daemon, const TellSlot &tell) {
  daemon.commands = tell.commands;
  if (daemon.underway == Underway::none) return;
  if (pending(daemon) && tell.refusal == Refusal::none) return;
  // Refused: what it was asked for has not happened.
  TellSlot ended = tell;
  if (pending(daemon)) ended.command_code = ended.command_status = 0;
  const Underway was = std::exchange(daemon.underway, Underway::none);
  daemon.commands_due = daemon.commands;
  was == Underway::stop ? stop_ended(worker, daemon, ended) : reload_ended(worker, daemon, ended);
}

void reload(Worker &worker, Daemon &daemon, Client &client) {
  const std::string id = id_of(worker, daemon);
  const std::string file = conf_path(worker, daemon.owner, daemon.name);
  if (daemon.state != State::running)
    return say_outcome(client, Exit::not_running, id, fmt::format("{}: nothing to reload; its conf is read when it starts", state_name(daemon)));
  const std::optional<Conf> conf = read_conf(worker, daemon);
  if (!conf || !daemon.usable)
    return say_outcome(client, Exit::failed, id, daemon.problem.empty() ? "its conf is gone: " + file : daemon.problem);
  if (conf->reload_signal != 0) {
    record(worker, daemon, Deed::reloaded, client.uid);
    ask_signal(worker, daemon, conf->reload_signal, Scope::main);
    return say_outcome(client, Exit::done, id, fmt::format("{} sent to pid {}", signal_name(conf->reload_signal), daemon.pid));
  }
  if (conf->reload_command.empty())
    return say_outcome(client, Exit::failed, id,
                       fmt::format("there is no reload= in {} as it was last read; if there is by now, dmctl rescan reads it. Else write "
                                   "the signal or the command that makes it read its files again, like reload=HUP, or use dmctl restart",
                                   file));
  if (!is_allowed(worker, daemon))
    return say_outcome(client, Exit::failed, id, fmt::format("it runs as one as whom root does not allow it any more, so that nothing is run beside it; dmctl restart {} "
                                                             "starts it as its conf says", id));
  if (daemon.underway != Underway::none)
    return say_outcome(client, Exit::failed, id, "reload= of it is being run already; wait for its end");
  record(worker, daemon, Deed::reloaded, client.uid);
  add_waiter(worker, daemon, client, Wait::reloaded);
  ask_command(worker, daemon, Command::reload);
}

}  // namespace dm::worker
