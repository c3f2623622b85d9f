// Splits a conf into lines and takes the owner's secrets out of it. Everyone's privilege but the monitor's.
#include "lib/conf_line.hh"

#include <algorithm>
#include <array>
#include <string>

#include "lib/conf.hh"

namespace dm {
namespace {

constexpr std::array keys = std::to_array<std::string_view>({
    "dir",          "start",     "user",     "output",        "autostart",     "stop_signal",    "stop_timeout", "umask",
    "host",         "type",      "restart",  "success_codes", "cooldown",      "give_up_after",  "path",         "env_file",
    "listen",       "listen_mode", "listen_backlog", "listen_pass", "start_on", "ready",         "start_timeout", "watchdog",
    "stop",         "reload",    "before",   "after_exit",    "instances",     "requires",       "after",        "log_size",
    "log_keep",     "log_compress", "log_stamp",
});
// What these say counts as soon as it is read.
constexpr std::array at_once = std::to_array<std::string_view>({
    "autostart", "stop_signal", "stop_timeout", "restart", "success_codes", "cooldown", "give_up_after", "stop", "reload", "after_exit", "instances",
    "requires", "after", "type",
});
constexpr std::string_view blanks = " \t\r";
constexpr std::string_view export_word = "export";

constexpr bool lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool digit(char c) { return c >= '0' && c <= '9'; }

bool variable_name(std::string_view name) {
  return !name.empty() && !digit(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) { return lower(c) || upper(c) || digit(c) || c == '_'; });
}

bool key_name(std::string_view name) {
  if (name.empty() || digit(name.front()) || name.front() == '-') return false;
  const auto fits = [](char c) { return lower(c) || upper(c) || digit(c) || c == '_' || c == '-'; };
  return std::all_of(name.begin(), name.end(), fits);
}

// A later line of a value that somebody wrote over several lines (base64 ends in '=') looks like an unknown key.
// Short words in one case are shown, for they are typing errors; the rest is not.
bool harmless_key(std::string_view key) {
  const auto all = [key](bool (*one)(char)) {
    return std::all_of(key.begin(), key.end(), [one](char c) { return one(c) || c == '_' || c == '-'; });
  };
  return key.size() <= 24 && (all(lower) || all(upper));
}

std::string redact_line(std::string_view line) {
  const ConfLine parts = split_line(line);
  const std::string_view to_value = line.substr(0, parts.value_at);
  switch (parts.kind) {
    case LineKind::blank: return {};
    case LineKind::comment: return "#";  // a secret that is commented out is a secret
    case LineKind::setting:
      if (known_key(parts.key)) return std::string(line);
      if (harmless_key(parts.key)) return std::string(to_value);
      return std::string(hidden_key) + '=';
    case LineKind::exported: return std::string(to_value);
    case LineKind::bad_export: return "export ?";
    case LineKind::bad: return "?";
  }
  return "?";
}

}  // namespace

std::string_view trim(std::string_view text) {
  const std::size_t from = text.find_first_not_of(blanks);
  if (from == std::string_view::npos) return text.substr(text.size());
  return text.substr(from, text.find_last_not_of(blanks) - from + 1);
}

std::span<const std::string_view> known_keys() { return keys; }

bool known_key(std::string_view key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); }

std::string_view take_line(std::string_view &rest) {
  const std::size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

std::string_view take_item(std::string_view &rest, bool &more) {
  const std::size_t comma = rest.find(',');
  more = comma != rest.npos;
  const std::string_view item = trim(rest.substr(0, comma));
  if (more) rest.remove_prefix(comma + 1);
  return item;
}

ConfLine split_line(std::string_view line) {
  const auto at = [line](std::string_view part) { return static_cast<std::size_t>(part.data() - line.data()); };
  ConfLine parts;
  const std::string_view text = trim(line);
  parts.key = text;
  parts.key_at = parts.value_at = at(text);
  if (text.empty()) return parts;
  if (text.front() == '#') {
    parts.kind = LineKind::comment;
    return parts;
  }
  std::string_view left = text;
  const bool exported = text.starts_with(export_word) && text.size() > export_word.size() &&
                        blanks.find(text[export_word.size()]) != std::string_view::npos;
  if (exported) left = trim(text.substr(export_word.size()));
  // `export =x` is an export without a name, `export = x` too: neither may pass for a key.
  const std::size_t equals = left.find('=');
  parts.key = trim(left.substr(0, equals));
  parts.key_at = at(parts.key);
  parts.kind = exported ? LineKind::bad_export : LineKind::bad;
  if (equals == std::string_view::npos) return parts;
  parts.value = trim(left.substr(equals + 1));
  parts.value_at = at(parts.value);
  if (exported && variable_name(parts.key)) parts.kind = LineKind::exported;
  if (!exported && key_name(parts.key)) parts.kind = LineKind::setting;
  return parts;
}

std::string lines_of_run(std::string_view text) {
  std::string lines;
  if (text.starts_with(utf8_mark)) text.remove_prefix(utf8_mark.size());
  while (!text.empty()) {
    const ConfLine line = split_line(take_line(text));
    const bool counts = line.kind != LineKind::blank && line.kind != LineKind::comment && std::ranges::count(at_once, line.key) == 0;
    if (counts) lines.append(line.key).append("=").append(line.value).append("\n");
  }
  return lines;
}

std::string redact_conf(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  if (text.starts_with(utf8_mark)) text.remove_prefix(utf8_mark.size());
  while (!text.empty()) {
    const bool ends = text.find('\n') != std::string_view::npos;
    out += redact_line(take_line(text));
    if (ends) out += '\n';
  }
  return out;
}

}  // namespace dm
