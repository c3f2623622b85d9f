// What a worker leaves to the next. Whoever reads it takes it for hostile: fixed layout, every range checked. Sandboxed.
#include <cstring>
#include <type_traits>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

struct Data {
  char name[max_name];  // the conf's, NUL-padded
  std::uint8_t version, wanted, state, step;
  std::uint32_t respawns;
  std::uint32_t runs;
  std::uint8_t rescan_first, zero[3];
  std::uint64_t total_ms;
  std::int64_t timer_ms;
  std::uint64_t started_hash;
  std::uint32_t stop_timeout_ms;
  std::int32_t stop_signal;
  std::int64_t ended_ms;  // up to this end total_ms counts
  std::uint8_t rest, zero_too;
  std::uint16_t history_after;   // one more than history_next; 0: not known
  std::uint32_t ends;
  std::int64_t ends_since;
  std::uint32_t binds_due, commands_due;
  std::uint32_t held_hash, watchdog_ms;
  std::int64_t started_ms;       // of the daemon's own last run; so do these tell of it, whatever after_exit= did since
  RunReport report;
  std::int32_t end_status;
  std::uint8_t end_code, fault, underway, ready_by;
  std::uint32_t flags;           // kept_flags, from the lowest bit on
  std::uint8_t instance, scaled, scaled_from, zero_last;
  std::uint32_t by, stop_by;
};
static_assert(sizeof(Data) <= sizeof(Memo));
constexpr std::uint8_t memo_version = 1;
constexpr std::uint64_t far_ms = std::uint64_t{1} << 52;
static_assert(std::has_unique_object_representations_v<Data>);  // no padding that would carry bytes of other things

// Each flag and where it is kept.
constexpr bool Daemon::*const kept_flags[] = {
    &Daemon::unbinding, &Daemon::settling, &Daemon::arming,   &Daemon::rearm,  &Daemon::rebind,    &Daemon::ordered,
    &Daemon::aside,     &Daemon::is_ready, &Daemon::barked,   &Daemon::reloading, &Daemon::leaving, &Daemon::stop_due,
    &Daemon::pid_refused, &Daemon::unheard, &Daemon::end_told, &Daemon::undecided,
    &Daemon::start_untold, &Daemon::lingers,
};
constexpr std::uint32_t flag_count = sizeof kept_flags / sizeof *kept_flags;
constexpr int most_code = 6;  // CLD_CONTINUED

bool sound_run(const auto &data) {
  return data.started_ms >= 0 && static_cast<std::uint64_t>(data.started_ms) <= far_ms &&
         data.ended_ms >= 0 && static_cast<std::uint64_t>(data.ended_ms) <= far_ms &&
         static_cast<std::uint16_t>(data.report.stage) < run_stages && data.end_code <= most_code && data.end_status >= 0 &&
         data.end_status <= 0xff && data.fault < fault_count && data.underway < underway_count && data.ready_by < ready_count &&
         data.watchdog_ms <= 0x7fffffff && data.flags >> flag_count == 0;
}

}  // namespace

Memo write_memo(const Daemon &daemon) {
  Data data{};
  const std::string_view name = daemon.family();
  std::memcpy(data.name, name.data(), name.size() < max_name ? name.size() : max_name);
  data.instance = static_cast<std::uint8_t>(daemon.instance);
  data.scaled = static_cast<std::uint8_t>(daemon.scaled);
  data.scaled_from = static_cast<std::uint8_t>(daemon.scaled_from);
  data.version = memo_version;
  data.wanted = daemon.wanted;
  data.state = static_cast<std::uint8_t>(daemon.state);
  data.step = daemon.step;
  data.respawns = daemon.respawns;
  data.runs = daemon.runs;
  data.rescan_first = daemon.rescan_first;
  data.total_ms = daemon.total_ms;
  data.timer_ms = daemon.timer_ms;
  data.started_hash = daemon.started_hash;
  data.stop_timeout_ms = daemon.stop_timeout_ms;
  data.stop_signal = daemon.stop_signal;
  data.ended_ms = daemon.ended_ms;
  data.rest = static_cast<std::uint8_t>(daemon.rest);
  data.history_after = daemon.history_next < history_numbers ? static_cast<std::uint16_t>(daemon.history_next + 1) : std::uint16_t{0};
  data.ends = daemon.ends;
  data.ends_since = daemon.ends_since;
  data.binds_due = daemon.binds_due;
  data.commands_due = daemon.commands_due;
  data.held_hash = daemon.held_hash;
  data.watchdog_ms = daemon.watchdog_ms;
  data.started_ms = daemon.started_ms;
  data.report = daemon.report;
  data.end_status = daemon.end_status & 0xff;
  data.end_code = daemon.end_code >= 0 && daemon.end_code <= most_code ? static_cast<std::uint8_t>(daemon.end_code) : std::uint8_t{0};
  data.fault = static_cast<std::uint8_t>(daemon.fault);
  data.underway = static_cast<std::uint8_t>(daemon.underway);
  data.ready_by = static_cast<std::uint8_t>(daemon.ready_by);
  data.by = daemon.by;
  data.stop_by = daemon.stop_by;
  for (std::uint32_t i = 0; i < flag_count; i++) data.flags |= daemon.*kept_flags[i] ? 1U << i : 0U;
  Memo memo{};
  std::memcpy(memo.bytes, &data, sizeof data);
  return memo;
}

bool read_memo(const Memo &memo, Daemon &daemon) {
  Data data;
  std::memcpy(&data, memo.bytes, sizeof data);
  const std::string_view name(data.name, ::strnlen(data.name, sizeof data.name));
  if (!valid_daemon_name(name) || data.version != memo_version || data.wanted > 1 || data.state >= state_count ||
      data.step > most_steps || data.rest >= rest_count || data.history_after > history_numbers || data.ends_since < 0 ||
      static_cast<std::uint64_t>(data.ends_since) > far_ms || data.rescan_first > 1 || data.total_ms > far_ms || data.timer_ms < 0 ||
      static_cast<std::uint64_t>(data.timer_ms) > far_ms || data.stop_timeout_ms > 0x7fffffff || data.stop_signal < 1 || data.stop_signal > 64 ||
      !sound_run(data))
    return false;
  // One that is alone was never scaled, and a size that was given is given in place of another.
  if (data.instance > max_instances || data.scaled > max_instances || data.scaled_from > max_instances || data.zero_last != 0 ||
      (data.scaled == 0) != (data.scaled_from == 0) || (data.instance == 0 && data.scaled != 0))
    return false;
  daemon.name = name;
  if (data.instance != 0) daemon.name += ":" + std::to_string(data.instance);
  daemon.instance = data.instance;
  daemon.scaled = data.scaled;
  daemon.scaled_from = data.scaled_from;
  daemon.wanted = data.wanted != 0;
  daemon.state = static_cast<State>(data.state);
  daemon.step = data.step;
  daemon.respawns = data.respawns;
  daemon.runs = data.runs;
  daemon.rescan_first = data.rescan_first != 0;
  daemon.total_ms = data.total_ms;
  daemon.timer_ms = data.timer_ms;
  daemon.started_hash = data.started_hash;
  daemon.stop_timeout_ms = data.stop_timeout_ms;
  daemon.stop_signal = data.stop_signal;
  daemon.ended_ms = data.ended_ms;
  daemon.rest = static_cast<Rest>(data.rest);
  if (data.history_after != 0) daemon.history_next = static_cast<std::uint16_t>(data.history_after - 1);
  daemon.ends = data.ends;
  daemon.ends_since = data.ends_since;
  daemon.binds_due = data.binds_due;
  daemon.commands_due = data.commands_due;
  daemon.held_hash = data.held_hash;
  daemon.watchdog_ms = data.watchdog_ms;
  daemon.started_ms = data.started_ms;
  daemon.report = data.report;
  daemon.end_status = data.end_status;
  daemon.end_code = data.end_code;
  daemon.fault = static_cast<Fault>(data.fault);
  daemon.underway = static_cast<Underway>(data.underway);
  daemon.ready_by = static_cast<Ready>(data.ready_by);
  daemon.by = data.by;
  daemon.stop_by = data.stop_by;
  for (std::uint32_t i = 0; i < flag_count; i++) daemon.*kept_flags[i] = (data.flags >> i & 1U) != 0;
  daemon.start_untold = daemon.start_untold || daemon.state == State::starting;
  daemon.lingers = daemon.lingers && !daemon.wanted;
  return true;
}

}  // namespace dm::worker
