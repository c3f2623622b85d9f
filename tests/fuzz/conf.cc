// A daemon's conf: what the owner wrote, as dm-run reads it, and as the worker does, without the secrets.
#include <algorithm>

#include "input.hh"
#include "lib/conf.hh"
#include "lib/conf_expand.hh"
#include "lib/conf_line.hh"
#include "lib/text.hh"

namespace dm::fuzz {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string_view bare(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  while (!text.empty() && blanks.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && blanks.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

// Told from the text alone, without the code that is tested: of a line that is no known key's, nothing behind the '=' is shown,
// and of one that is neither a key's nor an export, nothing at all.
void judge_line(std::string_view whole, std::string_view shown) {
  constexpr std::string_view keys[] = {"dir", "start", "user", "output", "log_size", "log_keep", "log_compress", "log_stamp", "autostart", "stop_signal", "stop_timeout", "umask", "host",
                                       "type", "restart", "success_codes", "cooldown", "give_up_after", "path", "env_file", "listen", "listen_mode",
                                       "listen_backlog", "listen_pass", "start_on", "ready", "start_timeout", "watchdog", "stop",
                                       "reload", "before", "after_exit", "instances", "requires", "after"};
  const std::size_t equals = whole.find('=');
  const std::string_view key = bare(whole.substr(0, equals));
  if (equals != std::string_view::npos && std::ranges::find(keys, key) != std::end(keys)) return must(whole == shown, "a known key is shown");
  constexpr std::string_view stand_ins[] = {"", "#", "?", "_=", "export ?"};
  if (std::ranges::find(stand_ins, shown) != std::end(stand_ins)) return;
  must(equals != std::string_view::npos && whole.starts_with(shown), "what is shown is the beginning of the line");
  must(bare(shown.substr(std::min(shown.find('=') + 1, shown.size()))).empty() && shown.size() <= whole.size(), "no value is shown");
  must(bare(shown).ends_with('='), "what is shown of an export ends with its name");
}

void judge_faults(const Conf &conf, std::size_t lines, std::size_t longest) {
  must(conf.faults.size() <= 40, "faults are few");
  for (const ConfFault &fault : conf.faults) {
    must(fault.line <= lines && fault.column <= longest + 4, "a fault is at a place that there is");
    must(!fault.text.empty() && fault.text.size() < 1000, "a fault is said in a few words");
    const std::string safe = escape(fault.text);
    must(std::ranges::none_of(safe, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }), "a fault can be shown");
  }
}

void judge_command(const Conf &conf) {
  std::vector<std::string> words;
  if (!split_command(conf.start, words)) return;
  must(!words.empty(), "a command that needs no shell has a program");
  std::string_view rest = bare(conf.start);
  if (rest.starts_with("exec ") || rest.starts_with("exec\t")) rest.remove_prefix(4);
  for (const std::string &word : words) {
    must(!word.empty() && word.find_first_of(" \t'\"$`;&|<>()*?[]~#\\{}!^\n") == std::string::npos, "words are plain");
    rest = bare(rest);
    must(rest.starts_with(word), "words are those of the command, in their order");
    rest.remove_prefix(word.size());
  }
  must(bare(rest).empty(), "no word is lost");
}

void judge_service(const Conf &conf) {
  must(conf.listen.size() <= max_sockets && conf.instances <= max_instances, "there is room for all of them");
  must(conf.listen_mode <= 0777 && conf.listen_backlog >= 1 && conf.listen_backlog <= 65535, "numbers of sockets are within their ranges");
  must(conf.ready_fd >= 3 && conf.ready_fd <= 31 && conf.start_timeout_ms > 0, "numbers of readiness are within their ranges");
  must(conf.reload_signal >= 0 && conf.reload_signal <= 64, "a signal is one");
  must(conf.needs.size() <= 100 && conf.after.size() <= 100, "names are few");
  if (!conf.usable()) return;
  must(conf.watchdog_ms == 0 || (conf.watchdog_ms >= 1000 && conf.ready == Ready::notify), "a watchdog hears something");
  must(!conf.listen.empty() || (!conf.on_connection && conf.ready != Ready::connect), "who waits for a connection has a socket");
  must(conf.listen.size() <= 1 || conf.listen_pass != ListenPass::stdin, "one socket fits descriptor 0");
  must((conf.log.output == Output::file) == !conf.log.file.empty(), "a file is named where one is meant");
  for (const std::uint32_t instance : {1U, std::max(conf.instances, 1U)}) {
    Conf copy = conf;
    expand(copy, {"n", "u", "/h", conf.instances > 0 ? instance : 0});
    must(conf.log.output != Output::file || copy.log.file.starts_with('/'), "a log has a whole path");
    for (const std::string &one : copy.listen) {
      ListenAddress address;
      must(parse_listen(one, address), "each socket has an address");
      must(address.path.size() <= 107 && (address.family == Family::local || address.port > 0), "and the kernel takes it");
    }
  }
}

}  // namespace
}  // namespace dm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace dm;
  using fuzz::must;
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  const std::string shown = redact_conf(text);
  const std::vector<std::string_view> lines = fuzz::lines_of(text.starts_with(utf8_mark) ? text.substr(utf8_mark.size()) : text);
  const std::vector<std::string_view> shown_lines = fuzz::lines_of(shown);
  std::size_t longest = 0;
  must(shown_lines.size() == lines.size() || (shown_lines.size() + 1 == lines.size() && !text.ends_with('\n')), "lines stay where they are");
  for (std::size_t i = 0; i < shown_lines.size(); i++) fuzz::judge_line(lines[i], shown_lines[i]);
  for (const std::string_view line : lines) longest = std::max(longest, line.size());

  const Conf whole = parse_conf(text, false), redacted = parse_conf(shown, true);
  must(whole.dir == redacted.dir && whole.start == redacted.start && whole.user == redacted.user, "what is judged is what is run");
  must(whole.log.output == redacted.log.output && whole.log.file == redacted.log.file && whole.autostart == redacted.autostart && whole.umask == redacted.umask, "so with all keys");
  must(whole.stop_signal == redacted.stop_signal && whole.stop_timeout_ms == redacted.stop_timeout_ms, "so with all keys");
  must(whole.policy == redacted.policy && whole.path == redacted.path && whole.env_file == redacted.env_file, "so with all keys");
  must(whole.hosts == redacted.hosts && whole.usable() == redacted.usable(), "so with all keys");
  must(whole.listen == redacted.listen && whole.listen_mode == redacted.listen_mode, "so with all keys");
  must(whole.listen_backlog == redacted.listen_backlog && whole.listen_pass == redacted.listen_pass, "so with all keys");
  must(whole.ready == redacted.ready && whole.ready_fd == redacted.ready_fd && whole.on_connection == redacted.on_connection, "so with all keys");
  must(whole.start_timeout_ms == redacted.start_timeout_ms && whole.watchdog_ms == redacted.watchdog_ms, "so with all keys");
  must(whole.before == redacted.before && whole.after_exit == redacted.after_exit, "so with all keys");
  must(whole.stop_command == redacted.stop_command && whole.reload_command == redacted.reload_command, "so with all keys");
  must(whole.reload_signal == redacted.reload_signal && whole.instances == redacted.instances, "so with all keys");
  must(whole.needs == redacted.needs && whole.after == redacted.after, "so with all keys");
  must(whole.exports.size() == redacted.exports.size(), "the worker sees each export");
  for (std::size_t i = 0; i < whole.exports.size(); i++)
    must(whole.exports[i].first == redacted.exports[i].first && redacted.exports[i].second.empty(), "and none of the values");
  for (const Conf *conf : {&whole, &redacted}) fuzz::judge_faults(*conf, lines.size(), longest);
  must(whole.stop_signal >= 1 && whole.stop_signal <= 64 && whole.umask <= 0777, "numbers are within their ranges");
  fuzz::judge_service(whole);
  must(!whole.usable() || ((whole.dir.starts_with('/') || whole.dir.starts_with("%h")) && !whole.start.empty()), "a conf that can be used has what a daemon needs");
  fuzz::judge_command(whole);
  (void)host_matches(whole.hosts, "web1.example.org");
  return 0;
}
