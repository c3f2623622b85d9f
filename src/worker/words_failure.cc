// What people read of a start that failed: at what, why, and what to do. Sandboxed. Bytes that users chose are escaped by whoever prints.
#include <sys/wait.h>

#include <fmt/core.h>

#include <cerrno>

#include "lib/book_words.hh"
#include "lib/text.hh"
#include "worker/worker.hh"

namespace dm::worker {
namespace {

std::string why(int error) { return errno_words(error); }

// As whom it was to run, be he in the master config any more or not.
std::string target_name(const Worker &worker, const Daemon &daemon, const Conf &conf) {
  if (daemon.target != no_user) return user_name(worker, daemon.target);
  return conf.user.empty() ? user_name(worker, daemon.owner) : conf.user;
}

std::string describe_dir(const Worker &worker, const Daemon &daemon, const Conf &conf) {
  const RunReport &report = daemon.report;
  const std::string target = target_name(worker, daemon, conf);
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
  const std::string target = target_name(worker, daemon, conf);
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

std::string describe_before(const Worker &worker, const Daemon &daemon) {
  const std::string file = conf_path(worker, daemon.owner, daemon.name);
  if (daemon.report.errno_value != 0)
    return fmt::format("before= in {} could not be run: {}. Correct it", file, why(daemon.report.errno_value));
  // The wait status, as waitpid(2) gives it.
  const auto status = static_cast<int>(daemon.report.detail);
  const std::string how = WIFSIGNALED(status) ? fmt::format("was killed by {}", signal_name(WTERMSIG(status)))
                                              : fmt::format("ended with exit code {}", WEXITSTATUS(status));
  return fmt::format("before= in {} {}, so it was not started. {}", file, how,
                     daemon.logged ? "Its log may tell why" : "Run it by hand to see why, or set output=log");
}

// Which listen= line, where it stands, who is in the way, and what to do.
std::string describe_listen(const Worker &worker, const Daemon &daemon, const std::optional<Conf> &conf) {
  const std::size_t index = daemon.report.detail & 0xffU;
  const std::uint32_t pid = daemon.report.detail >> 8;
  const std::string line = conf && index < conf->listen.size() ? conf->listen[index] : "?";
  const std::string file = conf_path(worker, daemon.owner, daemon.name);
  const std::string text = fmt::format("cannot listen at {} (listen= in {}): ", line, file);
  const std::string owner = user_name(worker, daemon.owner);
  const std::size_t slash = line.rfind('/');
  const std::string dir = slash == line.npos || slash == 0 ? "/" : line.substr(0, slash);
  switch (daemon.report.stage) {
    case RunStage::listen_dir:
      return text + (daemon.report.errno_value == EACCES
                         ? fmt::format("{} may not enter {}. Let him pass, or choose a directory of his own", owner, dir)
                         : fmt::format("{}: {}. Make that directory, or correct the line", dir, why(daemon.report.errno_value)));
    case RunStage::listen_taken:
      return text + fmt::format("something is there that is no socket of {}'s. Remove it, or correct the line", owner);
    case RunStage::listen_live:
      // (The kernel names the process that made the socket: of one that the manager had made that is a dm-listen, long gone.)
      if (daemon.state == State::running || daemon.state == State::readying)
        return text + "somebody listens there already: most likely the daemon itself, from which the manager could not take its socket back "
                      "(see daemon-manager(8)). Then it serves on, and a restart makes the socket anew; ss -lxtnp shows who it is";
      return text + (pid != 0 ? fmt::format("process {} listens there already. End it (ps -p {} shows what it is), or choose another "
                                            "address",
                                            pid, pid)
                              : "another process listens there already (ss -ltnp shows which). End it, or choose another address");
    case RunStage::listen_bind:
      if (daemon.report.errno_value == EACCES && line.find('/') == line.npos)
        return text + fmt::format("permission denied. Ports below {} are root's to give: ask for the line \"{}: PORT\" under [ports] in "
                                  "the master config, or choose a higher one",
                                  first_free_port, owner);
      if (daemon.report.errno_value == EACCES)
        return text + fmt::format("{} may not write to {}. Choose a directory of his own", owner, dir);
      return text + fmt::format("{}. See to it, or correct the line", why(daemon.report.errno_value));
    case RunStage::none: case RunStage::fork: case RunStage::identity: case RunStage::exec_helper: case RunStage::book:
    case RunStage::user: case RunStage::dir: case RunStage::environment: case RunStage::output: case RunStage::exec:
    case RunStage::deadline: case RunStage::before_runs: case RunStage::executes: case RunStage::before: case RunStage::listen_book:
      break;
  }
  return text + why(daemon.report.errno_value);
}

}  // namespace

std::string describe_failure(const Worker &worker, const Daemon &daemon) {
  const int error = daemon.report.errno_value;
  const std::optional<Conf> conf = read_conf(worker, daemon);
  switch (daemon.report.stage) {
    case RunStage::none:
      return daemon.fault == Fault::unbound ? "its listening sockets could not be made; the manager's log may say why" : std::string();
    case RunStage::fork: return fmt::format("no process could be made for it: {}", why(error));
    case RunStage::identity: return fmt::format("could not become {}: {}", conf ? target_name(worker, daemon, *conf) : user_name(worker, daemon.target), why(error));
    case RunStage::exec_helper:
      return error == EAGAIN ? fmt::format("{} has as many processes as he may have (ulimit -u); end some",
                                           user_name(worker, daemon.target))
                             : fmt::format("dm-run could not be run: {}", why(error));
    case RunStage::book: return "its conf changed while it was being started; dmctl rescan, then start it again";
    case RunStage::user: return "user= in its conf is not whom it was started as; dmctl rescan, then start it again";
    case RunStage::dir: return conf ? describe_dir(worker, daemon, *conf) : fmt::format("cannot enter dir=: {}", why(error));
    case RunStage::environment:
      if (error == E2BIG)
        return "its environment could not be made: a variable of export or env_file= is longer than the 128 KiB that Linux lets one have. Shorten it, or have it read a file";
      return fmt::format("its environment could not be made: {}", why(error));
    case RunStage::output: return fmt::format("its log could not be opened: {}", why(error));
    case RunStage::exec: return conf ? describe_exec(worker, daemon, *conf) : fmt::format("cannot run start=: {}", why(error));
    case RunStage::deadline: return "it was not executed in 10 s: does dir= answer?";
    case RunStage::before_runs:
    case RunStage::executes: return {};
    case RunStage::before: return describe_before(worker, daemon);
    case RunStage::listen_book: return "listen= in its conf changed while its sockets were made; dmctl rescan, then start it again";
    case RunStage::listen_dir:
    case RunStage::listen_taken:
    case RunStage::listen_live:
    case RunStage::listen_bind: return describe_listen(worker, daemon, conf);
  }
  return {};
}

}  // namespace dm::worker
