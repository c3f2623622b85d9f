// Runs an editor. The caller's privilege.
#include "dmctl/editor.hh"

#include "dmctl/terminal.hh"
#include "lib/book_words.hh"
#include "lib/text.hh"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr int none_found = 127;  // as a shell says it

std::string chosen() {
  for (const char *name : {"VISUAL", "EDITOR"})
    if (const char *value = std::getenv(name); value != nullptr && *value != '\0') return value;
  return {};
}

// Does not return. What is in VISUAL may be several words, so a shell takes them apart; the path stays one.
[[noreturn]] void become_editor(const std::string &words, const std::string &path) {
  std::signal(SIGPIPE, SIG_DFL);
  const std::string script = words + " \"$@\"";
  if (!words.empty()) ::execl("/bin/sh", "sh", "-c", script.c_str(), words.c_str(), path.c_str(), nullptr);
  else
    for (const char *name : {"editor", "vi"}) ::execlp(name, name, path.c_str(), nullptr);
  ::_exit(none_found);
}

}  // namespace

std::string run_editor(const std::string &path) {
  const std::string words = chosen();
  const pid_t child = ::fork();
  if (child < 0) return fmt::format("no editor could be started: {}", errno_words(errno));
  if (child == 0) become_editor(words, path);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno == EINTR) {
      // What a terminal sends at a key goes to both; these come to one of the two.
      if (const int signal = Interrupts::last(); signal == SIGHUP || signal == SIGTERM) ::kill(child, signal);
    } else return fmt::format("the editor is lost: {}", errno_words(errno));
  if (WIFSIGNALED(status)) return fmt::format("the editor was ended by {}", signal_name(WTERMSIG(status)));
  const int code = WEXITSTATUS(status);
  if (code == 0) return {};
  if (code == none_found && words.empty()) return "there is neither editor nor vi; name one in VISUAL or EDITOR";
  if (code == none_found) return fmt::format("the editor '{}' is not there; mend VISUAL or EDITOR", words);
  return fmt::format("the editor ended with exit code {}", code);
}

}  // namespace dm::dmctl
