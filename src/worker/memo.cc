// What a worker leaves to the next. Whoever reads it takes it for hostile: fixed layout, every range checked. Sandboxed.
#include <cstring>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

struct Data {
  char name[max_name];  // NUL-padded
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
  std::uint8_t rest, zero_too[3];
  std::uint32_t ends;
  std::int64_t ends_since;
  std::uint32_t reserved[2];
};
static_assert(sizeof(Data) <= sizeof(Memo));
constexpr std::uint8_t memo_version = 1;
constexpr std::uint64_t far_ms = std::uint64_t{1} << 52;

}  // namespace

Memo write_memo(const Daemon &daemon) {
  Data data{};
  std::memcpy(data.name, daemon.name.data(), daemon.name.size() < max_name ? daemon.name.size() : max_name);
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
  data.ends = daemon.ends;
  data.ends_since = daemon.ends_since;
  Memo memo{};
  std::memcpy(memo.bytes, &data, sizeof data);
  return memo;
}

bool read_memo(const Memo &memo, Daemon &daemon) {
  Data data;
  std::memcpy(&data, memo.bytes, sizeof data);
  const std::string_view name(data.name, ::strnlen(data.name, sizeof data.name));
  if (!valid_daemon_name(name) || data.version != memo_version || data.wanted > 1 || data.state >= state_count ||
      data.step > most_steps || data.rest >= rest_count || data.ends_since < 0 ||
      static_cast<std::uint64_t>(data.ends_since) > far_ms || data.rescan_first > 1 || data.total_ms > far_ms || data.timer_ms < 0 ||
      static_cast<std::uint64_t>(data.timer_ms) > far_ms || data.stop_timeout_ms > 0x7fffffff || data.stop_signal < 1 || data.stop_signal > 64)
    return false;
  daemon.name = name;
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
  daemon.ends = data.ends;
  daemon.ends_since = data.ends_since;
  return true;
}

}  // namespace dm::worker
