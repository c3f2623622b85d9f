// Parses a daemon's conf and says what is wrong with it, line by line. Worker's, target's or caller's privilege.
#include "lib/conf.hh"

#include <algorithm>
#include <array>
#include <set>

#include "lib/conf_line.hh"
#include "lib/conf_match.hh"
#include "lib/names.hh"
#include "lib/text.hh"

namespace dm {
namespace {

constexpr std::size_t max_faults = 20;       // of each kind: a conf of a million bad lines is not worth more
constexpr std::size_t max_exports = 1000;    // far above any real environment, far below what 1 MiB could hold
constexpr std::size_t max_hosts = 100;
constexpr std::size_t max_path = 4095;       // PATH_MAX without the NUL
constexpr std::size_t max_command = 131071;  // what the kernel takes as one argument (MAX_ARG_STRLEN without the NUL)

// Bytes that the owner wrote, short enough for a message.
std::string quote(std::string_view text) {
  if (text.size() <= 40) return "'" + std::string(text) + "'";
  return "'" + std::string(text.substr(0, 37)) + "...'";
}

// A path from / on, or from the owner's home.
bool absolute(std::string_view path) { return path.starts_with('/') || path == "%h" || path.starts_with("%h/"); }

class Parser {
public:
  Parser(Conf &conf, bool redacted) : conf_(conf), redacted_(redacted) {}

  void parse(std::string_view text) {
    if (text.starts_with(utf8_mark)) text.remove_prefix(utf8_mark.size());
    while (!text.empty()) {
      number_++;
      const ConfLine line = split_line(take_line(text));
      take(line);
    }
    number_ = 0;
    if (conf_.policy.task && !seen_.contains("restart")) conf_.policy.restart = Restart::never;
    if (conf_.policy.task && conf_.policy.restart == Restart::always)
      fault(0, "found type=task with restart=always, expected a task to have an end: write restart=on-failure or restart=never, or "
               "delete one of the lines");
    if (!seen_.contains("dir"))
      fault(0, "found no dir, expected the directory to start in: add a line like dir=/home/you/site");
    if (!seen_.contains("start"))
      fault(0, "found no start, expected the command to run: add a line like start=./server --port 8080");
  }

private:
  struct Key {
    std::string_view name;
    void (Parser::*set)(const ConfLine &);
  };
  static const std::array<Key, 16> keys;

  void fault(std::size_t at, std::string text, bool warning = false) {
    std::size_t &count = warning ? warnings_ : errors_;
    if (++count > max_faults) return;
    if (count == max_faults) text = "found more faults than are listed here: mend those above first";
    const auto column = static_cast<std::uint32_t>(number_ == 0 ? 0 : at + 1);
    conf_.faults.push_back({number_, column, warning, std::move(text)});
  }

  void bad_value(const ConfLine &line, std::string_view expected) {
    std::string text = line.value.empty() ? "found nothing" : "found " + quote(line.value);
    text += " after " + std::string(line.key) + "=, expected " + std::string(expected);
    if (line.value.find(" #") != std::string_view::npos) text += "; a comment needs a line of its own";
    fault(line.value_at, std::move(text));
  }

  void take(const ConfLine &line) {
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
        return fault(line.key_at,
                     (redacted_ ? std::string("found a line that sets nothing") : "found " + quote(line.key)) +
                         ", expected key=value, export NAME=value or # and a comment: mend or delete the line");
    }
  }

  void take_setting(const ConfLine &line) {
    const auto *key = std::find_if(keys.begin(), keys.end(), [&](const Key &k) { return k.name == line.key; });
    if (key == keys.end()) return unknown(line);
    if (!seen_.insert(key->name).second && key->set != &Parser::set_host)
      return fault(line.key_at, "found a second " + std::string(line.key) + ", expected one: delete one of them");
    (this->*key->set)(line);
  }

  void take_export(const ConfLine &line) {
    if (exported_.size() == max_exports)
      return fault(line.key_at, "found over " + std::to_string(max_exports) +
                                    " exports, expected fewer: let the command read a file instead");
    if (!exported_.insert(line.key).second)
      return fault(line.key_at, "found a second export of " + quote(line.key) + ", expected one: delete one of them");
    std::string_view value = redacted_ ? std::string_view() : line.value;
    const bool quoted = value.size() >= 2 && value.front() == value.back() && (value[0] == '"' || value[0] == '\'');
    if (quoted) value = value.substr(1, value.size() - 2);
    conf_.exports.emplace_back(line.key, value);
  }

  void unknown(const ConfLine &line) {
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

  void set_dir(const ConfLine &line) {
    if (!absolute(line.value))
      return bad_value(line, "an absolute path: write the whole path, from / on, like dir=/home/you/site or dir=%h/site");
    if (line.value.size() > max_path) return bad_value(line, "a path of at most 4095 bytes: use a shorter one");
    conf_.dir = line.value;
  }

  void set_start(const ConfLine &line) {
    if (line.value.empty()) return bad_value(line, "a command: write it on the same line, like start=./server");
    if (line.value.size() > max_command)
      return bad_value(line, "a command of at most 131071 bytes: put it into a script and start that");
    conf_.start = line.value;
  }

  void set_user(const ConfLine &line) {
    const std::string_view name = line.value;
    if (name.empty()) return bad_value(line, "the name of a user: write it, or delete the line to run as yourself");
    // Never a number: strtol of a name that did not resolve has made root of people before.
    if (name.find_first_not_of("0123456789") == std::string_view::npos || name[0] == '-' || name[0] == '+')
      return bad_value(line, "the name of a user, not a number: write the name that `id -un` prints for that user");
    const bool odd = std::any_of(name.begin(), name.end(), [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return byte <= ' ' || byte == 0x7f || c == ':' || c == ',' || c == '/' || c == '#';
    });
    if (odd || name[0] == '@' || name.size() > max_user_name)
      return bad_value(line, "the name of one user: no blanks, no : , / #, no @ in front");
    conf_.user = name;
  }

  void set_output(const ConfLine &line) {
    if (line.value == "log") conf_.output = Output::log;
    else if (line.value == "discard") conf_.output = Output::discard;
    else bad_value(line, "log or discard: write output=log to keep what the daemon prints");
  }

  void set_autostart(const ConfLine &line) {
    if (line.value == "yes" || line.value == "no") conf_.autostart = line.value == "yes";
    else bad_value(line, "yes or no: write autostart=no for a daemon that is started by hand");
  }

  void set_stop_signal(const ConfLine &line) {
    const int signal = parse_signal(line.value);
    if (signal > 0) conf_.stop_signal = signal;
    else bad_value(line, "a signal by name or number: write one like stop_signal=TERM");
  }

  void set_stop_timeout(const ConfLine &line) {
    if (!parse_duration(line.value, conf_.stop_timeout_ms))
      bad_value(line, "a time up to 24 days: write one like stop_timeout=10s (units ms s m h d)");
  }

  void set_path(const ConfLine &line) {
    std::string_view rest = line.value;
    for (bool more = true; more;) {
      const std::size_t colon = rest.find(':');
      more = colon != rest.npos;
      if (!absolute(rest.substr(0, colon)))
        return bad_value(line, "absolute paths with : between: write them like path=%h/bin:/usr/local/bin:/usr/bin:/bin");
      if (more) rest.remove_prefix(colon + 1);
    }
    if (line.value.size() > max_path) return bad_value(line, "at most 4095 bytes: name fewer directories");
    conf_.path = line.value;
  }

  void set_env_file(const ConfLine &line) {
    if (!absolute(line.value) || line.value.size() > max_path)
      return bad_value(line, "an absolute path: write it like env_file=%h/site/env");
    conf_.env_file = line.value;
  }

  void set_umask(const ConfLine &line) {
    const std::string_view digits = line.value;
    if (digits.empty() || digits.size() > 4 || digits.find_first_not_of("01234567") != std::string_view::npos ||
        (digits.size() == 4 && digits[0] != '0'))
      return bad_value(line, "an octal number from 000 to 777: write one like umask=022");
    conf_.umask = 0;
    for (char c : digits) conf_.umask = conf_.umask * 8 + static_cast<std::uint32_t>(c - '0');
  }

  void set_type(const ConfLine &line) {
    if (line.value == "daemon" || line.value == "task") conf_.policy.task = line.value == "task";
    else bad_value(line, "daemon or task: write type=task for a command that has an end");
  }

  void set_restart(const ConfLine &line) {
    if (!parse_restart(line.value, conf_.policy))
      bad_value(line, "always, on-failure or never: write restart=on-failure to start it again only after a failure");
  }

  void set_success_codes(const ConfLine &line) {
    if (!parse_success_codes(line.value, conf_.policy))
      bad_value(line, "exit codes up to 255 and names of signals with commas between: write them like success_codes=3, 75, TERM");
  }

  void set_cooldown(const ConfLine &line) {
    if (!parse_cooldown(line.value, conf_.policy))
      bad_value(line, "a time from 100ms to 1h, or the shortest and the longest: write them like cooldown=1s..60s");
  }

  void set_give_up_after(const ConfLine &line) {
    if (!parse_give_up(line.value, conf_.policy))
      bad_value(line, "so many ends (up to 10000) within a time: write them like give_up_after=5/10m");
  }

  // May come several times; each holds one pattern or several with commas between.
  void set_host(const ConfLine &line) {
    std::string_view rest = line.value;
    for (bool more = true; more;) {
      const std::size_t comma = rest.find(',');
      more = comma != std::string_view::npos;
      std::string_view one = rest.substr(0, comma);
      if (more) rest.remove_prefix(comma + 1);
      while (one.starts_with(' ')) one.remove_prefix(1);
      while (one.ends_with(' ')) one.remove_suffix(1);
      if (!host_pattern(one) || conf_.hosts.size() == max_hosts)
        return bad_value(line, "the name of a host, as `hostname` prints it, * and ? allowed: write one like host=web*, and "
                               "several with commas between");
      conf_.hosts.emplace_back(one);
    }
  }

  Conf &conf_;
  const bool redacted_;
  std::uint32_t number_ = 0;
  std::size_t warnings_ = 0, errors_ = 0;
  std::set<std::string_view> seen_, exported_;  // ordered: nobody can choose names that collide
};

const std::array<Parser::Key, 16> Parser::keys = {{
    {"dir", &Parser::set_dir},
    {"start", &Parser::set_start},
    {"user", &Parser::set_user},
    {"output", &Parser::set_output},
    {"autostart", &Parser::set_autostart},
    {"stop_signal", &Parser::set_stop_signal},
    {"stop_timeout", &Parser::set_stop_timeout},
    {"umask", &Parser::set_umask},
    {"host", &Parser::set_host},
    {"type", &Parser::set_type},
    {"restart", &Parser::set_restart},
    {"success_codes", &Parser::set_success_codes},
    {"cooldown", &Parser::set_cooldown},
    {"give_up_after", &Parser::set_give_up_after},
    {"path", &Parser::set_path},
    {"env_file", &Parser::set_env_file},
}};

}  // namespace

bool Conf::usable() const {
  return std::all_of(faults.begin(), faults.end(), [](const ConfFault &fault) { return fault.warning; });
}

Conf parse_conf(std::string_view text, bool values_redacted) {
  Conf conf;
  Parser(conf, values_redacted).parse(text);
  return conf;
}

}  // namespace dm
