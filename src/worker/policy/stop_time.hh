// How long the init system waits for the manager to end. Runs in dm-policy, as the worker's uid.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/policy/config.hh"

namespace dm::master {

// What the unit and the scripts in contrib/ say.
inline constexpr std::int64_t usual_stop_ms = 90'000;
// What is left after shutdown_timeout is killed, and waited for so long at most (src/monitor/signals.cc).
inline constexpr std::int64_t kill_ms = 5'000;

// A time as systemd.time(7) has it; nothing where it has no end. False where it is none, and `ms` as it was.
[[nodiscard]] bool parse_stop_time(std::string_view text, std::optional<std::int64_t> &ms);
// TimeoutStopSec of the manager's unit with its drop-ins, below `root`; where there is no unit, the usual one. Nothing: it has no end.
std::optional<std::int64_t> find_stop_time(const std::string &root = "");
// Warns where shutdown_timeout is too long for that: systemd would kill the manager, and leave what still runs without one.
void judge_stop_time(Config &config, std::optional<std::int64_t> most_ms);

}  // namespace dm::master
