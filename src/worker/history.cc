// Has the monitor write down what happens to daemons, and reads what former workers wrote. Sandboxed; whoever reads it takes it for hostile.
#include "worker/history.hh"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>
#include <limits>
#include <optional>
#include <utility>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr std::size_t most_recorded = 256;  // more than the monitor's socket holds of them
constexpr std::uint8_t exit_code_bit = 0x80;  // in the detail of Deed::stopped: an exit code, not a signal

std::uint32_t wall_seconds(std::int64_t at_ms) {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t seconds = at_ms == 0 ? now.tv_sec : now.tv_sec - (now_ms() - at_ms) / 1000;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(seconds, 0, std::numeric_limits<std::uint32_t>::max()));
}

bool sound(const HistoryEvent &event, const Daemon &daemon, std::uint32_t array) {
  return event.generation == daemon.handle.generation && event.number < history_numbers && event.number % history_kept == array &&
         event.deed != Deed::none && static_cast<unsigned>(event.deed) < deeds;
}

// How far `number` is behind `first` in a count that goes round; negative where it is before.
std::int32_t distance(std::uint32_t first, std::uint32_t number) {
  constexpr std::int32_t all = history_numbers;
  const auto there = static_cast<std::int32_t>((number + history_numbers - first) % history_numbers);
  return there < all / 2 ? there : there - all;
}

std::uint32_t seconds_of(const Daemon &daemon) {
  const std::int64_t ran = daemon.ended_ms > daemon.started_ms ? (daemon.ended_ms - daemon.started_ms) / 1000 : 0;
  return static_cast<std::uint32_t>(std::min<std::int64_t>(ran, std::numeric_limits<std::uint32_t>::max()));
}

std::uint16_t after(std::uint32_t number) { return static_cast<std::uint16_t>((number + 1) % history_numbers); }

// The event of that number, if it is there. What is on its way to the file counts more than what is there.
std::optional<HistoryEvent> read_event(const Worker &worker, const Daemon &daemon, std::uint32_t number) {
  const std::uint32_t array = number % history_kept;
  for (auto it = worker.recorded.rbegin(); it != worker.recorded.rend(); ++it)
    if (it->slot == daemon.handle.slot && it->event.number % history_kept == array) return it->event.number == number ? std::optional(it->event) : std::nullopt;
  HistoryEvent event{};
  const auto at = static_cast<off_t>(history_at(daemon.handle.slot, array));
  const bool read = ::pread(worker.history.get(), &event, sizeof event, at) == static_cast<ssize_t>(sizeof event);
  return read && sound(event, daemon, array) && event.number == number ? std::optional(event) : std::nullopt;
}

// What a successor comes to by itself, as it sees what the place says; how a run ended is one thing, however it is known.
Deed derived(Deed deed) {
  switch (deed) {
    case Deed::killed: case Deed::vanished: case Deed::stopped: case Deed::exited: return Deed::exited;
    case Deed::started: case Deed::start_failed: case Deed::called_off: case Deed::not_ready: case Deed::silent: case Deed::given_up:
    case Deed::taken_over:
      return deed;
    case Deed::none: case Deed::signalled: case Deed::reloaded: case Deed::reset: case Deed::changed: return Deed::none;
  }
  return Deed::none;
}

// True where a predecessor has written this already: both come to the same deeds in the same order, but that a successor begins with
// his takeover.
bool written_before(const Worker &worker, Daemon &daemon, Deed deed) {
  bool found = false;
  std::uint16_t at = daemon.history_from;
  while (!found && at < history_numbers && at != daemon.history_next) {
    const std::optional<HistoryEvent> event = read_event(worker, daemon, at);
    at = after(at);
    found = event && derived(deed) != Deed::none && derived(event->deed) == derived(deed);
  }
  if (deed != Deed::taken_over) daemon.history_from = at;
  return found;
}

}  // namespace

void recall_history(const Worker &worker, Daemon &daemon) {
  daemon.history_from = daemon.history_next;
  if (daemon.history_next >= history_numbers || daemon.handle.slot >= max_slots) return;
  for (std::uint32_t i = 0; i < history_kept && read_event(worker, daemon, daemon.history_next); i++) daemon.history_next = after(daemon.history_next);
}

std::vector<HistoryEvent> history_of(const Worker &worker, const Daemon &daemon) {
  std::vector<HistoryEvent> events;
  if (!daemon.placed || daemon.handle.slot >= max_slots) return events;
  // What is on its way to the file counts more than what is there.
  std::array<const HistoryEvent *, history_kept> sent{};
  for (const Recorded &it : worker.recorded)
    if (it.slot == daemon.handle.slot) sent[it.event.number % history_kept] = &it.event;
  for (std::uint32_t array = 0; array < history_kept; array++) {
    HistoryEvent event{};
    const auto at = static_cast<off_t>(history_at(daemon.handle.slot, array));
    if (sent[array] != nullptr) event = *sent[array];
    else if (::pread(worker.history.get(), &event, sizeof event, at) != static_cast<ssize_t>(sizeof event)) continue;
    if (sound(event, daemon, array)) events.push_back(event);
  }
  if (events.empty()) return events;
  const std::uint32_t first = events.front().number;
  std::ranges::sort(events, {}, [first](const HistoryEvent &it) { return distance(first, it.number); });
  return events;
}

void record(Worker &worker, Daemon &daemon, Deed deed, std::uint32_t uid, std::uint8_t detail, std::uint32_t value, std::int64_t at_ms) {
  if (!daemon.placed || daemon.handle.slot >= max_slots || written_before(worker, daemon, deed)) return;
  if (daemon.history_next >= history_numbers) {
    const std::vector<HistoryEvent> before = history_of(worker, daemon);
    daemon.history_next = before.empty() ? std::uint16_t{0} : after(before.back().number);
  }
  const HistoryEvent event{wall_seconds(at_ms), uid, value, daemon.handle.generation, daemon.history_next, deed, detail};
  ask_record(worker, daemon, event);
  worker.recorded.push_back({daemon.handle.slot, event});
  if (worker.recorded.size() > most_recorded) worker.recorded.pop_front();
  if (daemon.history_from == daemon.history_next || daemon.history_from >= history_numbers) daemon.history_from = after(daemon.history_next);
  daemon.history_next = after(daemon.history_next);
}

void record_start(Worker &worker, Daemon &daemon) {
  daemon.start_untold = false;
  // (Who has wanted its end since is not who started it.)
  const std::uint32_t uid = daemon.ordered ? daemon.start_by : std::exchange(daemon.by, by_itself);
  record(worker, daemon, Deed::started, uid, 0, static_cast<std::uint32_t>(daemon.pid), daemon.started_ms);
}

void record_end(Worker &worker, Daemon &daemon) {
  if (std::exchange(daemon.end_told, true)) return;
  const bool signalled = daemon.end_code == CLD_KILLED || daemon.end_code == CLD_DUMPED;
  const auto status = static_cast<std::uint8_t>(daemon.end_status & 0xff);
  if (!began(daemon))
    record(worker, daemon, Deed::start_failed, std::exchange(daemon.by, by_itself), static_cast<std::uint8_t>(daemon.report.stage),
           daemon.report.errno_value);
  else if (daemon.ordered)
    record(worker, daemon, Deed::stopped, daemon.stop_by, signalled ? status : static_cast<std::uint8_t>(status | exit_code_bit), seconds_of(daemon),
           daemon.ended_ms);
  else
    record(worker, daemon, signalled ? Deed::killed : daemon.end_code == CLD_EXITED ? Deed::exited : Deed::vanished, by_itself, status,
           seconds_of(daemon), daemon.ended_ms);
}

}  // namespace dm::worker
