// How long the init system waits for the manager to end. Runs in dm-policy, as the worker's uid.
#include "worker/policy/stop_time.hh"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "lib/conf_line.hh"
#include "lib/fd.hh"
#include "lib/text.hh"

namespace dm::master {
namespace {

constexpr std::string_view unit = "daemon-manager.service";
// The later ones count more, of directories as of names.
constexpr std::string_view directories[] = {"/lib/systemd/system/", "/usr/lib/systemd/system/", "/usr/local/lib/systemd/system/",
                                            "/run/systemd/system/", "/etc/systemd/system/"};
constexpr std::string_view extra_names[] = {"service.d", "daemon-.service.d", "daemon-manager.service.d"};
constexpr std::size_t most_bytes = 65536;  // of a file
constexpr std::int64_t ms_us = 1000, second_us = 1000 * ms_us, minute_us = 60 * second_us, hour_us = 60 * minute_us, day_us = 24 * hour_us;
constexpr std::int64_t longest_us = std::int64_t{1} << 50;
constexpr std::string_view digits = "0123456789";

std::optional<std::string> read_file(const std::string &path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  std::string text(most_bytes, '\0');
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : -1;
  if (size < 0) return std::nullopt;
  return text.substr(0, static_cast<std::size_t>(size));
}

void read_extras(const std::string &directory, std::map<std::string, std::string> &extras) {
  DIR *listing = ::opendir(directory.c_str());
  if (listing == nullptr) return;
  while (const dirent *entry = ::readdir(listing))
    if (std::string_view(entry->d_name).ends_with(".conf"))
      if (std::optional<std::string> text = read_file(directory + entry->d_name)) extras[entry->d_name] = std::move(*text);
  ::closedir(listing);
}

// 0 for what is no unit.
std::int64_t unit_us(std::string_view name) {
  constexpr struct {
    std::string_view names;  // each between blanks
    std::int64_t us;
  } units[] = {{" us usec \u00b5s \u03bcs ", 1},
               {" ms msec ", ms_us},
               {" s sec second seconds ", second_us},
               {" m min minute minutes ", minute_us},
               {" h hr hour hours ", hour_us},
               {" d day days ", day_us},
               {" w week weeks ", 7 * day_us},
               {" M month months ", 2'629'800 * second_us},
               {" y year years ", 31'557'600 * second_us}};
  if (name.empty()) return second_us;
  for (const auto &one : units)
    if (one.names.find(fmt::format(" {} ", name)) != one.names.npos) return one.us;
  return 0;
}

// A number with its unit off the front of `text`; false where there is none.
bool take_part(std::string_view &text, std::int64_t &us) {
  std::int64_t whole = 0;
  std::string_view decimals;
  if (!text.starts_with('.')) {
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (error != std::errc{} || whole < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(at - text.data()));
  }
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    decimals = text.substr(0, text.find_first_not_of(digits));
    if (decimals.empty()) return false;
    text.remove_prefix(decimals.size());
  }
  text = trim(text);
  const std::string_view name = text.substr(0, text.find_first_of("0123456789. \t"));
  text = trim(text.substr(name.size()));
  const std::int64_t one = unit_us(name);
  if (one == 0) return false;
  us = whole > longest_us / one ? longest_us : whole * one;
  std::int64_t part = one;
  for (const char digit : decimals) us += (part /= 10) * (digit - '0');
  return true;
}

void take_setting(std::string_view line, bool &ours, std::optional<std::int64_t> &time) {
  if (line.starts_with('[')) ours = line == "[Service]";
  const std::size_t equals = line.find('=');
  if (!ours || equals == line.npos) return;
  const std::string_view key = trim(line.substr(0, equals));
  // (What it cannot read systemd leaves as it was.)
  if (key == "TimeoutStopSec" || key == "TimeoutSec") (void)parse_stop_time(trim(line.substr(equals + 1)), time);
}

void take_file(std::string_view text, std::optional<std::int64_t> &time) {
  bool ours = false;
  std::string begun;  // of lines that end in a backslash, so that the next one goes on with them
  while (!text.empty()) {
    std::string_view line = trim(take_line(text));
    if (line.starts_with('#') || line.starts_with(';')) continue;
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.remove_suffix(1);
    begun += line;
    begun += ' ';
    if (goes_on && !text.empty()) continue;
    take_setting(trim(begun), ours, time);
    begun.clear();
  }
}

}  // namespace

bool parse_stop_time(std::string_view text, std::optional<std::int64_t> &ms) {
  if (text == "infinity") return ms.reset(), true;
  if (text.empty()) return false;
  std::int64_t sum = 0;
  while (!text.empty()) {
    std::int64_t us = 0;
    if (!take_part(text, us)) return false;
    sum = std::min(sum + us, longest_us);
  }
  ms = sum == 0 ? std::nullopt : std::optional(sum / ms_us);
  return true;
}

std::optional<std::int64_t> find_stop_time(const std::string &root) {
  std::optional<std::string> whole;
  for (const std::string_view directory : directories)
    if (std::optional<std::string> text = read_file(fmt::format("{}{}{}", root, directory, unit))) whole = std::move(text);
  std::map<std::string, std::string> extras;  // by file name, as systemd orders them
  for (const std::string_view name : extra_names)
    for (const std::string_view directory : directories) read_extras(fmt::format("{}{}{}/", root, directory, name), extras);
  std::optional<std::int64_t> time = usual_stop_ms;
  if (!whole) return time;
  take_file(*whole, time);
  for (const auto &[name, text] : extras) take_file(text, time);
  return time;
}

void judge_stop_time(Config &config, std::optional<std::int64_t> most_ms) {
  if (!most_ms || config.shutdown_timeout_ms + kill_ms <= *most_ms) return;
  const auto words = [](std::int64_t ms) { return short_time(static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0))); };
  const bool written = !config.shutdown_text.empty();
  const std::string found = written ? fmt::format("'{}'", escape(config.shutdown_text))
                                    : fmt::format("no shutdown_timeout, which is {} then", words(config.shutdown_timeout_ms));
  config.faults.push_back({written ? config.shutdown_place : Place{0, 0}, true,
                           fmt::format("found {}, expected at most {}: after {} (TimeoutStopSec of {}) the manager is killed, and daemons "
                                       "that have not ended by then run on; write a shorter time, or raise the other: systemctl edit daemon-manager",
                                       found, words(*most_ms - kill_ms), words(*most_ms), unit)});
}

}  // namespace dm::master
