// A daemon's conf: key=value lines and `export NAME=value`. Parsed by the worker, dm-run and dmctl, never by the monitor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/conf_policy.hh"
#include "lib/message.hh"

namespace dm {

// A fault in a conf. Line and column count from 1; line 0: of the whole file. `text` says what was found, what was
// expected and what to do, without the file's name.
struct ConfFault {
  std::uint32_t line = 0, column = 0;
  bool warning = false;  // unknown keys: the daemon runs all the same
  std::string text;
};

// Where a daemon's output goes: nowhere, into ~/.daemon-manager/logs/NAME.log, to syslog, or into a file that its conf names.
enum class Output : std::uint32_t { discard, log, syslog, file };
// Of the stamp before each line of a log: UTC, the machine's own time with its offset, or no stamp.
enum class Stamp : std::uint32_t { utc, local, none };
inline constexpr std::uint64_t least_log_size = 4096, greatest_log_size = std::uint64_t{1} << 40;  // bytes
inline constexpr std::uint32_t most_logs_kept = 1000;
inline constexpr std::size_t max_log_path = 767;  // bytes, expanded: it has its place in dm-log's journal
// Where a log is, and how it is kept.
struct LogTerms {
  Output output = Output::discard;
  std::string file;               // of Output::file
  std::uint64_t size = 10 << 20;  // bytes from which on it is rotated; 0: never
  std::uint32_t keep = 5;         // rotated ones
  Stamp stamp = Stamp::utc;
  bool compress = false;
};
// The log of a daemon with output=log, NAME or NAME:3, whose owner has this home.
inline std::string log_path(std::string_view home, std::string_view name) {
  return std::string(home).append("/.daemon-manager/logs/").append(name).append(".log");
}
// How a daemon gets its listening sockets: as descriptor 0, or from 3 on with LISTEN_FDS. `fitting`: stdin for one, else fds.
enum class ListenPass : std::uint8_t { fitting, stdin, fds };
// When a daemon that was executed is ready.
enum class Ready : std::uint8_t {
  started,  // at once
  notify,   // when it says READY=1 to NOTIFY_SOCKET (sd_notify(3))
  fd,       // when it writes a newline to descriptor `ready_fd`
  connect,  // when it has accepted a connection to each of its listening sockets
};
inline constexpr unsigned ready_count = 4;

// One listen= line, taken apart.
struct ListenAddress {
  Family family = Family::local;
  std::string path;              // local
  std::uint8_t address[16] = {};  // inet, inet6: network order
  std::uint16_t port = 0;
};

struct Conf {
  std::string dir, start;
  std::string user;  // empty: the owner
  std::string path;  // PATH; empty: the usual one
  std::string env_file;  // its lines are exports too; dm-scan reads it
  std::uint32_t env_file_line = 0, env_file_column = 0;  // where its value stands, from 1
  LogTerms log;
  bool autostart = true;
  int stop_signal = 15;
  std::uint32_t stop_timeout_ms = 10'000;
  std::uint32_t umask = 022;
  RunPolicy policy;
  std::vector<std::string> listen;  // as written (or expanded); parse_listen takes one apart. At most max_sockets
  std::uint32_t listen_mode = 0660, listen_backlog = 511;
  ListenPass listen_pass = ListenPass::fitting;
  bool on_connection = false;  // start_on=connection
  Ready ready = Ready::started;
  int ready_fd = 3;
  std::uint32_t start_timeout_ms = 60'000;  // from its start to ready
  std::uint32_t watchdog_ms = 0;            // 0: none
  std::string before, after_exit, stop_command, reload_command;  // "" where there is none
  int reload_signal = 0;                                         // 0: none
  std::uint32_t instances = 0;                                   // 0: one, without a number
  std::vector<std::string> needs, after;  // requires= (`requires` is a word of C++) and after=: names, or owner/name
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

// The lines of a conf that a run which has begun does not follow any more: without comments, and without the keys that count from the
// moment on at which they are read (autostart=, stop_timeout=, restart= and so on).
std::string lines_of_run(std::string_view text);

// True where `start` holds nothing that needs a shell; then `words` are its words (a leading `exec` dropped).
bool split_command(std::string_view start, std::vector<std::string> &words);

// True where one of the patterns (`*`, `?`, letters of either case) matches the host's name, whole or up to its first dot;
// true where there are none.
bool host_matches(const std::vector<std::string> &patterns, std::string_view host);

// Takes an expanded listen= value apart: an absolute path of at most 107 bytes, an IPv4 address, [an IPv6 address] or localhost, with
// a colon and a port. False where it is none of these; names of hosts are not looked up.
bool parse_listen(std::string_view text, ListenAddress &out);

// Whether an expanded path can be that of a log: absolute, the name of a file at its end, and not too long.
bool log_path(std::string_view path);

// "10M", "512K", "1G" or plain bytes (K is 1,024); false where it is none of these.
bool parse_size(std::string_view text, std::uint64_t &bytes);

// "10s", "500ms", "2m", "1h", "1d" or plain seconds to milliseconds; false where it is none of these or over 2^31 ms.
bool parse_duration(std::string_view text, std::uint32_t &ms);

}  // namespace dm
