// dm-run: sets up and becomes one daemon (lib/helper.hh tells how it is called). Runs as the target, on the path of
// every respawn: no name service, no dynamic loading, nothing read but the book.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "lib/book.hh"
#include "lib/conf.hh"
#include "lib/conf_expand.hh"
#include "lib/helper.hh"
#include "own.hh"
#include "run_exec.hh"
#include "run_path.hh"

namespace {

using namespace dm;

enum Argument { arg_index = 1, arg_owner, arg_owner_home, arg_name, arg_home, arg_shell, arguments };

// The daemon starts as from a fresh login: whatever the manager ignores or blocks is no business of its own.
bool reset_signals() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal <= SIGRTMAX; signal++) (void)sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

RunReport fail(RunStage stage, int error, std::uint32_t detail = 0) {
  return {stage, static_cast<std::uint16_t>(error), detail};
}

RunReport run(char **argv) {
  std::uint32_t index = 0;
  if (!parse_decimal(argv[arg_index], max_entries, index)) return fail(RunStage::book, EINVAL);
  const auto book_conf = read_book_conf(helper_fd2, index);
  if (!book_conf || book_conf->entry.problem != BookProblem::none) return fail(RunStage::book, 0);
  Conf conf = parse_conf(book_conf->text, false);
  if (!conf.usable()) return fail(RunStage::book, 0);
  // The worker, which is not trusted, chose the target; the owner chose it too, here. Only if they agree is it started.
  const Target target{argv[arg_name], argv[arg_home], argv[arg_shell]};
  if ((conf.user.empty() ? std::string(argv[arg_owner]) : conf.user) != target.name) return fail(RunStage::user, 0);
  expand(conf, {book_conf->entry.name, argv[arg_owner], argv[arg_owner_home]});
  const auto environment = make_environment(target, conf);
  umask(conf.umask);
  if (chdir(conf.dir.c_str()) != 0) {
    const int error = errno;
    const PathFault fault = find_blocked(conf.dir, false);
    if (fault.bytes != 0) return fail(RunStage::dir, fault.errno_value, fault.bytes);
    return fail(RunStage::dir, error, static_cast<std::uint32_t>(conf.dir.size()));
  }
  if (!reset_signals()) return fail(RunStage::environment, errno);
  return run_command(conf, environment);
}

}  // namespace

int main(int argc, char **argv) {
  // The book holds the owner's secrets: the target, whose process this is, may not look into it before the exec.
  const bool closed = undumpable() && fcntl(helper_fd, F_SETFD, FD_CLOEXEC) == 0 &&
                      fcntl(helper_fd2, F_SETFD, FD_CLOEXEC) == 0 && close_range(helper_fd2 + 1, ~0U, 0) == 0;
  const RunReport report = closed && argc == arguments ? run(argv) : fail(RunStage::environment, errno);
  (void)!write(helper_fd, &report, sizeof report);
  return 127;
}
