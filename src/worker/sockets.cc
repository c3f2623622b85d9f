// A daemon's listening sockets, which the monitor holds: when they are made, made anew, waited at and taken away. Sandboxed.
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

// dm-listen has 10 s; what the monitor does not say then was lost with the monitor that was asked.
constexpr std::int64_t bind_ms = 20'000;
constexpr std::int64_t again_ms = 1'000;  // then sockets that were lost and refused are asked for again

// (A monitor that takes over counts one more, so that nobody waits for what its predecessor was asked for.)
bool pending(const Daemon &daemon) { return is_due(daemon.binds_due, daemon.binds); }

// What the monitor must know: all of a port that is root's word, of others the family alone.
std::vector<SocketSpec> specs_of(const Conf &conf) {
  std::vector<SocketSpec> specs;
  for (const std::string &line : conf.listen) {
    ListenAddress address;
    if (!parse_listen(line, address) || specs.size() == max_sockets) return {};
    SocketSpec spec{address.family, 0, {}};
    if (address.family != Family::local && address.port < first_free_port) {
      spec.port = address.port;
      std::copy(std::begin(address.address), std::end(address.address), spec.address);
    }
    specs.push_back(spec);
  }
  return specs;
}

void ask_for_sockets(Worker &worker, Daemon &daemon) {
  const std::optional<Conf> conf = read_conf(worker, daemon);
  const std::vector<SocketSpec> specs = conf ? specs_of(*conf) : std::vector<SocketSpec>();
  if (specs.empty()) {  // the book is not what it was: the next reading tells
    daemon.state = State::stopped;
    return answer_waiters(worker, daemon, Wait::running, Exit::failed, "its conf changed while it was being started; try again");
  }
  ask_bind(worker, daemon, specs, daemon.arming);
}

// The sockets are not those that its conf says now.
bool foreign(const Daemon &daemon) {
  return daemon.sockets != 0 && (daemon.sockets != daemon.terms.listens || daemon.held_hash != daemon.terms.listen_hash);
}

void refused_bind(Worker &worker, Daemon &daemon, Refusal refusal) {
  touch(worker, daemon);
  daemon.binds_due = daemon.binds;
  daemon.unbinding = false;
  if (refusal == Refusal::throttled) return set_timer(worker, daemon, now_ms() + again_ms / 4);
  if (refusal == Refusal::stale_book) return bind_sockets(worker, daemon);  // the newer book has come before this news
  set_timer(worker, daemon, 0);
  daemon.state = State::stopped;
  daemon.problem = refusal == Refusal::shutdown ? "the manager is stopping" : "root's config does not allow this just now";
  answer_waiters(worker, daemon, Wait::running, Exit::failed, daemon.problem);
}

}  // namespace

Meanings meanings_of(const Worker &worker, const Daemon &daemon) {
  const Policy &policy = worker.policy;
  return {daemon.family(), policy.text(policy.users[daemon.owner].name), policy.text(policy.users[daemon.owner].home), daemon.instance};
}

std::string judge_listen(const Worker &worker, const Daemon &daemon, const Conf &conf) {
  for (const std::string &line : conf.listen) {
    ListenAddress address;
    if (!parse_listen(expand(line, meanings_of(worker, daemon)), address) || address.family == Family::local ||
        address.port >= first_free_port || worker.policy.may_bind(daemon.owner, address.port))
      continue;
    const std::string owner = user_name(worker, daemon.owner);
    return fmt::format("{}: listen={}: ports below {} are root's to give. Choose a higher one, or ask root for the line \"{}: {}\" "
                       "under [ports] in the master config",
                       conf_path(worker, daemon.owner, daemon.name), line, first_free_port, owner, address.port);
  }
  return {};
}

Terms read_terms(const Worker &worker, const Daemon &daemon, const Conf &conf) {
  Terms terms;
  terms.listens = static_cast<std::uint32_t>(std::min<std::size_t>(conf.listen.size(), max_sockets));
  const Meanings meanings = meanings_of(worker, daemon);
  std::string lines = fmt::format("{} {} {}", conf.listen_mode, conf.listen_backlog, daemon.target);
  for (const std::string &line : conf.listen) lines += "\n" + expand(line, meanings);
  terms.listen_hash = static_cast<std::uint32_t>(hash(lines));
  terms.start_timeout_ms = conf.start_timeout_ms;
  terms.watchdog_ms = conf.watchdog_ms;
  terms.ready = conf.ready;
  terms.on_connection = conf.on_connection && terms.listens != 0;
  terms.before = !conf.before.empty();
  terms.after_exit = !conf.after_exit.empty();
  terms.stop_command = !conf.stop_command.empty();
  return terms;
}

void bind_sockets(Worker &worker, Daemon &daemon) {
  const std::int64_t now = now_ms();
  daemon.settling = false;
  if (pending(daemon) && daemon.timer_ms == 0) return set_timer(worker, daemon, now + bind_ms);  // its end leads back here
  daemon.binds_due = daemon.binds;  // if it was not over, it never will be
  set_timer(worker, daemon, now + bind_ms);
  if (foreign(daemon)) return ask_unbind(worker, daemon);
  const bool there = daemon.sockets == daemon.terms.listens;
  if (there && !daemon.arming) {
    set_timer(worker, daemon, 0);
    return raise(worker, daemon, Event::bound);
  }
  ask_for_sockets(worker, daemon);
}

bool release_sockets(Worker &worker, Daemon &daemon) {
  if (daemon.sockets == 0 && !pending(daemon)) return false;
  // What is being bound just now is known when that is over; an unbinding that was asked for comes to its end.
  if (!pending(daemon)) ask_unbind(worker, daemon);
  return true;
}

void tend_sockets(Worker &worker, Daemon &daemon) {
  const bool up = daemon.state == State::running || daemon.state == State::readying;
  if (!up || daemon.sockets != 0 || daemon.terms.listens == 0 || !daemon.usable || pending(daemon) || worker.stopping || !is_allowed(worker, daemon)) return;
  if (daemon.held_hash != daemon.terms.listen_hash) return;  // its run was started without these: they come with the next
  const std::optional<Conf> conf = read_conf(worker, daemon);
  if (const std::vector<SocketSpec> specs = conf ? specs_of(*conf) : std::vector<SocketSpec>(); !specs.empty())
    ask_bind(worker, daemon, specs, false);
}

void retry_sockets(Worker &worker, Daemon &daemon) {
  if (std::exchange(daemon.rebind, false)) tend_sockets(worker, daemon);
}

void abandon_sockets(Worker &worker, Daemon &daemon) {
  note(worker, fmt::format("{}: its listening sockets were not taken away in {} ms; their files may be left", id_of(worker, daemon),
                           release_ms));
  daemon.binds_due = daemon.binds;
  daemon.unbinding = false;
  daemon.sockets = 0;
  settle(worker, daemon);
}

void take_sockets(Worker &worker, Daemon &daemon, const TellSlot &tell) {
  const std::uint32_t had = std::exchange(daemon.sockets, tell.sockets);
  const bool was_pending = pending(daemon);
  daemon.binds = tell.binds;
  const bool refused = was_pending && pending(daemon) && tell.refusal != Refusal::none && daemon.state != State::starting;
  // What a predecessor asked for is still under way: its end counts, and then it is looked at anew. Who waits for that has a timer,
  // be it in binding or settling, should the end never come.
  if (refused && tell.refusal == Refusal::busy && tell.state == SlotState::idle) {
    daemon.unbinding = true;
    return;
  }
  if (refused && daemon.state == State::binding) return refused_bind(worker, daemon, tell.refusal);
  if (refused) daemon.binds_due = daemon.binds;
  if (pending(daemon)) return;
  const bool ended = was_pending, unbound = std::exchange(daemon.unbinding, false);
  if (daemon.settling && daemon.state == State::stopped) {
    settle(worker, daemon);
    return;
  }
  if (daemon.state == State::binding && ended) {
    set_timer(worker, daemon, 0);
    if (unbound || foreign(daemon)) return bind_sockets(worker, daemon);
    if (daemon.sockets == daemon.terms.listens) return raise(worker, daemon, daemon.arming ? Event::armed : Event::bound);
    return raise(worker, daemon, Event::unbound);
  }
  if (daemon.state == State::listening && daemon.sockets == 0) return raise(worker, daemon, Event::unbound);
  if (daemon.state == State::listening && tell.connected != 0) return raise(worker, daemon, Event::connected);
  const bool up = daemon.state == State::running || daemon.state == State::readying;
  if (!up || daemon.sockets != 0 || daemon.terms.listens == 0) return;
  if (had != 0) {
    note(worker, fmt::format("{} has shut its listening sockets down; they are made anew", id_of(worker, daemon)));
    return tend_sockets(worker, daemon);
  }
  if (!ended && !refused) return;
  note(worker, fmt::format("{} is without its listening sockets: {}", id_of(worker, daemon),
                           of_bind(tell.report.stage) ? describe_failure(worker, daemon) : "the monitor refused them just now"));
  daemon.rebind = true;
  daemon.rebind_at = now_ms() + again_ms;
  // (A timer that is there is start_timeout or the watchdog, and stays what it is.)
  if (daemon.timer_ms == 0) set_timer(worker, daemon, now_ms() + std::max<std::int64_t>(again_ms, daemon.watchdog_ms));
}

}  // namespace dm::worker
