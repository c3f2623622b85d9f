// Changes a conf in its place, whole or not at all. The rights of its owner, who is the caller.
#include "dmctl/conf_edit.hh"

#include "dmctl/judge.hh"
#include "dmctl/own_confs.hh"
#include "helpers/own.hh"
#include "helpers/scan_file.hh"
#include "lib/book_words.hh"
#include "lib/conf_line.hh"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::string_view key = "autostart";
constexpr bool unsaid = true;  // what holds without such a line

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// Nobody wrote it since `was`, and it is still that file.
bool is_same(int daemons, const std::string &file, const struct stat &was) {
  struct stat now;
  return ::fstatat(daemons, file.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == was.st_dev && now.st_ino == was.st_ino &&
         now.st_size == was.st_size && now.st_mtim.tv_sec == was.st_mtim.tv_sec && now.st_mtim.tv_nsec == was.st_mtim.tv_nsec;
}

// "" where `text` has taken the file's place. A name with a dot in front is no conf to anybody.
std::string replace(int daemons, const std::string &file, std::string_view text, const struct stat &was) {
  const std::string fresh = fmt::format(".{}.{}", file, ::getpid());
  const Fd out = open_beneath(daemons, fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!out) return fmt::format("cannot write beside it: {}", errno_words(errno));
  std::string problem;
  if (!write_all(out.get(), text) || (::fchown(out.get(), static_cast<uid_t>(-1), was.st_gid) != 0) ||
      ::fchmod(out.get(), was.st_mode & 07777) != 0 || ::fsync(out.get()) != 0)
    problem = fmt::format("cannot write it as it is to be: {}", errno_words(errno));
  else if (!is_same(daemons, file, was)) problem = "somebody else changes it just now; try again";
  else if (::renameat(daemons, fresh.c_str(), daemons, file.c_str()) != 0)
    problem = fmt::format("cannot put the new one in its place: {}", errno_words(errno));
  if (!problem.empty()) ::unlinkat(daemons, fresh.c_str(), 0);
  return problem;
}

}  // namespace

std::string with_autostart(std::string_view text, bool on) {
  const std::string_view value = on ? "yes" : "no";
  std::string out;
  std::string_view rest = text;
  if (rest.starts_with(utf8_mark)) out = utf8_mark, rest.remove_prefix(utf8_mark.size());
  bool found = false, carriage = false, ended = true;
  while (!rest.empty()) {
    ended = rest.find('\n') != rest.npos;
    const std::string_view whole = take_line(rest);
    const ConfLine line = split_line(whole);
    carriage = whole.ends_with('\r');
    if (line.kind == LineKind::setting && line.key == key) {
      found = true;
      out.append(whole.substr(0, line.value_at)).append(value).append(whole.substr(line.value_at + line.value.size()));
    } else out += whole;
    if (ended) out += '\n';
  }
  if (found || on == unsaid) return out;
  const std::string_view end = carriage ? "\r\n" : "\n";
  if (!ended) out += end;
  return out.append(key).append("=").append(value).append(end);
}

Edit edit_autostart(int daemons, const std::string &path, const std::string &name, const std::string &owner, bool on) {
  const std::string file = name + std::string(conf_suffix), whole = path + "/" + file;
  Fd opened = open_beneath(daemons, file.c_str(), own_file_flags);
  struct stat was {};
  const bool known = opened && ::fstat(opened.get(), &was) == 0;
  if (opened && !known) return {false, fmt::format("{}: {}", whole, errno_words(errno))};
  const OwnFile read = read_own_file(std::move(opened), most_conf_bytes, most_conf_bytes);
  if (read.problem != BookProblem::none) return {false, describe_book_problem(read.problem, read.detail, whole, owner)};
  const std::string text = with_autostart(read.text, on);
  if (text == read.text) return {};
  const std::string problem = replace(daemons, file, text, was);
  return {problem.empty(), problem.empty() ? "" : fmt::format("{}: {}. It is as it was", whole, problem)};
}

}  // namespace dm::dmctl
