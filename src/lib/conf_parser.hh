// The parser of a daemon's conf: one member for each key, put into files by what the keys are about. Everyone's privilege but
// the monitor's; nothing here acts.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/conf.hh"
#include "lib/conf_line.hh"

namespace dm {

inline constexpr std::size_t max_conf_path = 4095;       // PATH_MAX without the NUL
inline constexpr std::size_t max_conf_command = 131071;  // what the kernel takes as one argument (MAX_ARG_STRLEN without the NUL)

// Bytes that the owner wrote, in quotes and short enough for a message.
std::string quote(std::string_view text);
// A path from / on, or from the owner's home.
bool absolute_path(std::string_view path);
// Whether it has %i in it.
bool holds_instance(std::string_view text);
// Digits alone, up to `most`.
bool whole_number(std::string_view text, std::uint32_t most, std::uint32_t &value);
// An octal number of at most 0777.
bool octal_mode(std::string_view text, std::uint32_t &mode);

class ConfParser {
public:
  ConfParser(Conf &conf, bool redacted) : conf_(conf), redacted_(redacted) {}
  void parse(std::string_view text);

private:
  struct Key {
    std::string_view name;
    void (ConfParser::*set)(const ConfLine &);
    bool repeats = false;  // may come several times
  };
  static std::span<const Key> keys();

  // Where something was said that is judged against other lines at the end.
  struct Place {
    std::uint32_t line = 0, column = 0;
    std::string value;
  };

  // conf.cc: the lines, and what they share.
  void take(const ConfLine &line);
  void take_setting(const ConfLine &line);
  void take_export(const ConfLine &line);
  void unknown(const ConfLine &line);
  void fault(std::size_t at, std::string text, bool warning = false);
  void fault_at(const Place &place, std::string text, bool warning = false);
  void bad_value(const ConfLine &line, std::string_view expected);
  void bad_item(const ConfLine &line, std::string_view item, std::string_view expected);
  [[nodiscard]] Place place_of(const ConfLine &line, std::string_view part) const;
  // Where the value of a key that may come once was given; nullptr where it was not.
  [[nodiscard]] const Place *given(std::string_view key) const;
  void take_command(const ConfLine &line, std::string &command, std::string_view example);
  void take_time(const ConfLine &line, std::uint32_t &ms, std::uint32_t least, std::string_view expected);

  // conf_process.cc: the process and the end of its runs.
  void set_dir(const ConfLine &line);
  void set_start(const ConfLine &line);
  void set_user(const ConfLine &line);
  void set_path(const ConfLine &line);
  void set_env_file(const ConfLine &line);
  void set_umask(const ConfLine &line);
  void set_autostart(const ConfLine &line);
  void set_stop_signal(const ConfLine &line);
  void set_stop_timeout(const ConfLine &line);
  void set_type(const ConfLine &line);
  void set_restart(const ConfLine &line);
  void set_success_codes(const ConfLine &line);
  void set_cooldown(const ConfLine &line);
  void set_give_up_after(const ConfLine &line);
  void set_host(const ConfLine &line);
  void judge_process();

  // conf_log.cc: its output.
  void set_output(const ConfLine &line);
  void set_log_size(const ConfLine &line);
  void set_log_keep(const ConfLine &line);
  void set_log_compress(const ConfLine &line);
  void set_log_stamp(const ConfLine &line);
  void judge_output();

  // conf_service.cc: sockets, readiness, commands around the run.
  void set_listen(const ConfLine &line);
  void set_listen_mode(const ConfLine &line);
  void set_listen_backlog(const ConfLine &line);
  void set_listen_pass(const ConfLine &line);
  void set_start_on(const ConfLine &line);
  void set_ready(const ConfLine &line);
  void set_start_timeout(const ConfLine &line);
  void set_watchdog(const ConfLine &line);
  void set_stop(const ConfLine &line);
  void set_reload(const ConfLine &line);
  void set_before(const ConfLine &line);
  void set_after_exit(const ConfLine &line);
  void judge_sockets();
  void judge_readiness();

  // conf_family.cc: several of one conf, and one that needs others.
  void set_instances(const ConfLine &line);
  void set_requires(const ConfLine &line);
  void set_after(const ConfLine &line);
  void take_names(const ConfLine &line, std::vector<std::string> &names);
  void judge_instances();

  Conf &conf_;
  const bool redacted_;
  std::uint32_t number_ = 0;
  std::size_t warnings_ = 0, errors_ = 0;
  std::set<std::string_view> exported_;  // ordered: nobody can choose names that collide
  std::map<std::string_view, Place> given_;
  std::vector<Place> listens_;  // of each of conf_.listen
};

}  // namespace dm
