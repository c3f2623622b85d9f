// The keys of a conf that say how the process is run and what its end means. Worker's, target's or caller's privilege.
#include <algorithm>

#include "lib/conf_match.hh"
#include "lib/conf_parser.hh"
#include "lib/names.hh"
#include "lib/text.hh"

namespace dm {
namespace {

constexpr std::size_t max_hosts = 100;

}  // namespace

void ConfParser::set_dir(const ConfLine &line) {
  if (!absolute_path(line.value))
    return bad_value(line, "an absolute path: write the whole path, from / on, like dir=/home/you/site or dir=%h/site");
  if (line.value.size() > max_conf_path) return bad_value(line, "a path of at most 4095 bytes: use a shorter one");
  conf_.dir = line.value;
}

void ConfParser::set_start(const ConfLine &line) { take_command(line, conf_.start, "start=./server"); }

void ConfParser::set_user(const ConfLine &line) {
  const std::string_view name = line.value;
  if (name.empty()) return bad_value(line, "the name of a user: write it, or delete the line to run as yourself");
  // Never a number: strtol of a name that did not resolve has made root of people before.
  if (name.find_first_not_of("0123456789") == std::string_view::npos || name[0] == '-' || name[0] == '+')
    return bad_value(line, "the name of a user, not a number: write the name that `id -un` prints for that user");
  if (!user_name(name)) return bad_value(line, "the name of one user: no blanks, no : , / #, no @ in front");
  conf_.user = name;
}

void ConfParser::set_path(const ConfLine &line) {
  std::string_view rest = line.value;
  for (bool more = true; more;) {
    const std::size_t colon = rest.find(':');
    more = colon != rest.npos;
    if (!absolute_path(rest.substr(0, colon)))
      return bad_value(line, "absolute paths with : between: write them like path=%h/bin:/usr/local/bin:/usr/bin:/bin");
    if (more) rest.remove_prefix(colon + 1);
  }
  if (line.value.size() > max_conf_path) return bad_value(line, "at most 4095 bytes: name fewer directories");
  conf_.path = line.value;
}

void ConfParser::set_env_file(const ConfLine &line) {
  if (!absolute_path(line.value) || line.value.size() > max_conf_path)
    return bad_value(line, "an absolute path: write it like env_file=%h/site/env");
  const Place place = place_of(line, line.value);
  conf_.env_file = line.value;
  conf_.env_file_line = place.line;
  conf_.env_file_column = place.column;
}

void ConfParser::set_umask(const ConfLine &line) {
  if (!octal_mode(line.value, conf_.umask)) bad_value(line, "an octal number from 000 to 777: write one like umask=022");
}

void ConfParser::set_autostart(const ConfLine &line) {
  if (line.value == "yes" || line.value == "no") conf_.autostart = line.value == "yes";
  else bad_value(line, "yes or no: write autostart=no for a daemon that is started by hand");
}

void ConfParser::set_stop_signal(const ConfLine &line) {
  const int signal = parse_signal(line.value);
  if (signal > 0) conf_.stop_signal = signal;
  else bad_value(line, "a signal by name or number: write one like stop_signal=TERM");
}

void ConfParser::set_stop_timeout(const ConfLine &line) {
  take_time(line, conf_.stop_timeout_ms, 0, "a time up to 24 days: write one like stop_timeout=10s (units ms s m h d)");
}

void ConfParser::set_type(const ConfLine &line) {
  if (line.value == "daemon" || line.value == "task") conf_.policy.task = line.value == "task";
  else bad_value(line, "daemon or task: write type=task for a command that has an end");
}

void ConfParser::set_restart(const ConfLine &line) {
  if (!parse_restart(line.value, conf_.policy))
    bad_value(line, "always, on-failure or never: write restart=on-failure to start it again only after a failure");
}

void ConfParser::set_success_codes(const ConfLine &line) {
  if (!parse_success_codes(line.value, conf_.policy))
    bad_value(line, "exit codes up to 255 and names of signals with commas between: write them like success_codes=3, 75, TERM");
}

void ConfParser::set_cooldown(const ConfLine &line) {
  if (!parse_cooldown(line.value, conf_.policy))
    bad_value(line, "a time from 100ms to 1h, or the shortest and the longest: write them like cooldown=1s..60s");
}

void ConfParser::set_give_up_after(const ConfLine &line) {
  if (!parse_give_up(line.value, conf_.policy))
    bad_value(line, "so many ends (up to 10000) within a time: write them like give_up_after=5/10m");
}

// Each line holds one pattern or several with commas between.
void ConfParser::set_host(const ConfLine &line) {
  std::string_view rest = line.value;
  for (bool more = true; more;) {
    const std::string_view one = take_item(rest, more);
    if (!host_pattern(one) || conf_.hosts.size() == max_hosts)
      return bad_value(line, "the name of a host, as `hostname` prints it, * and ? allowed: write one like host=web*, and "
                             "several with commas between");
    conf_.hosts.emplace_back(one);
  }
}

void ConfParser::judge_process() {
  if (conf_.policy.task && given("restart") == nullptr) conf_.policy.restart = Restart::never;
  if (conf_.policy.task && conf_.policy.restart == Restart::always)
    fault_at(*given("restart"),
             "found type=task with restart=always, expected a task to have an end: write restart=on-failure or restart=never, or "
             "delete one of the lines");
  if (given("dir") == nullptr)
    fault_at({}, "found no dir, expected the directory to start in: add a line like dir=/home/you/site");
  if (given("start") == nullptr)
    fault_at({}, "found no start, expected the command to run: add a line like start=./server --port 8080");
}

}  // namespace dm
