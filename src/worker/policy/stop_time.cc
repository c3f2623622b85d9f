// How long the init system waits for the manager to end. Runs in dm-policy, as the worker's uid.
#include "worker/policy/stop_time.hh"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <vector>

#include "lib/conf_line.hh"
#include "lib/fd.hh"
#include "lib/text.hh"

namespace dm::master {
namespace {

constexpr std::string_view unit = "daemon-manager.service";
// The later ones count more.
constexpr std::string_view directories[] = {"/lib/systemd/system/", "/usr/lib/systemd/system/", "/usr/local/lib/systemd/system/",
                                            "/run/systemd/system/", "/etc/systemd/system/"};
constexpr std::size_t most_bytes = 65536;  // of a file
constexpr std::int64_t longest_ms = std::int64_t{1} << 40;

std::optional<std::string> read_file(const std::string &path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text(most_bytes, '\0');
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : -1;
  if (size < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(size));
  return text;
}

// 0 for what is no unit.
std::int64_t unit_ms(std::string_view name) {
  constexpr struct {
    std::string_view names;  // each between blanks
    std::int64_t ms;
  } units[] = {{" ms msec ", 1},
               {" s sec second seconds ", 1000},
               {" m min minute minutes ", 60'000},
               {" h hr hour hours ", 3'600'000},
               {" d day days ", 86'400'000}};
  if (name.empty()) return 1000;
  for (const auto &one : units)
    if (one.names.find(fmt::format(" {} ", name)) != one.names.npos) return one.ms;
  return 0;
}

void take_file(std::string_view text, std::optional<std::int64_t> &time) {
  bool ours = false;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = trim(text.substr(0, end));
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
    if (line.starts_with('[')) ours = line == "[Service]";
    const std::size_t equals = line.find('=');
    if (!ours || equals == line.npos) continue;
    const std::string_view key = trim(line.substr(0, equals)), value = trim(line.substr(equals + 1));
    if (key == "TimeoutStopSec" || key == "TimeoutSec") time = value.empty() ? usual_stop_ms : parse_stop_time(value);
  }
}

}  // namespace

std::optional<std::int64_t> parse_stop_time(std::string_view text) {
  std::int64_t sum = 0;
  while (!text.empty()) {
    std::int64_t value = 0;
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value < 0) return std::nullopt;
    text = trim(text.substr(static_cast<std::size_t>(at - text.data())));
    const std::size_t end = std::min(text.find_first_of("0123456789 "), text.size());
    const std::int64_t ms = unit_ms(text.substr(0, end));
    if (ms == 0 || value > longest_ms / ms) return std::nullopt;
    sum += value * ms;
    text = trim(text.substr(end));
  }
  return sum == 0 ? std::nullopt : std::optional(sum);
}

std::optional<std::int64_t> find_stop_time(const std::string &root) {
  std::optional<std::string> whole;
  std::map<std::string, std::string> extras;  // by file name, as systemd orders them
  for (const std::string_view directory : directories) {
    const std::string path = root + std::string(directory) + std::string(unit);
    if (std::optional<std::string> text = read_file(path)) whole = std::move(text);
    DIR *listing = ::opendir((path + ".d").c_str());
    if (listing == nullptr) continue;
    while (const dirent *entry = ::readdir(listing))
      if (std::string_view(entry->d_name).ends_with(".conf"))
        if (std::optional<std::string> text = read_file(path + ".d/" + entry->d_name)) extras[entry->d_name] = std::move(*text);
    ::closedir(listing);
  }
  std::optional<std::int64_t> time = usual_stop_ms;
  if (!whole) return time;
  take_file(*whole, time);
  for (const auto &[name, text] : extras) take_file(text, time);
  return time;
}

void judge_stop_time(Config &config, std::optional<std::int64_t> most_ms) {
  if (!most_ms || config.shutdown_timeout_ms + kill_ms <= *most_ms) return;
  const auto words = [](std::int64_t ms) { return short_time(static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0))); };
  config.faults.push_back({config.shutdown_place, true,
                           fmt::format("found '{}', expected at most {}: after {} (TimeoutStopSec of {}) the manager is killed, and daemons "
                                       "that have not ended by then run on; write a shorter time, or raise the other: systemctl edit daemon-manager",
                                       escape(config.shutdown_text), words(*most_ms - kill_ms), words(*most_ms), unit)});
}

}  // namespace dm::master
