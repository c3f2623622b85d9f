// dmctl under a manager that is hostile: any words on its command line, any bytes as answers, in any pieces, again and again where
// it asks again. Nothing it prints may reach a terminal as more than text.
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <vector>

#include <nlohmann/json.hpp>

#include "dmctl/command.hh"
#include "dmctl/home.hh"
#include "dmctl/lint.hh"
#include "dmctl/page.hh"
#include "dmctl/printer.hh"
#include "dmctl/status_view.hh"
#include "dmctl/verbs.hh"
#include "dmctl/watch.hh"
#include "input.hh"
#include "lib/client.hh"
#include "lib/fd.hh"
#include "lib/text.hh"

namespace dm::fuzz {
namespace {

Input *input = nullptr;
Fd manager;       // the other end of dmctl's connection
unsigned connections = 0;

std::string contents(const Fd &file) {
  std::string text(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
  must(::pread(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()), "what was printed can be read");
  return text;
}

void judge_output(std::string_view text) {
  must(text.empty() || text.ends_with('\n'), "what is printed is whole lines");
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    must(escape(line) == line, "what is printed is harmless to a terminal");
    text.remove_prefix(line.size() + 1);
  }
}

// The next piece of the answer: half of the time all that is left.
void answer() {
  const std::uint8_t how = input->byte();
  const std::string_view piece = how < 128 ? input->bytes(how) : input->rest();
  if (how >= 128) input->bytes(piece.size());
  if (manager) (void)!::send(manager.get(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (how == 0 || input->empty()) manager.reset();  // and that was all
}

dmctl::Parsed parse(std::vector<std::string> &words) {
  std::vector<char *> arguments;
  for (std::string &word : words) arguments.push_back(word.data());
  return dmctl::parse_arguments(arguments);
}

void run(std::string_view line) {
  std::vector<std::string> words;
  for (; !line.empty(); line.remove_prefix(std::min(line.find(' ') + 1, line.size()))) {
    words.emplace_back(line.substr(0, line.find(' ')));
    words.back() = words.back().substr(0, words.back().find('\0'));
    if (line.find(' ') == std::string_view::npos) break;
  }
  dmctl::Parsed parsed = parse(words);
  must(!parsed.fault.empty() || parsed.command.verb != nullptr, "a command has a verb, or a fault");
  if (!parsed.fault.empty()) return;
  for (const auto touches_files : {dmctl::run_log, dmctl::run_check, dmctl::run_cat, dmctl::run_enable, dmctl::run_disable, dmctl::run_new, dmctl::run_edit, dmctl::run_top})
    if (parsed.command.verb->run == touches_files) return;
  if (parsed.command.watch) return;                                // that needs a terminal
  parsed.command.colour = dmctl::When::never;                      // what is coloured is more than text
  const Fd out(::memfd_create("out", MFD_CLOEXEC)), err(::memfd_create("err", MFD_CLOEXEC));
  dmctl::Printer printer(out.get(), err.get());
  if (parsed.command.json) printer.collect();
  printer.be_quiet(parsed.command.quiet);
  const Exit code = parsed.command.verb->run(parsed.command, printer);
  must(printer.flush(), "what is printed is written");
  judge_output(contents(out));
  must(!parsed.command.json || !printer.has_document() || parsed.command.quiet || nlohmann::json::accept(contents(out)), "a document is one of JSON");
  const std::string complaints = contents(err);
  judge_output(complaints);
  must(static_cast<int>(code) >= 0 && static_cast<int>(code) <= 7, "dmctl ends with one of its exit codes");
  const bool asks = parsed.command.verb->run != dmctl::run_help && parsed.command.words != std::vector<std::string>{std::string(dmctl::version_only)};
  must(!asks || connections > 0 || parsed.command.verb->run == dmctl::run_explain, "what has to be asked is asked");
  must(!parsed.command.json || complaints.empty(), "with a document nothing stands beside it");
  must(complaints.find("manager") == std::string::npos || code != Exit::done || complaints.find("dmctl:") == std::string::npos,
       "an answer that is none is no success");
}

}  // namespace
}  // namespace dm::fuzz

namespace dm::dmctl {
// What reads or writes files is not for here.
std::optional<bool> user_exists(const std::string &) { return std::nullopt; }
Caller find_caller() { return {}; }
std::optional<std::string> own_name(const Caller &, std::string_view) { return std::nullopt; }
Exit run_log(const Command &, Printer &) { return Exit::done; }
Exit run_check(const Command &, Printer &) { return Exit::done; }
Exit run_cat(const Command &, Printer &) { return Exit::done; }
Exit run_enable(const Command &, Printer &) { return Exit::done; }
Exit run_disable(const Command &, Printer &) { return Exit::done; }
Exit run_new(const Command &, Printer &) { return Exit::done; }
Exit run_edit(const Command &, Printer &) { return Exit::done; }
Exit run_top(const Command &, Printer &) { return Exit::done; }
Exit watch_status(const Command &, Printer &) { return Exit::done; }
Page gather_page(const Row &row, Processes &, const std::vector<Event> &) { return {.row = row, .usage = {}, .descriptors = {}, .most_descriptors = {}, .edited = false, .last = {true, {row[row_note]}}}; }
std::vector<Sight> look_at(std::vector<Row> rows) {
  std::vector<Sight> sights;
  for (Row &row : rows) sights.push_back({.row = std::move(row), .memory = 1, .cpu_us = 1, .cpu_percent = {}, .hidden = false});
  return sights;
}
bool print_words(std::span<const std::string>, Printer &) { return false; }
}  // namespace dm::dmctl

extern "C" {

int __wrap_socket(int, int, int) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return -1;
  dm::fuzz::manager = dm::Fd(ends[1]);
  return ends[0];
}

int __wrap_connect(int, const sockaddr *, socklen_t) {
  dm::fuzz::connections++;
  return 0;
}

// Nobody waits: either there is more, or the manager is silent for as long as dmctl is patient.
int __real_poll(pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(pollfd *fds, nfds_t count, int timeout) {
  if (dm::fuzz::input == nullptr) return __real_poll(fds, count, timeout);
  if (dm::fuzz::manager && !dm::fuzz::input->empty()) dm::fuzz::answer();
  else dm::fuzz::manager.reset();
  return __real_poll(fds, count, 0);
}

}  // extern "C"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace dm::fuzz;
  Input bytes(data, size);
  input = &bytes;
  connections = 0;
  run(bytes.text());
  input = nullptr;
  manager.reset();
  return 0;
}
