// Knows commands that put themselves into the background. The caller's privilege; no I/O.
#include "dmctl/lint.hh"

#include "lib/conf_line.hh"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <span>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

enum class Habit : std::uint8_t {
  always,  // nothing keeps it in the foreground; `options` is empty
  unless,  // it goes unless one of the options is there
  with,    // it goes with one of the options
};

// What the programs' own manuals say (nginx.org/en/docs, and the man pages of Debian 12 by the name of the program). Options
// separated by a comma; one with a blank in it is that text, anywhere in the command. Programs whose configuration alone
// decides are not here, and neither are options that only some versions have.
constexpr struct {
  std::string_view program;
  Habit habit;
  std::string_view options, remedy;
} programs[] = {
    {"nginx", Habit::unless, "daemon off,-t,-T,-v,-V", "write start=nginx -g 'daemon off;', unless its own configuration says daemon off"},
    {"apache2", Habit::unless, "-DFOREGROUND,-D FOREGROUND,-X,-t,-v,-V", "add -DFOREGROUND"},
    {"httpd", Habit::unless, "-DFOREGROUND,-D FOREGROUND,-X,-t,-v,-V,-f", "add -DFOREGROUND"},
    {"lighttpd", Habit::unless, "-D,-t,-tt,-v,-V", "add -D"},
    {"php-fpm", Habit::unless, "-F,--nodaemonize,-t,-v", "add --nodaemonize, unless its own configuration says daemonize = no"},
    {"sshd", Habit::unless, "-D,-d,-i,-t,-T", "add -D"},
    {"deluged", Habit::unless, "-d,--do-not-daemonize", "add --do-not-daemonize"},
    {"transmission-daemon", Habit::unless, "-f,--foreground,-d,--dump-settings", "add --foreground"},
    {"supervisord", Habit::unless, "-n,--nodaemon,-v,--version", "add --nodaemon, unless its own configuration says nodaemon=true"},
    {"varnishd", Habit::unless, "-F,-d,-C,-V,-x", "add -F"},
    {"proftpd", Habit::unless, "-n,--nodaemon,-t,-v", "add --nodaemon"},
    {"redis-server", Habit::with, "--daemonize yes", "delete --daemonize yes"},
    {"gunicorn", Habit::with, "-D,--daemon", "delete it"},
    {"uwsgi", Habit::with, "-d,--daemonize", "delete it"},
    {"unicorn", Habit::with, "-D,--daemonize", "delete it"},
    {"thin", Habit::with, "-d,--daemonize", "delete it"},
    {"memcached", Habit::with, "-d,--daemon", "delete it"},
    {"mongod", Habit::with, "--fork", "delete it"},
    {"haproxy", Habit::with, "-D", "delete it"},
    {"mosquitto", Habit::with, "-d,--daemon", "delete it"},
    {"openvpn", Habit::with, "--daemon", "delete it"},
    {"mysqld", Habit::with, "--daemonize", "delete it"},
    {"mariadbd", Habit::with, "--daemonize", "delete it"},
    {"bitcoind", Habit::with, "-daemon,--daemon,-daemonwait", "delete it"},
    {"icecast2", Habit::with, "-b", "delete it"},
    {"setsid", Habit::with, "-f,--fork", "delete it"},
    {"screen", Habit::with, "-d -m,-dm,-dmS", "name the program itself; its output is kept with output=log"},
    {"tmux", Habit::with, "-d", "name the program itself; its output is kept with output=log"},
    {"start-stop-daemon", Habit::with, "-b,--background", "name the program itself, and user= where it is another's"},
    {"daemonize", Habit::always, "", "name the program itself"},
    {"pg_ctl", Habit::always, "", "name postgres itself, with -D and its directory"},
    {"apachectl", Habit::unless, "-DFOREGROUND,-D FOREGROUND", "name apache2 itself, with -DFOREGROUND"},
    {"apache2ctl", Habit::unless, "-DFOREGROUND,-D FOREGROUND", "name apache2 itself, with -DFOREGROUND"},
};

// Words of the one command that it starts with: up to what a shell would end it at.
std::vector<std::string_view> words_of(std::string_view command) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < command.size();) {
    at = command.find_first_not_of(" \t", at);
    if (at == command.npos) break;
    const std::size_t end = std::min(command.find_first_of(" \t", at), command.size());
    const std::string_view word = command.substr(at, end - at);
    if (word.find_first_of(";|&#") != word.npos) break;
    words.push_back(word);
    at = end;
  }
  return words;
}

// Where the option is: offset in the command, npos where it is not. `lenient`: a letter in a cluster of letters (-De) counts too.
std::size_t find_option(std::string_view command, std::span<const std::string_view> words, std::string_view option, bool lenient) {
  if (option.find(' ') != option.npos) return command.find(option);
  for (const std::string_view word : words) {
    const bool letters = word.size() > 2 && word[0] == '-' && word[1] != '-';
    const bool cluster = lenient && letters && option.size() == 2 && word.find(option[1]) != word.npos;
    const bool valued = option.starts_with("--") && word.starts_with(option) && word.substr(option.size()).starts_with('=');
    if (word == option || valued || cluster) return static_cast<std::size_t>(word.data() - command.data());
  }
  return command.npos;
}

// The name that the table has: without directories, and without a version behind it (php-fpm8.2).
std::string_view plain_name(std::string_view program) {
  program = program.substr(program.rfind('/') + 1);
  if (program.starts_with("php-fpm")) return program.substr(0, program.find_last_not_of("0123456789.") + 1);
  return program;
}

std::string ampersand(std::string_view command, std::size_t &at) {
  const std::string_view text = trim(command);
  if (!text.ends_with('&') || text.ends_with("&&") || text.ends_with("\\&")) return {};
  at = static_cast<std::size_t>(text.data() - command.data()) + text.size() - 1;
  return "found & at the end, which puts the command into the background, where the manager takes it for ended; expected one that "
         "stays: delete the &";
}

}  // namespace

std::string background_words(std::string_view command, std::size_t &at) {
  if (std::string found = ampersand(command, at); !found.empty()) return found;
  const std::optional<Program> program = program_of(command);
  if (!program) return {};
  const std::string_view name = plain_name(program->name);
  const auto known = std::find_if(std::begin(programs), std::end(programs), [&](const auto &one) { return one.program == name; });
  if (known == std::end(programs)) return {};
  std::vector<std::string_view> words = words_of(command.substr(program->at));
  if (!words.empty()) words.erase(words.begin());
  std::size_t where = command.npos;
  std::string_view given;
  for (std::string_view rest = known->options; !rest.empty() && where == command.npos;) {
    bool more = false;
    given = take_item(rest, more);
    where = find_option(command, words, given, known->habit == Habit::unless);
    if (!more) break;
  }
  if ((known->habit == Habit::with) == (where == command.npos)) return {};
  const bool with = known->habit == Habit::with;
  at = with ? where : program->at;
  return fmt::format("found {}{}, which puts itself into the background, where the manager takes it for ended; expected one that stays: {}",
                     known->program, with ? fmt::format(" with {}", given) : "", known->remedy);
}

}  // namespace dm::dmctl
