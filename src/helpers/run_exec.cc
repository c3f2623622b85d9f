// Executes the daemon's command: directly, with its own search along PATH, or by /bin/sh. Runs as the target.
#include "run_exec.hh"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "run_path.hh"

namespace dm {
namespace {

constexpr std::string_view user_path = "PATH=/usr/local/bin:/usr/bin:/bin";
constexpr std::string_view root_path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::size_t max_string = 131072;  // MAX_ARG_STRLEN: the kernel takes no longer string, its NUL counted
constexpr const char *shell = "/bin/sh";

// Pointers for execve; they live as long as the strings.
std::vector<char *> pointers(const std::vector<std::string> &strings) {
  std::vector<char *> out;
  out.reserve(strings.size() + 1);
  for (const std::string &one : strings) out.push_back(const_cast<char *>(one.c_str()));
  out.push_back(nullptr);
  return out;
}

std::string_view path_of(const std::vector<std::string> &environment) {
  for (const std::string &one : environment)
    if (one.starts_with("PATH=")) return std::string_view(one).substr(5);
  return {};
}

// Ignored until then, that a report which nobody reads does not end us.
void set_sigpipe(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  (void)sigaction(SIGPIPE, &action, nullptr);
}

// execve(2); a file without a #! line, which the kernel does not know, is a script for sh, as in any shell.
int execute(const std::string &program, const std::vector<std::string> &words,
            const std::vector<std::string> &environment) {
  const std::vector<char *> env = pointers(environment);
  set_sigpipe(SIG_DFL);
  execve(program.c_str(), pointers(words).data(), env.data());
  if (errno == ENOEXEC) {
    std::vector<std::string> script = {"sh", program};
    script.insert(script.end(), words.begin() + 1, words.end());
    execve(shell, pointers(script).data(), env.data());
  }
  const int error = errno;
  set_sigpipe(SIG_IGN);
  return error;
}

RunReport report(RunStage stage, int error, std::size_t detail) {
  return {stage, static_cast<std::uint16_t>(error), static_cast<std::uint32_t>(detail)};
}

// Which component of the program's path is to blame; `error` is execve's.
RunReport blame(const std::string &program, int error) {
  const PathFault fault = find_blocked(program, true);
  if (fault.bytes != 0) return report(RunStage::exec, fault.errno_value, fault.bytes);
  // The file is there: what is missing is the interpreter after its #!, or its dynamic loader.
  if (error == ENOENT && access(program.c_str(), F_OK) == 0) error = ELIBACC;
  return report(RunStage::exec, error, program.size());
}

RunReport search(const std::vector<std::string> &words, const std::vector<std::string> &environment) {
  const std::string &name = words.front();
  std::string_view path = path_of(environment);
  int found = 0;
  for (;;) {
    const std::size_t end = std::min(path.find(':'), path.size());
    const std::string directory(path.substr(0, end));
    const std::string program = directory.empty() ? name : directory + "/" + name;
    int error = execute(program, words, environment);
    if (error == ENOENT && access(program.c_str(), F_OK) == 0) error = ELIBACC;
    // As a shell does: one that may not be executed does not hide one that may, further on.
    if (error != ENOENT && error != ENOTDIR && error != EACCES) return report(RunStage::exec, error, name.size());
    if (error == EACCES && access(program.c_str(), F_OK) == 0) found = EACCES;
    if (end == path.size()) break;
    path.remove_prefix(end + 1);
  }
  return found != 0 ? report(RunStage::exec, found, name.size()) : report(RunStage::exec, ENOENT, 0);
}

}  // namespace

std::vector<std::string> make_environment(const Target &target, const Conf &conf) {
  std::vector<std::string> out = {"HOME=" + target.home, "USER=" + target.name, "LOGNAME=" + target.name,
                                  "SHELL=" + target.shell, std::string(geteuid() == 0 ? root_path : user_path)};
  const std::size_t standard = out.size();
  if (!conf.path.empty()) out.back() = "PATH=" + conf.path;
  for (const auto &[name, value] : conf.exports) {
    const std::string start = name + "=";
    const auto same = std::find_if(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(standard),
                                   [&](const std::string &one) { return one.starts_with(start); });
    if (same != out.begin() + static_cast<std::ptrdiff_t>(standard)) *same = start + value;
    else out.push_back(start + value);
  }
  return out;
}

RunReport run_command(const std::string &command, const std::vector<std::string> &environment) {
  for (const std::string &one : environment)
    if (one.size() >= max_string) return report(RunStage::environment, E2BIG, 0);
  std::vector<std::string> words;
  if (!split_command(command, words)) {
    const int error = execute(shell, {"sh", "-c", command}, environment);
    return report(RunStage::exec, error, std::string_view(shell).size());
  }
  if (words.front().find('/') == std::string::npos) return search(words, environment);
  return blame(words.front(), execute(words.front(), words, environment));
}

}  // namespace dm
