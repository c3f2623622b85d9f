// Parses the master config: sections and lines; the words of a line are in cursor.hh. Runs in dm-policy, as the worker's uid.
#include "worker/policy/config.hh"

#include <fmt/core.h>

#include <charconv>
#include <limits>

#include "lib/book.hh"
#include "lib/conf.hh"
#include "lib/conf_line.hh"
#include "worker/policy/cursor.hh"

namespace dm::master {
namespace {

enum class Section { none, unknown, runs_as, manages, ports, settings, limits };

struct LimitName {
  std::string_view key;
  std::uint32_t least, most;
  std::string_view example;
};

// In the order of LimitKind. The upper ends are what the book's format and one machine's tables can hold.
constexpr std::array<LimitName, limit_kinds> limit_names{{
    {"daemons", 0, max_entries, "100"},
    {"book", 1024, 256U << 20, "1M"},
    {"starts", 1, 10'000, "20"},
    {"connections", 1, 1024, "16"},
}};

// "2M" to 2097152; nothing where it is no number that fits.
std::optional<std::uint32_t> parse_size(std::string_view text) {
  std::uint64_t value = 0;
  const char *end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit(at, static_cast<std::size_t>(end - at));
  unsigned shift = 0;
  if (unit == "K" || unit == "k") shift = 10;
  else if (unit == "M" || unit == "m") shift = 20;
  else if (unit == "G" || unit == "g") shift = 30;
  else if (!unit.empty()) return std::nullopt;
  if (value > (std::numeric_limits<std::uint32_t>::max() >> shift)) return std::nullopt;
  return static_cast<std::uint32_t>(value << shift);
}

// "80" or "8000-8100"; nothing where it is neither, or not of 1 … 65535.
std::optional<PortRule::Range> parse_ports(std::string_view text) {
  PortRule::Range range{};
  const char *end = text.data() + text.size();
  std::from_chars_result got = std::from_chars(text.data(), end, range.first);
  range.last = range.first;
  if (got.ec == std::errc{} && got.ptr != end && *got.ptr == '-') got = std::from_chars(got.ptr + 1, end, range.last);
  const bool good = got.ec == std::errc{} && got.ptr == end && range.first >= 1 && range.first <= range.last && range.last <= 65535;
  return good ? std::optional(range) : std::nullopt;
}

class Parser {
public:
  Config run(std::string_view text) {
    std::uint32_t number = 0;
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
      line = line.substr(0, line.find('#'));
      line_ = line;
      Cursor cursor(line, ++number, config_.faults);
      if (!cursor.at_end()) parse_line(cursor);
    }
    return std::move(config_);
  }

private:
  void parse_line(Cursor &line) {
    if (line.peek() == '[') return parse_section(line);
    switch (section_) {
      case Section::none:
        line.fault("a line before the first section",
                   "[runs_as], [manages], [ports], [settings] or [limits]; put the section's line above this one");
        return;
      case Section::unknown: return;  // its header has been complained about
      case Section::runs_as: return parse_rule(line, config_.runs_as);
      case Section::manages: return parse_rule(line, config_.manages);
      case Section::ports: return parse_port_rule(line);
      case Section::settings: return parse_setting(line);
      case Section::limits: return parse_limits(line);
    }
  }

  void parse_section(Cursor &line) {
    const Word word = line.rest();
    section_ = Section::unknown;
    if (word.text.back() != ']')
      return line.fault_at(word, "']' at the end of the line; close the name of the section");
    const std::string_view name = word.text.substr(1, word.text.size() - 2);
    if (name == "runs_as" || name == "can_run_as") section_ = Section::runs_as;
    else if (name == "manages") section_ = Section::manages;
    else if (name == "ports") section_ = Section::ports;
    else if (name == "settings") section_ = Section::settings;
    else if (name == "limits") section_ = Section::limits;
    else
      line.fault_at(word, "[runs_as], [can_run_as], [manages], [ports], [settings] or [limits]; "
                          "correct the name or remove the section");
  }

  void parse_rule(Cursor &line, std::vector<Rule> &rules) {
    Rule rule;
    if (!line.name(rule.left)) return;
    if (!line.at_end()) {
      if (!line.take(':')) return line.fault_here("':' or the end of the line; write one rule a line, as in david: www-data");
      if (!line.at_end() && !parse_names(line, rule.right)) return;
    }
    rule.text = trim(line_);
    rules.push_back(std::move(rule));
  }

  bool parse_names(Cursor &line, std::vector<Name> &names) {
    for (;;) {
      Name name;
      if (!line.name(name)) return false;
      names.push_back(std::move(name));
      if (line.at_end()) return true;
      if (line.take(',')) continue;
      line.fault_here("',' or the end of the line; put a comma between two names");
      return false;
    }
  }

  void parse_port_rule(Cursor &line) {
    constexpr std::string_view expected = "a port or a range of ports, of 1 to 65535; write, for instance, david: 80, 443, 8000-8100";
    PortRule rule;
    if (!line.name(rule.who)) return;
    if (!line.take(':')) return line.fault_here("':' and ports; write, for instance, david: 80, 443, 8000-8100");
    do {
      const Word word = line.item(expected);
      if (word.text.empty()) return;
      const std::optional<PortRule::Range> range = parse_ports(word.text);
      if (!range) return line.fault_at(word, expected);
      rule.ranges.push_back(*range);
    } while (line.take(','));
    if (!line.at_end()) return line.fault_here("',' or the end of the line; put a comma between two ports");
    config_.ports.push_back(std::move(rule));
  }

  void parse_setting(Cursor &line) {
    Word key, value;
    if (!line.key_value(key, value)) return;
    if (!line.at_end()) return line.fault_here("the end of the line; write one setting a line");
    if (key.text == "shutdown_timeout") {
      config_.shutdown_place = value.place;
      config_.shutdown_text = value.text;
      if (!parse_duration(value.text, config_.shutdown_timeout_ms))
        line.fault_at(value, "a time such as 60s, 500ms or 2m; correct it");
    } else if (key.text == "cgroup") {
      if (value.text != "auto" && value.text != "no") line.fault_at(value, "auto or no; correct it");
      else config_.no_cgroup = value.text == "no";
    } else {
      line.fault_at(key, "shutdown_timeout or cgroup; correct the key or remove the line");
    }
  }

  void parse_limits(Cursor &line) {
    LimitRule rule;
    if (line.peek() == '*') {
      rule.everyone = true;
      rule.who.place = line.place();
      line.take('*');
    } else if (!line.name(rule.who)) {
      return;
    }
    if (!line.take(':')) return line.fault_here("':'; write the limits as in david: daemons=50, book=2M");
    do {
      Word key, value;
      if (!line.key_value(key, value)) return;
      parse_limit(line, key, value, rule);
    } while (line.take(','));
    if (!line.at_end()) return line.fault_here("',' or the end of the line; put a comma between two limits");
    config_.limits.push_back(std::move(rule));
  }

  static void parse_limit(Cursor &line, const Word &key, const Word &value, LimitRule &rule) {
    for (unsigned kind = 0; kind < limit_kinds; kind++) {
      const LimitName &limit = limit_names.at(kind);
      if (key.text != limit.key) continue;
      const std::optional<std::uint32_t> number = parse_size(value.text);
      if (!number || *number < limit.least || *number > limit.most)
        return line.fault_at(value, fmt::format("a number from {} to {}; write, for instance, {}={}", limit.least,
                                                limit.most, limit.key, limit.example));
      rule.value.at(kind) = number;
      return;
    }
    line.fault_at(key, "daemons, book, starts or connections; correct the key or remove it");
  }

  Section section_ = Section::none;
  std::string_view line_;
  Config config_;
};

}  // namespace

Config parse_config(std::string_view text) { return Parser().run(text); }

}  // namespace dm::master
