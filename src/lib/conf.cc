// Parses a daemon's conf and says what is wrong with it, line by line. Worker's, target's or caller's privilege.
#include "lib/conf.hh"

#include <algorithm>
#include <array>
#include <charconv>

#include "lib/conf_match.hh"
#include "lib/conf_parser.hh"

namespace dm {
namespace {

constexpr std::size_t max_faults = 20;     // of each kind: a conf of a million bad lines is not worth more
constexpr std::size_t max_exports = 1000;  // far above any real environment, far below what 1 MiB could hold

}  // namespace

std::string quote(std::string_view text) {
  if (text.size() <= 40) return "'" + std::string(text) + "'";
  return "'" + std::string(text.substr(0, 37)) + "...'";
}

bool absolute_path(std::string_view path) { return path.starts_with('/') || path == "%h" || path.starts_with("%h/"); }

bool whole_number(std::string_view text, std::uint32_t most, std::uint32_t &value) {
  std::uint32_t read = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), read);
  if (text.empty() || end.ec != std::errc() || end.ptr != text.data() + text.size() || read > most) return false;
  value = read;
  return true;
}

bool octal_mode(std::string_view text, std::uint32_t &mode) {
  if (text.empty() || text.size() > 4 || text.find_first_not_of("01234567") != text.npos || (text.size() == 4 && text[0] != '0'))
    return false;
  mode = 0;
  for (char c : text) mode = mode * 8 + static_cast<std::uint32_t>(c - '0');
  return true;
}

std::span<const ConfParser::Key> ConfParser::keys() {
  using P = ConfParser;
  static constexpr std::array table = std::to_array<Key>({
      {"dir", &P::set_dir},
      {"start", &P::set_start},
      {"user", &P::set_user},
      {"output", &P::set_output},
      {"log_size", &P::set_log_size},
      {"log_keep", &P::set_log_keep},
      {"log_compress", &P::set_log_compress},
      {"log_stamp", &P::set_log_stamp},
      {"autostart", &P::set_autostart},
      {"stop_signal", &P::set_stop_signal},
      {"stop_timeout", &P::set_stop_timeout},
      {"umask", &P::set_umask},
      {"host", &P::set_host, true},
      {"type", &P::set_type},
      {"restart", &P::set_restart},
      {"success_codes", &P::set_success_codes},
      {"cooldown", &P::set_cooldown},
      {"give_up_after", &P::set_give_up_after},
      {"path", &P::set_path},
      {"env_file", &P::set_env_file},
      {"listen", &P::set_listen, true},
      {"listen_mode", &P::set_listen_mode},
      {"listen_backlog", &P::set_listen_backlog},
      {"listen_pass", &P::set_listen_pass},
      {"start_on", &P::set_start_on},
      {"ready", &P::set_ready},
      {"start_timeout", &P::set_start_timeout},
      {"watchdog", &P::set_watchdog},
      {"stop", &P::set_stop},
      {"reload", &P::set_reload},
      {"before", &P::set_before},
      {"after_exit", &P::set_after_exit},
      {"instances", &P::set_instances},
      {"requires", &P::set_requires, true},
      {"after", &P::set_after, true},
  });
  return table;
}

void ConfParser::parse(std::string_view text) {
  if (text.starts_with(utf8_mark)) text.remove_prefix(utf8_mark.size());
  while (!text.empty()) {
    number_++;
    const ConfLine line = split_line(take_line(text));
    take(line);
  }
  judge_process();
  judge_output();
  judge_sockets();
  judge_readiness();
  judge_instances();
  // Those of the whole file come last.
  const auto place = [](const ConfFault &fault) { return std::pair(fault.line - 1, fault.column); };
  std::stable_sort(conf_.faults.begin(), conf_.faults.end(), [&](const auto &a, const auto &b) { return place(a) < place(b); });
}

void ConfParser::fault(std::size_t at, std::string text, bool warning) {
  std::size_t &count = warning ? warnings_ : errors_;
  if (++count > max_faults) return;
  if (count == max_faults) text = "found more faults than are listed here: mend those above first";
  conf_.faults.push_back({number_, static_cast<std::uint32_t>(at + 1), warning, std::move(text)});
}

// What is judged at the end gives way to the line that says that there is more.
void ConfParser::fault_at(const Place &place, std::string text, bool warning) {
  std::size_t &count = warning ? warnings_ : errors_;
  if (count + 1 >= max_faults) return;
  count++;
  conf_.faults.push_back({place.line, place.column, warning, std::move(text)});
}

void ConfParser::bad_value(const ConfLine &line, std::string_view expected) { bad_item(line, line.value, expected); }

void ConfParser::bad_item(const ConfLine &line, std::string_view item, std::string_view expected) {
  std::string text = item.empty() ? "found nothing" : "found " + quote(item);
  text += " after " + std::string(line.key) + "=, expected " + std::string(expected);
  if (line.value.find(" #") != std::string_view::npos) text += "; a comment needs a line of its own";
  fault(place_of(line, item).column - 1, std::move(text));
}

ConfParser::Place ConfParser::place_of(const ConfLine &line, std::string_view part) const {
  const auto within = static_cast<std::size_t>(part.data() - line.value.data());
  return {number_, static_cast<std::uint32_t>(line.value_at + within + 1), std::string(part)};
}

const ConfParser::Place *ConfParser::given(std::string_view key) const {
  const auto found = given_.find(key);
  return found == given_.end() ? nullptr : &found->second;
}

void ConfParser::take(const ConfLine &line) {
  switch (line.kind) {
    case LineKind::blank:
    case LineKind::comment: return;
    case LineKind::setting: return take_setting(line);
    case LineKind::exported: return take_export(line);
    case LineKind::bad_export:
      return fault(line.key_at,
                   "found export without a name and a value, expected export NAME=value (letters, digits and _, no "
                   "digit first): write it so, on one line");
    case LineKind::bad:
      return fault(line.key_at, (redacted_ ? std::string("found a line that sets nothing") : "found " + quote(line.key)) +
                                    ", expected key=value, export NAME=value or # and a comment: mend or delete the line");
  }
}

void ConfParser::take_setting(const ConfLine &line) {
  const auto key = std::find_if(keys().begin(), keys().end(), [&](const Key &k) { return k.name == line.key; });
  if (key == keys().end()) return unknown(line);
  if (!given_.try_emplace(key->name, place_of(line, line.value)).second && !key->repeats)
    return fault(line.key_at, "found a second " + std::string(line.key) + ", expected one: delete one of them");
  (this->*key->set)(line);
}

void ConfParser::take_export(const ConfLine &line) {
  if (exported_.size() == max_exports)
    return fault(line.key_at,
                 "found over " + std::to_string(max_exports) + " exports, expected fewer: let the command read a file instead");
  if (!exported_.insert(line.key).second)
    return fault(line.key_at, "found a second export of " + quote(line.key) + ", expected one: delete one of them");
  std::string_view value = redacted_ ? std::string_view() : line.value;
  const bool quoted = value.size() >= 2 && value.front() == value.back() && (value[0] == '"' || value[0] == '\'');
  if (quoted) value = value.substr(1, value.size() - 2);
  conf_.exports.emplace_back(line.key, value);
}

void ConfParser::unknown(const ConfLine &line) {
  if (warnings_ > max_faults) return;
  std::string text = "found the unknown key " + quote(line.key);
  if (redacted_ && line.key == hidden_key) text = "found an unknown key";
  const std::string_view nearest = nearest_key(line.key);
  const bool variable = std::none_of(line.key.begin(), line.key.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  if (!nearest.empty()) text += ", expected a known one: did you mean " + std::string(nearest) + "?";
  else if (variable && line.key != hidden_key)
    text += ", expected a known one: a variable is set with export " + std::string(line.key.substr(0, 32)) + "=";
  else
    text += ", expected one of daemon.conf(5): mend or delete the line";
  fault(line.key_at, std::move(text), true);
}

void ConfParser::take_command(const ConfLine &line, std::string &command, std::string_view example) {
  if (line.value.empty()) return bad_value(line, "a command: write it on the same line, like " + std::string(example));
  if (line.value.size() > max_conf_command)
    return bad_value(line, "a command of at most 131071 bytes: put it into a script and name that");
  command = line.value;
}

void ConfParser::take_time(const ConfLine &line, std::uint32_t &ms, std::uint32_t least, std::string_view expected) {
  std::uint32_t read = 0;
  if (parse_duration(line.value, read) && read >= least) ms = read;
  else bad_value(line, expected);
}

bool Conf::usable() const {
  return std::all_of(faults.begin(), faults.end(), [](const ConfFault &fault) { return fault.warning; });
}

Conf parse_conf(std::string_view text, bool values_redacted) {
  Conf conf;
  ConfParser(conf, values_redacted).parse(text);
  return conf;
}

}  // namespace dm
