// The same question asked again and again, with little patience, for a screen that must go on. The caller's privilege.
#include "dmctl/live.hh"

#include "lib/text.hh"
#include "settings.hh"

#include <chrono>

namespace dm::dmctl {
namespace {

constexpr Patience patience = std::chrono::seconds(2);  // keys wait for so long where the manager is hung

std::string first_line(const std::string &text) { return escape(text.substr(0, text.find('\n'))); }

}  // namespace

Picture take_picture(const Question &question) {
  Picture picture;
  Printer printer(-1, -1);
  printer.collect();
  std::vector<Attempt> attempts;
  Result<Fd> socket = connect_to(socket_paths(), DM_RUN_DIR, Patience::zero(), attempts);
  if (!socket) {
    picture.answer.code = Exit::no_manager;
    picture.problem = "the manager is not running";
    return picture;
  }
  Connection connection(std::move(*socket));
  picture.answer = ask(connection, question, printer, patience);
  for (const Said &said : printer.said())
    if (picture.problem.empty() && (said.code != Exit::done || !question.arguments.empty()))
      picture.problem = (said.id.empty() ? "" : escape(said.id) + ": ") + first_line(said.text);
  return picture;
}

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace dm::dmctl
