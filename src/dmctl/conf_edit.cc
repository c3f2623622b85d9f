// Changes a conf in its place, whole or not at all. The rights of its owner, who is the caller.
#include "dmctl/conf_edit.hh"

#include "dmctl/judge.hh"
#include "dmctl/own_confs.hh"
#include "dmctl/place.hh"
#include "helpers/own.hh"
#include "helpers/scan_file.hh"
#include "lib/book_words.hh"
#include "lib/conf_line.hh"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::string_view key = "autostart";
constexpr bool unsaid = true;  // what holds without such a line

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
  const int error = place_file(daemons, file, text, was.st_mode & 07777, was.st_gid, Over::the_old, &was);
  if (error == 0) return {true, ""};
  return {false, fmt::format("{}: {}. It is as it was", whole,
                             error == ESTALE ? "somebody else changes it just now; try again"
                                             : fmt::format("cannot write it as it is to be: {}", errno_words(error)))};
}

}  // namespace dm::dmctl
