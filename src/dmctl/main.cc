// dmctl: the command line of the Daemon Manager. The caller's privilege; who may what is the worker's judgement.
#include "dmctl/command.hh"
#include "dmctl/json.hh"
#include "dmctl/printer.hh"

#include <csignal>
#include <fcntl.h>
#include <unistd.h>

#include <fmt/core.h>

namespace {

// Where 0, 1 or 2 came closed, a socket must not take their number and be written to as stdout. Opened for reading, so that
// a write to it still fails and is noticed.
bool fill_standard_descriptors() {
  for (int fd = 0; fd <= 2; fd++)
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY | O_NOCTTY) != fd) return false;
  return true;
}

// Everything out, with the document of one who ended before he had come to it.
int finish(const dm::dmctl::Command &command, dm::dmctl::Printer &printer, dm::Exit code) {
  if (printer.collects() && !printer.has_document()) code = dm::dmctl::put_json(command, printer, code);
  if (!printer.flush() && code == dm::Exit::done) code = dm::Exit::failed;
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char **argv) {
  using namespace dm;
  if (!fill_standard_descriptors()) return static_cast<int>(Exit::failed);
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is a failed write; the verb still runs to its end
  dmctl::Printer printer;
  const std::size_t words = argc > 0 ? static_cast<std::size_t>(argc) - 1 : 0;
  const dmctl::Parsed parsed = dmctl::parse_arguments({argv + (argc > 0 ? 1 : 0), words});
  const dmctl::Verb *verb = parsed.command.verb;
  // Also where the words make no command, so that a program need not look whether what it gets is JSON.
  for (std::size_t i = 1; i <= words; i++)
    if (std::string_view(argv[i]) == "--json") printer.collect();
  if (!parsed.fault.empty() || verb == nullptr) {
    const std::string usage = verb == nullptr ? std::string("dmctl help") : fmt::format("dmctl {}", verb->usage);
    printer.complain(dmctl::own_words(parsed.fault) + (verb == nullptr ? "  verbs and options: " : "  usage: ") + usage + "\n", Exit::usage);
    return finish(parsed.command, printer, Exit::usage);
  }
  printer.be_quiet(parsed.command.quiet);
  return finish(parsed.command, printer, verb->run(parsed.command, printer));
}
