// Looks at what a conf names: its directory, its programs, its paths. The rights of the caller; nothing is opened or executed.
#include "dmctl/lint.hh"

#include "helpers/run_path.hh"
#include "lib/book_words.hh"
#include "lib/conf_line.hh"
#include "lib/conf_parser.hh"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::string_view user_path = "/usr/local/bin:/usr/bin:/bin";  // as dm-run has it
constexpr std::string_view root_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::array<std::string_view, 5> commands{"start", "before", "stop", "reload", "after_exit"};

// Where a key's value stands.
struct Setting {
  std::string_view key, value;
  std::uint32_t line = 0;
  std::size_t column = 0;  // from 1
};

enum class Look { fine, missing, directory, not_executable, hidden };

class Linter {
public:
  Linter(const Conf &conf, std::string_view text, const Meanings &meanings);
  void look();
  std::vector<ConfFault> warnings;

private:
  void find_settings(std::string_view text);
  void look_at_dir(const Setting &setting);
  void look_at_program(const Setting &setting);
  void look_in_path(const Setting &setting, const Program &program, const std::string &name);
  void look_at_output(const Setting &setting);
  void look_at_user(const Setting &setting);
  void look_at_words(const Setting &setting);
  void say_program(const Setting &setting, const Program &program, const std::string &path, Look look);
  [[nodiscard]] Look look_at(const std::string &path) const;
  [[nodiscard]] std::string in_dir(std::string_view path) const {
    return path.starts_with('/') ? std::string(path) : dir_ + "/" + std::string(path);
  }
  [[nodiscard]] std::string search_path() const;
  void warn(const Setting &setting, std::size_t offset, std::string text) {
    warnings.push_back({setting.line, static_cast<std::uint32_t>(setting.column + offset), true, std::move(text)});
  }

  Conf conf_;
  const Meanings meanings_;
  const bool own_;  // it runs as the caller, whose rights say what it will find
  std::vector<Setting> settings_;
  std::string dir_;  // where it can be entered
};

Linter::Linter(const Conf &conf, std::string_view text, const Meanings &meanings)
    : conf_(conf), meanings_{meanings.name, meanings.owner, meanings.home, conf.instances > 0 ? 1U : 0U},
      own_(conf.user.empty() || conf.user == meanings.owner) {
  find_settings(text);
  expand(conf_, meanings_);
}

void Linter::find_settings(std::string_view text) {
  if (text.starts_with(utf8_mark)) text.remove_prefix(utf8_mark.size());
  for (std::uint32_t number = 1; !text.empty(); number++) {
    const ConfLine line = split_line(take_line(text));
    if (line.kind == LineKind::setting && !line.value.empty()) settings_.push_back({line.key, line.value, number, line.value_at + 1});
  }
}

// Where the file is missing, errno says why it is taken for that. What another user will find there is unknown where the caller
// may not look.
Look Linter::look_at(const std::string &path) const {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno == ENOENT || errno == ENOTDIR || own_ ? Look::missing : Look::hidden;
  if (S_ISDIR(info.st_mode)) return Look::directory;
  const bool executable = own_ ? ::access(path.c_str(), X_OK) == 0 : (info.st_mode & 0111U) != 0;
  return executable ? Look::fine : Look::not_executable;
}

std::string Linter::search_path() const {
  for (const auto &[name, value] : conf_.exports)
    if (name == "PATH") return value;
  if (!conf_.path.empty()) return conf_.path;
  return std::string((conf_.user.empty() ? meanings_.owner : std::string_view(conf_.user)) == "root" ? root_path : user_path);
}

void Linter::look_at_dir(const Setting &setting) {
  const PathFault fault = find_blocked(conf_.dir, false);
  if (fault.bytes == 0) {
    dir_ = conf_.dir;
    return;
  }
  const std::string at = conf_.dir.substr(0, fault.bytes);
  if (fault.errno_value == ENOENT)
    warn(setting, 0, fmt::format("found dir={}, and there is no {}; expected a directory: make it (mkdir -p), or mend the path",
                                 setting.value, at));
  else if (fault.errno_value == ENOTDIR)
    warn(setting, 0, fmt::format("found dir={}, and {} is no directory; expected one: mend the path", setting.value, at));
  else if (own_)
    warn(setting, 0, fmt::format("found dir={}, and {} cannot be entered: {}; expected a directory that {} may enter: chmod u+x it, or name "
                                 "another",
                                 setting.value, at, errno_words(fault.errno_value), meanings_.owner));
}

void Linter::say_program(const Setting &setting, const Program &program, const std::string &path, Look look) {
  const std::string found = "found " + quote(program.name) + ", and ";
  switch (look) {
  case Look::fine:
  case Look::hidden: return;
  case Look::directory: return warn(setting, program.at, found + path + " is a directory; expected a program: name the file in it");
  case Look::not_executable:
    return warn(setting, program.at,
                found + path + " is not executable; expected a program: chmod +x it, or name its interpreter before it");
  case Look::missing: break;
  }
  const std::string name = expand(program.name, meanings_);
  const bool root_meant = !name.starts_with('/') && !name.starts_with('.') && look_at("/" + name) == Look::fine;
  warn(setting, program.at, found + "there is no " + path + "; expected a program: " +
                                (root_meant ? "did you mean /" + name + "?" : std::string("mend the path, or put the file there")));
}

void Linter::look_in_path(const Setting &setting, const Program &program, const std::string &name) {
  const std::string path = search_path();
  Look seen = Look::missing;
  std::string where;
  for (std::string_view rest = path; seen != Look::fine;) {
    const std::size_t colon = rest.find(':');
    const std::string file = in_dir(std::string(rest.substr(0, colon)) + "/" + name);
    const Look look = look_at(file);
    if (look == Look::hidden) return;
    if (look == Look::fine) return;
    if (look == Look::not_executable) seen = look, where = file;
    if (colon == rest.npos) break;
    rest.remove_prefix(colon + 1);
  }
  if (seen == Look::not_executable) return say_program(setting, program, where, seen);
  const bool secret = std::any_of(conf_.exports.begin(), conf_.exports.end(), [](const auto &one) { return one.first == "PATH"; });
  const bool beside = !dir_.empty() && look_at(dir_ + "/" + name) == Look::fine;
  warn(setting, program.at, fmt::format("found {}, which is in no directory of PATH ({}); expected a program: {}", quote(name),
                                        secret ? "as the export sets it" : path,
                                        beside ? "write ./" + name + " for the one in dir" : "install it, write its whole path, or set path="));
}

void Linter::look_at_program(const Setting &setting) {
  const std::optional<Program> program = program_of(setting.value);
  if (!program) return;
  const std::string name = expand(program->name, meanings_);
  if (name.find_first_of(" \t") != name.npos) return;
  if (name.find('/') == name.npos) return look_in_path(setting, *program, name);
  if (dir_.empty() && !name.starts_with('/')) return;
  const std::string path = in_dir(name);
  say_program(setting, *program, path, look_at(path));
}

// A word such as srv/site/app.py that is nothing from dir on, and a file from / on.
void Linter::look_at_words(const Setting &setting) {
  std::vector<std::string> words;
  if (dir_.empty() || !split_command(setting.value, words)) return;
  for (std::size_t i = 1; i < words.size(); i++) {
    std::string_view word = words[i];
    if (const std::size_t equals = word.find('='); word.starts_with('-') && equals != word.npos) word.remove_prefix(equals + 1);
    if (word.empty() || word.find('/') == word.npos || std::string_view("/.-%").find(word[0]) != std::string_view::npos) continue;
    struct stat info {};
    const std::string name = expand(word, meanings_);
    if (::lstat((dir_ + "/" + name).c_str(), &info) == 0 || errno != ENOENT || ::lstat(("/" + name).c_str(), &info) != 0) continue;
    const std::size_t at = setting.value.find(word);
    warn(setting, at == setting.value.npos ? 0 : at,
         fmt::format("found {}, which is not there from dir on, and is from / on; expected a whole path: write /{}", quote(word), name));
  }
}

void Linter::look_at_output(const Setting &setting) {
  const std::string words = output_words(std::string(meanings_.home), conf_.log);
  if (!words.empty()) warn(setting, 0, "found " + quote(setting.value) + ", and " + words);
}

void Linter::look_at_user(const Setting &setting) {
  const std::string words = user_words(meanings_.owner, conf_.user);
  if (!words.empty()) warn(setting, 0, fmt::format("found user={}, and {}", setting.value, words));
}

void Linter::look() {
  for (const Setting &setting : settings_)
    if (setting.key == "dir" && !conf_.dir.empty()) look_at_dir(setting);
    else if (setting.key == "output") look_at_output(setting);
    else if (setting.key == "user") look_at_user(setting);
  for (const Setting &setting : settings_) {
    if (std::find(commands.begin(), commands.end(), setting.key) == commands.end()) continue;
    if (setting.key == "reload" && conf_.reload_signal != 0) continue;
    std::size_t at = 0;
    if (setting.key == "start")
      if (std::string words = background_words(setting.value, at); !words.empty()) warn(setting, at, std::move(words));
    look_at_program(setting);
    look_at_words(setting);
  }
}

}  // namespace

std::optional<Program> program_of(std::string_view command) {
  std::size_t at = command.find_first_not_of(" \t");
  if (at == command.npos) return std::nullopt;
  const auto word_at = [&] { return command.substr(at, std::min(command.find_first_of(" \t;&|<>()", at), command.size()) - at); };
  std::string_view word = word_at();
  if (word == "exec") {
    at = command.find_first_not_of(" \t", at + word.size());
    if (at == command.npos) return std::nullopt;
    word = word_at();
  }
  const std::size_t behind = command.find_first_not_of(" \t", at + word.size());
  if (behind != command.npos && command[behind] == '(') return std::nullopt;  // a function of the shell
  std::vector<std::string> words;
  if (!split_command(word, words) || words.size() != 1) return std::nullopt;
  return Program{at, word};
}

std::vector<ConfFault> lint(const Conf &conf, std::string_view text, const Meanings &meanings) {
  if (char host[256] = ""; ::gethostname(host, sizeof host - 1) == 0 && !host_matches(conf.hosts, host)) return {};  // it runs elsewhere
  Linter linter(conf, text, meanings);
  linter.look();
  std::stable_sort(linter.warnings.begin(), linter.warnings.end(),
                   [](const auto &a, const auto &b) { return std::pair(a.line, a.column) < std::pair(b.line, b.column); });
  return std::move(linter.warnings);
}

}  // namespace dm::dmctl
