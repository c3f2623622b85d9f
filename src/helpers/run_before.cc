// Runs before= to its end. Runs as the target.
#include "run_before.hh"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "lib/fd.hh"
#include "run_exec.hh"

namespace dm {
namespace {

RunReport failed(int error, int status = 0) {
  return {RunStage::before, static_cast<std::uint16_t>(error), static_cast<std::uint32_t>(status)};
}

}  // namespace

bool say(int report, const RunReport &what) { return write(report, &what, sizeof what) == sizeof what || errno == EPIPE; }

RunReport run_before(const std::string &command, const std::vector<std::string> &environment, int report) {
  const RunReport runs{RunStage::before_runs, 0, 0};
  int ends[2];
  if (!say(report, runs) || pipe2(ends, O_CLOEXEC) != 0) return failed(errno);
  const Fd said(ends[0]);
  Fd says(ends[1]);
  const pid_t child = fork();
  if (child < 0) return failed(errno);
  if (child == 0) {
    // Descriptors of the manager's, and the daemon's sockets, all close at its exec.
    const RunReport why = run_command(command, environment);
    (void)!write(says.get(), &why, sizeof why);
    _exit(127);
  }
  says.reset();
  RunReport why{};
  const bool unable = read(said.get(), &why, sizeof why) == sizeof why;
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return failed(errno);
  if (unable) return failed(why.errno_value);
  return status == 0 ? RunReport{} : failed(0, status);
}

}  // namespace dm
