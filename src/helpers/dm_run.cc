// dm-run: sets up and becomes one daemon, or a command of its conf (lib/helper.hh tells how it is called). Runs as the target, on the path of
// every respawn: no name service, no dynamic loading, nothing read but the book.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <string_view>

#include "lib/book.hh"
#include "lib/conf.hh"
#include "lib/conf_expand.hh"
#include "lib/helper.hh"
#include "lib/text.hh"
#include "own.hh"
#include "run_before.hh"
#include "run_exec.hh"
#include "run_path.hh"
#include "run_ready.hh"
#include "run_sockets.hh"

namespace {

using namespace dm;

enum Argument {
  arg_what = 1, arg_index, arg_instance, arg_slot, arg_sockets, arg_owner, arg_owner_home, arg_name, arg_home, arg_shell, arg_pid,
  arg_code, arg_status, arguments
};
enum class What { start, after_exit, stop, reload };
constexpr std::string_view whats[] = {"start", "after_exit", "stop", "reload"};

// The numbers among the arguments.
struct Order {
  What what = What::start;
  std::uint32_t index = 0, instance = 0, slot = 0, sockets = 0, pid = 0, code = 0, status = 0;
};

bool parse_order(char **argv, Order &order) {
  const auto *const at = std::find(std::begin(whats), std::end(whats), argv[arg_what]);
  order.what = static_cast<What>(at - std::begin(whats));
  return at != std::end(whats) && parse_decimal(argv[arg_index], max_entries, order.index) &&
         parse_decimal(argv[arg_instance], max_instances, order.instance) && parse_decimal(argv[arg_slot], max_slots - 1, order.slot) &&
         parse_decimal(argv[arg_sockets], max_sockets, order.sockets) && parse_decimal(argv[arg_pid], 1U << 30, order.pid) &&
         parse_decimal(argv[arg_code], CLD_CONTINUED, order.code) && parse_decimal(argv[arg_status], 255, order.status);
}

// The daemon starts as from a fresh login: whatever the manager ignores or blocks is no business of its own. (SIGPIPE comes last, in
// run_command: where the monitor is killed nobody reads the reports, and that is no reason not to go on.)
bool reset_signals() {
  struct sigaction standard {};
  for (int signal = 1; signal <= SIGRTMAX; signal++) {
    standard.sa_handler = signal == SIGPIPE ? SIG_IGN : SIG_DFL;
    (void)sigaction(signal, &standard, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

RunReport fail(RunStage stage, int error, std::uint32_t detail = 0) {
  return {stage, static_cast<std::uint16_t>(error), detail};
}

// Which command it is, and what it is told beside the daemon's own environment.
std::string command_of(const Conf &conf, const Order &order, std::vector<std::string> &environment) {
  switch (order.what) {
    case What::start: return conf.start;
    case What::stop:
    case What::reload:
      environment.push_back("MAINPID=" + std::to_string(order.pid));
      return order.what == What::stop ? conf.stop_command : conf.reload_command;
    case What::after_exit: {
      const bool by_signal = order.code == CLD_KILLED || order.code == CLD_DUMPED, exited = order.code == CLD_EXITED;
      const std::string name = signal_name(static_cast<int>(order.status));
      environment.push_back(std::string("EXIT_CODE=") + (exited ? "exited" : !by_signal ? "failed" : order.code == CLD_KILLED ? "killed" : "dumped"));
      environment.push_back("EXIT_STATUS=" + (by_signal ? name.substr(name.starts_with("SIG") ? 3 : 0) : std::to_string(order.status)));
      return conf.after_exit;
    }
  }
  return {};
}

RunReport enter(const Conf &conf) {
  umask(conf.umask);
  if (chdir(conf.dir.c_str()) == 0) return {};
  const int error = errno;
  const PathFault fault = find_blocked(conf.dir, false);
  if (fault.bytes != 0) return fail(RunStage::dir, fault.errno_value, fault.bytes);
  return fail(RunStage::dir, error, static_cast<std::uint32_t>(conf.dir.size()));
}

RunReport run(char **argv, const Order &order, const OwnFds &own) {
  const auto book_conf = read_book_conf(own.book, order.index);
  if (!book_conf || book_conf->entry.problem != BookProblem::none) return fail(RunStage::book, 0);
  Conf conf = parse_conf(book_conf->text, false);
  if (!conf.usable()) return fail(RunStage::book, 0);
  // The worker, which is not trusted, chose the target; the owner chose it too, here. Only if they agree is it started.
  const Target target{argv[arg_name], argv[arg_home], argv[arg_shell]};
  if ((conf.user.empty() ? std::string(argv[arg_owner]) : conf.user) != target.name) return fail(RunStage::user, 0);
  expand(conf, {book_conf->entry.name, argv[arg_owner], argv[arg_owner_home], order.instance});
  auto environment = make_environment(target, conf);
  const std::string command = command_of(conf, order, environment);
  // Its conf has changed since, or its sockets are not those that it asks for.
  if (command.empty() || (order.what == What::start && !sockets_as_written(conf, own))) return fail(RunStage::book, 0);
  if (const RunReport entered = enter(conf); entered.stage != RunStage::none) return entered;
  if (!reset_signals()) return fail(RunStage::environment, errno);
  if (order.what == What::start) {
    if (!conf.before.empty())
      if (const RunReport before = run_before(conf.before, environment, own.report); before.stage != RunStage::none) return before;
    if (!pass_sockets(conf, own, environment) || !set_up_ready(conf, own, order.slot, environment)) return fail(RunStage::environment, errno);
  }
  const RunReport executes{RunStage::executes, 0, 0};
  if (!say(own.report, executes)) return fail(RunStage::environment, errno);
  return run_command(command, environment);
}

}  // namespace

int main(int argc, char **argv) {
  Order order;
  OwnFds own;
  // The book holds the owner's secrets: the target, whose process this is, may not look into it before the exec.
  const bool ready = undumpable(), ordered = argc == arguments && parse_order(argv, order);
  if (!ready || !ordered || !move_own(order.sockets, own)) {
    const RunReport report = ordered ? fail(RunStage::environment, errno) : fail(RunStage::book, EINVAL);
    (void)!write(helper_fd, &report, sizeof report);
    return 127;
  }
  const RunReport report = run(argv, order, own);
  (void)!write(own.report, &report, sizeof report);
  return 127;
}
