// Where a daemon's output goes. Sandboxed: what the paths lead to is for dm-log and dmctl to find out.
#include <fmt/core.h>

#include "worker/worker.hh"

namespace dm::worker {

void take_output(const Worker &worker, Daemon &daemon, const Conf &conf) {
  daemon.logged = conf.log.output != Output::discard;
  daemon.log_file = conf.log.output == Output::syslog ? std::string(in_syslog) : expand(conf.log.file, meanings_of(worker, daemon));
}

std::string log_of(const Worker &worker, const Daemon &daemon) {
  if (!daemon.logged || !daemon.log_file.empty()) return daemon.log_file;
  return fmt::format("{}/.daemon-manager/logs/{}.log", worker.policy.text(worker.policy.users[daemon.owner].home), daemon.name);
}

}  // namespace dm::worker
