// Where a daemon's output goes. Sandboxed: what the paths lead to is for dm-log and dmctl to find out.
#include <fmt/core.h>

#include <map>

#include "worker/worker.hh"

namespace dm::worker {

void take_output(const Worker &worker, Daemon &daemon, const Conf &conf) {
  daemon.logged = conf.log.output != Output::discard;
  daemon.log_file = conf.log.output == Output::syslog ? std::string(in_syslog) : expand(conf.log.file, meanings_of(worker, daemon));
}

void warn_of_shared_logs(const Worker &worker, std::span<Daemon *const> daemons) {
  std::map<std::string_view, const Daemon *> first;
  for (Daemon *daemon : daemons) {
    if (!daemon->usable || !daemon->logged || daemon->log_file.empty() || daemon->log_file == in_syslog) continue;
    const auto [at, fresh] = first.emplace(daemon->log_file.text(), daemon);
    if (fresh || !daemon->warning.empty()) continue;
    daemon->warning = fmt::format("{}: output=file:{} is the log of {} too, and one of them alone can write to it; give each a file of its own",
                                  conf_path(worker, daemon->owner, daemon->name), daemon->log_file.text(), at->second->name);
  }
}

std::string log_of(const Worker &worker, const Daemon &daemon) {
  if (!daemon.logged || !daemon.log_file.empty()) return daemon.log_file;
  return log_path(worker.policy.text(worker.policy.users[daemon.owner].home), daemon.name);
}

}  // namespace dm::worker
