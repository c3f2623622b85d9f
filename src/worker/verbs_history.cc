// The verb history: what has happened to daemons, and on whose word, in words. Sandboxed. What former workers wrote is hostile: any
// number may stand anywhere.
#include <fmt/core.h>

#include <vector>

#include <csignal>

#include "lib/book_words.hh"
#include "lib/text.hh"
#include "worker/verbs.hh"

namespace dm::worker {
namespace {

constexpr std::size_t endings_shown = 5;

constexpr std::uint8_t exit_code_bit = 0x80;

// For programs; the order of Deed.
constexpr const char *deed_names[] = {"none",       "started",   "start-failed", "exited",    "killed",   "vanished", "stopped", "called-off",
                                      "signalled",  "reloaded",  "not-ready",    "silent",    "given-up", "reset",    "conf-changed", "taken-over"};
static_assert(sizeof deed_names / sizeof *deed_names == deeds);

// Whose word it was, for people; "" where it was nobody's.
std::string whose(const Worker &worker, std::uint32_t uid) {
  switch (uid) {
    case by_itself: return {};
    case by_autostart: return "autostart";
    case by_shutdown: return "the manager, which ended";
    case by_conf: return "the manager, as root's config or host= no longer lets it run";
    case by_need: return "a start of one that requires it";
    case 0: return "root";
    default: break;
  }
  const std::uint32_t user = worker.policy.find_uid(uid);
  return user == no_user ? fmt::format("uid {}", uid) : user_name(worker, user);
}

const char *describe_stage(std::uint8_t stage) {
  if (stage == failed_need) return "one that it requires does not run";
  switch (static_cast<RunStage>(stage)) {
    case RunStage::none: return "its listening sockets could not be made";
    case RunStage::fork: return "no process could be made";
    case RunStage::identity: return "it could not become its user";
    case RunStage::exec_helper: return "dm-run could not be run";
    case RunStage::book:
    case RunStage::listen_book: return "its conf changed meanwhile";
    case RunStage::user: return "user= in its conf changed meanwhile";
    case RunStage::dir: return "dir= could not be entered";
    case RunStage::environment: return "its environment could not be made";
    case RunStage::output: return "its log could not be opened";
    case RunStage::exec: return "start= could not be run";
    case RunStage::deadline: return "it was not executed in time";
    case RunStage::before: return "before= failed";
    case RunStage::listen_dir: return "the directory of a socket could not be entered";
    case RunStage::listen_taken: return "something is in a socket's place";
    case RunStage::listen_live: return "another listens there already";
    case RunStage::listen_bind: return "it could not listen";
    case RunStage::before_runs:
    case RunStage::executes: break;
  }
  return "it could not be told why";
}

std::string describe_deed(const HistoryEvent &it, const std::string &by) {
  const std::string on = by.empty() ? "" : " by " + by, lasted = short_time(std::uint64_t{it.value} * 1000);
  switch (it.deed) {
    case Deed::started:
      // (Of one that ended at once no pid was told.)
      return fmt::format("started{}{}", by.empty() ? " again by itself" : on, it.value == 0 ? "" : fmt::format(", pid {}", it.value));
    case Deed::start_failed:
      return fmt::format("start failed{}: {}{}", on, describe_stage(it.detail), it.value == 0 ? "" : ": " + errno_words(static_cast<int>(it.value & 0xfff)));
    case Deed::exited: return fmt::format("ended with exit code {} after {}", it.detail, lasted);
    case Deed::killed: return fmt::format("killed by {} after {}", signal_name(it.detail), lasted);
    case Deed::vanished: return fmt::format("ended after {} at most, while no manager looked", lasted);
    case Deed::stopped:
      return fmt::format("stopped{} after {} ({})", on, lasted,
                         (it.detail & exit_code_bit) != 0 ? fmt::format("exit code {}", it.detail & ~exit_code_bit) : signal_name(it.detail));
    case Deed::called_off: return fmt::format("stopped{}, before it ran again", on);
    case Deed::signalled: return fmt::format("sent {}{}", signal_name(it.detail), on);
    case Deed::reloaded: return fmt::format("reloaded{}", on);
    case Deed::not_ready: return fmt::format("not ready within {} (start_timeout=)", lasted);
    case Deed::silent: return fmt::format("silent for {} (watchdog=)", lasted);
    case Deed::given_up: return fmt::format("given up after it had ended {} times (give_up_after=)", it.value);
    case Deed::reset: return fmt::format("failures forgotten{} (reset-failed)", on);
    case Deed::changed: return fmt::format("conf changed, found by {}", by.empty() ? "the manager" : by);
    case Deed::taken_over: return "runs on, taken over by a new manager";
    case Deed::none: break;
  }
  return "?";
}

bool ends_run(Deed deed) { return deed == Deed::exited || deed == Deed::killed || deed == Deed::vanished || deed == Deed::stopped; }

// Numbers that an event has, each in its own field; "" where it has none.
void put_event(const Worker &worker, Client &client, const Daemon &daemon, const HistoryEvent &it) {
  const bool ended = ends_run(it.deed);
  const bool by_code = it.deed == Deed::exited || (it.deed == Deed::stopped && (it.detail & exit_code_bit) != 0);
  const bool by_signal = it.deed == Deed::killed || it.deed == Deed::signalled || (it.deed == Deed::stopped && !by_code);
  const std::string by = whose(worker, it.uid);
  const auto number = [](bool there, std::uint32_t value) { return there ? std::to_string(value) : std::string(); };
  put_frame(client.out, FrameKind::event,
            {id_of(worker, daemon), std::to_string(it.seconds), deed_names[static_cast<unsigned>(it.deed)], by,
             number(it.deed == Deed::started && it.value != 0, it.value), number(by_code, it.detail & (it.deed == Deed::exited ? 0xffU : 0x7fU)),
             by_signal ? signal_name(it.detail) : std::string(), number(ended, it.value), describe_deed(it, by)});
}

}  // namespace

void put_endings(Worker &worker, Client &client, const Daemon &daemon) {
  std::vector<HistoryEvent> ends = history_of(worker, daemon);
  std::erase_if(ends, [](const HistoryEvent &it) { return it.deed != Deed::start_failed && !ends_run(it.deed); });
  for (std::size_t i = ends.size() > endings_shown ? ends.size() - endings_shown : 0; i < ends.size(); i++) put_event(worker, client, daemon, ends[i]);
}

void do_history(Worker &worker, const Request &request) {
  for (const Daemon *daemon : resolve(worker, request)) {
    const std::vector<HistoryEvent> events = history_of(worker, *daemon);
    for (const HistoryEvent &event : events) put_event(worker, request.client, *daemon, event);
    if (events.empty()) say_outcome(request.client, Exit::done, id_of(worker, *daemon), "nothing has happened to it since the manager was started");
  }
}

}  // namespace dm::worker
