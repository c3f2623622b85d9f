// A daemon's conf: key=value lines and `export NAME=value`. Parsed by the worker, dm-run and dmctl, never by the monitor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/conf_policy.hh"

namespace dm {

// A fault in a conf. Line and column count from 1; line 0: of the whole file. `text` says what was found, what was
// expected and what to do, without the file's name.
struct ConfFault {
  std::uint32_t line = 0, column = 0;
  bool warning = false;  // unknown keys: the daemon runs all the same
  std::string text;
};

enum class Output : std::uint8_t { discard, log };

struct Conf {
  std::string dir, start;
  std::string user;  // empty: the owner
  std::string path;  // PATH; empty: the usual one
  std::string env_file;  // its lines are exports too; dm-scan reads it
  Output output = Output::discard;
  bool autostart = true;
  int stop_signal = 15;
  std::uint32_t stop_timeout_ms = 10'000;
  std::uint32_t umask = 022;
  RunPolicy policy;
  std::vector<std::string> hosts;  // glob patterns of host names; empty: every host
  std::vector<std::pair<std::string, std::string>> exports;
  std::vector<ConfFault> faults;  // in the order of the lines

  [[nodiscard]] bool usable() const;  // no fault but warnings
};

// Parses the text of one conf (bytes as the owner wrote them). Never fails: what is wrong is in `faults`.
// With `values_redacted` the values of exports are gone (the worker's book) and not judged.
Conf parse_conf(std::string_view text, bool values_redacted);

// The text with each export's value, and each value of a key it does not know, cut off: what the worker may see.
// Lines stay where they are.
std::string redact_conf(std::string_view text);

// True where `start` holds nothing that needs a shell; then `words` are its words (a leading `exec` dropped).
bool split_command(std::string_view start, std::vector<std::string> &words);

// True where one of the patterns (`*`, `?`, letters of either case) matches the host's name, whole or up to its first dot;
// true where there are none.
bool host_matches(const std::vector<std::string> &patterns, std::string_view host);

// "10s", "500ms", "2m", "1h", "1d" or plain seconds to milliseconds; false where it is none of these or over 2^31 ms.
bool parse_duration(std::string_view text, std::uint32_t &ms);

}  // namespace dm
