// Reads what a conf says of the end of a run. Everyone's privilege but the monitor's.
#include "lib/conf_policy.hh"

#include <csignal>

#include "lib/conf.hh"
#include "lib/conf_line.hh"
#include "lib/conf_parser.hh"
#include "lib/text.hh"

namespace dm {
namespace {

constexpr std::uint32_t most_ends = 10'000;

}  // namespace

bool RunPolicy::success(int code, int status) const {
  if (code == CLD_EXITED) return status == 0 || (status > 0 && status < 256 && codes.test(static_cast<std::size_t>(status)));
  return (code == CLD_KILLED || code == CLD_DUMPED) && status >= 1 && status <= 64 && (signals >> (status - 1) & 1) != 0;
}

bool RunPolicy::again(bool success) const {
  return restart == Restart::always || (restart == Restart::on_failure && !success);
}

bool parse_restart(std::string_view value, RunPolicy &policy) {
  if (value == "always") policy.restart = Restart::always;
  else if (value == "on-failure") policy.restart = Restart::on_failure;
  else if (value == "never") policy.restart = Restart::never;
  else return false;
  return true;
}

bool parse_success_codes(std::string_view value, RunPolicy &policy) {
  RunPolicy read = policy;
  for (bool more = true; more;) {
    const std::string_view one = take_item(value, more);
    std::uint32_t code = 0;
    const bool digits = !one.empty() && one.find_first_not_of("0123456789") == one.npos;
    const int signal = digits ? 0 : parse_signal(one);
    if (digits && whole_number(one, 255, code)) read.codes.set(code);
    else if (signal != 0) read.signals |= std::uint64_t{1} << (signal - 1);
    else return false;
  }
  policy = read;
  return true;
}

bool parse_cooldown(std::string_view value, RunPolicy &policy) {
  const std::size_t dots = value.find("..");
  CooldownRange read;
  if (!parse_duration(trim(value.substr(0, dots)), read.shortest)) return false;
  read.longest = read.shortest;
  if (dots != value.npos && !parse_duration(trim(value.substr(dots + 2)), read.longest)) return false;
  if (read.shortest < least_cooldown_ms || read.longest < read.shortest || read.longest > greatest_cooldown_ms) return false;
  policy.cooldown = read;
  return true;
}

bool parse_give_up(std::string_view value, RunPolicy &policy) {
  const std::size_t slash = value.find('/');
  std::uint32_t ends = 0, ms = 0;
  if (slash == value.npos || !whole_number(trim(value.substr(0, slash)), most_ends, ends) || ends == 0 ||
      !parse_duration(trim(value.substr(slash + 1)), ms) || ms == 0)
    return false;
  policy.give_up_ends = ends;
  policy.give_up_ms = ms;
  return true;
}

}  // namespace dm
