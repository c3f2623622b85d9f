// The keys of a conf that say how it is reached, when it is ready and what is run around it. Worker's, target's or caller's
// privilege.
#include <algorithm>
#include <csignal>

#include "lib/conf_expand.hh"
#include "lib/conf_parser.hh"
#include "lib/text.hh"

namespace dm {
namespace {

constexpr std::uint32_t most_ready_fd = 31;  // behind any eight sockets; higher ones are nobody's habit
constexpr std::uint32_t least_watchdog_ms = 1'000;

// Somebody meant a signal, not a program of this name.
bool looks_like_signal(std::string_view text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  return digits || (text.starts_with("SIG") && text.find_first_of(" \t/.") == text.npos);
}

}  // namespace

void ConfParser::set_listen(const ConfLine &line) {
  ListenAddress address;
  // With names as short as may be: what is too long with the real ones is said when it is bound.
  const bool path = line.value.starts_with('/') || line.value.starts_with("%h/");
  if (!parse_listen(expand(line.value, {"n", "u", "/h", 1}), address) || path != (address.family == Family::local)) {
    if (path)
      return bad_value(line, "a path of at most 107 bytes to a file, as the kernel takes it: use a shorter one");
    return bad_value(line, "an absolute path, an IPv4 address (or localhost) with a port, or [an IPv6 address] with one: write it "
                           "like listen=%h/run/%n.sock, listen=127.0.0.1:8000 or listen=[::1]:8000");
  }
  if (std::find(conf_.listen.begin(), conf_.listen.end(), line.value) != conf_.listen.end())
    return bad_value(line, "each address once: delete one of the lines");
  if (conf_.listen.size() == max_sockets)
    return bad_value(line, "at most 8 listen lines: delete one of them, or let the daemon bind it itself");
  conf_.listen.emplace_back(line.value);
  listens_.push_back(place_of(line, line.value));
}

void ConfParser::set_listen_mode(const ConfLine &line) {
  if (!octal_mode(line.value, conf_.listen_mode))
    bad_value(line, "an octal number from 000 to 777: write one like listen_mode=0660");
}

void ConfParser::set_listen_backlog(const ConfLine &line) {
  std::uint32_t backlog = 0;
  if (whole_number(line.value, 65535, backlog) && backlog > 0) conf_.listen_backlog = backlog;
  else bad_value(line, "a number of connections from 1 to 65535: write one like listen_backlog=511");
}

void ConfParser::set_listen_pass(const ConfLine &line) {
  if (line.value == "stdin") conf_.listen_pass = ListenPass::stdin;
  else if (line.value == "fds") conf_.listen_pass = ListenPass::fds;
  else bad_value(line, "stdin or fds: write listen_pass=stdin for a FastCGI server, listen_pass=fds for one that knows LISTEN_FDS");
}

void ConfParser::set_start_on(const ConfLine &line) {
  if (line.value == "boot" || line.value == "connection") conf_.on_connection = line.value == "connection";
  else bad_value(line, "boot or connection: write start_on=connection for a daemon that its first connection starts");
}

void ConfParser::set_ready(const ConfLine &line) {
  std::uint32_t fd = 0;
  if (line.value == "started") conf_.ready = Ready::started;
  else if (line.value == "notify") conf_.ready = Ready::notify;
  else if (line.value == "connect") conf_.ready = Ready::connect;
  else if (line.value.starts_with("fd:") && whole_number(line.value.substr(3), most_ready_fd, fd) && fd >= 3) {
    conf_.ready = Ready::fd;
    conf_.ready_fd = static_cast<int>(fd);
  } else {
    bad_value(line, "started, notify, connect, or fd: and a descriptor from 3 to 31: write ready=notify for a daemon that knows "
                    "sd_notify(3), ready=fd:3 for one that writes a newline there");
  }
}

void ConfParser::set_start_timeout(const ConfLine &line) {
  take_time(line, conf_.start_timeout_ms, 1, "a time up to 24 days, not 0: write one like start_timeout=60s (units ms s m h d)");
}

void ConfParser::set_watchdog(const ConfLine &line) {
  take_time(line, conf_.watchdog_ms, least_watchdog_ms, "a time from 1s to 24 days: write one like watchdog=30s (units ms s m h d)");
}

void ConfParser::set_stop(const ConfLine &line) { take_command(line, conf_.stop_command, "stop=./server --shutdown"); }

void ConfParser::set_reload(const ConfLine &line) {
  const int signal = parse_signal(line.value);
  if (signal == SIGKILL || signal == SIGSTOP)
    return bad_value(line, "a signal that the daemon can take: write one like reload=HUP");
  if (signal != 0) conf_.reload_signal = signal;
  else if (looks_like_signal(line.value))
    bad_value(line, "a signal by name or number from 1 to 64, or a command: write one like reload=HUP");
  else take_command(line, conf_.reload_command, "reload=./server --reload, or a signal, like reload=HUP");
}

void ConfParser::set_before(const ConfLine &line) { take_command(line, conf_.before, "before=./migrate"); }
void ConfParser::set_after_exit(const ConfLine &line) { take_command(line, conf_.after_exit, "after_exit=./clean-up"); }

void ConfParser::judge_sockets() {
  const bool any_given = given("listen") != nullptr;  // one that is refused has its own fault
  for (const std::string_view key : {"listen_mode", "listen_backlog", "listen_pass"})
    if (const Place *place = given(key); place != nullptr && !any_given)
      fault_at(*place, "found " + std::string(key) + " without listen=, where it means nothing: add a line like "
                                                     "listen=%h/run/%n.sock, or delete this one", true);
  if (const Place *place = given("start_on"); place != nullptr && conf_.on_connection && !any_given)
    fault_at(*place, "found start_on=connection without listen=, expected an address for the connection to come to: add a line "
                     "like listen=%h/run/%n.sock");
  if (const Place *place = given("listen_pass"); conf_.listen_pass == ListenPass::stdin && conf_.listen.size() > 1)
    fault_at(*place, "found listen_pass=stdin with " + std::to_string(conf_.listen.size()) +
                         " listen lines, expected one: write listen_pass=fds, or delete the other lines");
}

void ConfParser::judge_readiness() {
  const Place *ready = given("ready");
  if (conf_.policy.task && conf_.ready != Ready::started)
    fault_at(*ready, "found ready=" + ready->value + " with type=task, expected none: a task is ready when it has been started; "
                                                     "delete one of the lines");
  if (conf_.ready == Ready::connect && given("listen") == nullptr)
    fault_at(*ready, "found ready=connect without listen=, expected an address to connect to: add a line like "
                     "listen=%h/run/%n.sock, or write another ready=");
  const bool passed = conf_.listen_pass == ListenPass::fds || (conf_.listen_pass == ListenPass::fitting && conf_.listen.size() > 1);
  const int first_free = passed ? 3 + static_cast<int>(conf_.listen.size()) : 3;
  if (conf_.ready == Ready::fd && conf_.ready_fd < first_free)
    fault_at(*ready, "found ready=" + ready->value + ", where one of the listening sockets is, expected a descriptor behind them: "
                                                     "write ready=fd:" + std::to_string(first_free) + " or higher");
  if (const Place *watchdog = given("watchdog"); conf_.watchdog_ms > 0 && conf_.ready != Ready::notify)
    fault_at(*watchdog, "found watchdog= without ready=notify, expected a daemon that says that it lives: add ready=notify where it "
                        "knows sd_notify(3), or delete this line");
  if (const Place *timeout = given("start_timeout");
      timeout != nullptr && conf_.ready == Ready::started && conf_.before.empty() && ready == nullptr)
    fault_at(*timeout, "found start_timeout without ready= and before=, where nothing is waited for: add a line like ready=notify, "
                       "or delete this one", true);
}

}  // namespace dm
