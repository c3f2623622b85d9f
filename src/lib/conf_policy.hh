// What a conf says of the end of a run: whether it was a success, whether and when the next one begins. Everyone's privilege but
// the monitor's; nothing here acts.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>

namespace dm {

enum class Restart : std::uint8_t { always, on_failure, never };

// The pause before the next start doubles from the one to the other, in ms.
struct CooldownRange {
  std::uint32_t shortest = 1'000, longest = 60'000;
  bool operator==(const CooldownRange &) const = default;
};
inline constexpr std::uint32_t least_cooldown_ms = 100;           // shorter is a loop
inline constexpr std::uint32_t greatest_cooldown_ms = 3'600'000;  // longer is not to be told from a daemon that was forgotten

struct RunPolicy {
  Restart restart = Restart::always;
  bool task = false;              // type=task: its end is its purpose
  std::bitset<256> codes;         // exit codes that are successes, beside 0
  std::uint64_t signals = 0;      // bit N-1: being killed by signal N is one
  CooldownRange cooldown;
  std::uint32_t give_up_ends = 0;  // so many ends within give_up_ms are enough; 0: never
  std::uint32_t give_up_ms = 0;

  // `code` is one of CLD_EXITED, CLD_KILLED and CLD_DUMPED, `status` what siginfo's si_status says with it.
  [[nodiscard]] bool success(int code, int status) const;
  [[nodiscard]] bool again(bool success) const;
  bool operator==(const RunPolicy &) const = default;
};

// Each takes the value of the key of its name; false where it is none, and then `policy` is as it was.
bool parse_restart(std::string_view value, RunPolicy &policy);
bool parse_success_codes(std::string_view value, RunPolicy &policy);  // "3, 75, TERM": numbers are exit codes, names signals
bool parse_cooldown(std::string_view value, RunPolicy &policy);       // "5s" or "1s..60s"
bool parse_give_up(std::string_view value, RunPolicy &policy);        // "5/10m"

}  // namespace dm
