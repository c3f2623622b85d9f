// Reads and judges one file of the owner's. Runs as the owner, in dm-scan.
#include "scan_file.hh"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "lib/conf.hh"
#include "lib/conf_line.hh"

namespace dm {
namespace {

OwnFile refuse(OwnFile file, BookProblem problem, std::uint32_t detail = 0) {
  file.problem = problem;
  file.detail = detail;
  file.text.clear();
  return file;
}

// Reads to the end, which must come within `room` bytes: fstat's size may be out of date by now.
bool read_text(int fd, std::uint32_t room, std::string &text) {
  char chunk[16384];
  for (;;) {
    const ssize_t n = read(fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) return true;
    text.append(chunk, static_cast<std::size_t>(n));
    if (text.size() > room) {
      errno = EFBIG;
      return false;
    }
  }
}

BookProblem of_env_file(BookProblem problem) {
  constexpr std::pair<BookProblem, BookProblem> same[] = {
      {BookProblem::not_owner, BookProblem::env_not_owner},     {BookProblem::writable, BookProblem::env_writable},
      {BookProblem::not_regular, BookProblem::env_not_regular}, {BookProblem::symlink, BookProblem::env_symlink},
      {BookProblem::too_big, BookProblem::env_too_big},         {BookProblem::nul_byte, BookProblem::env_nul_byte}};
  for (const auto &[plain, env] : same)
    if (plain == problem) return env;
  return BookProblem::env_unreadable;
}

// A line NAME=value, with or without export in front, as the export that it means.
ConfLine as_export(std::string_view line, std::string &room) {
  const ConfLine parts = split_line(line);
  if (parts.kind != LineKind::setting) return parts;
  room = "export ";
  room += trim(line);
  return split_line(room);
}

// The variables of the file by name, the last of each; the number of the first line that is none, 0 where there is none.
std::uint32_t read_variables(std::string_view text, std::map<std::string, std::string, std::less<>> &out) {
  if (text.starts_with(utf8_mark)) text.remove_prefix(utf8_mark.size());
  for (std::uint32_t number = 1; !text.empty(); number++) {
    std::string room;
    const ConfLine line = as_export(take_line(text), room);
    if (line.kind == LineKind::blank || line.kind == LineKind::comment) continue;
    if (line.kind != LineKind::exported) return number;
    out[std::string(line.key)] = line.value;
  }
  return 0;
}

}  // namespace

OwnFile read_own_file(Fd fd, std::uint32_t limit, std::uint32_t room) {
  OwnFile file;
  if (!fd) {
    const int error = errno;
    if (error == ELOOP) return refuse(file, BookProblem::symlink);
    if (error == ENXIO) return refuse(file, BookProblem::not_regular);  // a socket
    return refuse(file, BookProblem::unreadable, static_cast<std::uint32_t>(error));
  }
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return refuse(file, BookProblem::unreadable, static_cast<std::uint32_t>(errno));
  file.modified_ns = std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  file.inode = info.st_ino;
  if (!S_ISREG(info.st_mode)) return refuse(file, BookProblem::not_regular);
  if (info.st_uid != geteuid()) return refuse(file, BookProblem::not_owner, info.st_uid);
  if ((info.st_mode & 022) != 0) return refuse(file, BookProblem::writable, info.st_mode & 07777);
  if (info.st_size > static_cast<off_t>(room)) return refuse(file, BookProblem::too_big, limit);
  if (!read_text(fd.get(), room, file.text)) {
    const int error = errno;
    if (error == EFBIG) return refuse(file, BookProblem::too_big, limit);
    return refuse(file, BookProblem::unreadable, static_cast<std::uint32_t>(error));
  }
  if (const std::size_t at = file.text.find('\0'); at != file.text.npos)
    return refuse(file, BookProblem::nul_byte, static_cast<std::uint32_t>(1 + std::count(file.text.begin(), file.text.begin() + static_cast<std::ptrdiff_t>(at), '\n')));
  return file;
}

void add_env_file(BookEntry &entry, std::string &text, const Meanings &meanings, std::uint32_t limit, std::uint32_t room) {
  if (text.find("env_file") == text.npos) return;  // most have none, and need not be parsed here
  const Conf conf = parse_conf(text, false);
  if (conf.env_file.empty()) return;
  const auto fail = [&](BookProblem problem, std::uint32_t detail) {
    entry.problem = problem;
    entry.detail = detail;
    entry.line = conf.env_file_line;
    entry.column = conf.env_file_column;
    text.clear();
  };
  const OwnFile file = read_own_file(Fd(open(expand(conf.env_file, meanings).c_str(), own_file_flags)), limit, room);
  // A change of either is a change of the conf.
  entry.modified_ns ^= file.modified_ns;
  entry.inode ^= file.inode;
  if (file.problem != BookProblem::none) return fail(of_env_file(file.problem), file.detail);
  std::map<std::string, std::string, std::less<>> variables;
  if (const std::uint32_t line = read_variables(file.text, variables); line != 0) return fail(BookProblem::env_bad_line, line);
  for (const auto &[name, value] : conf.exports) variables.erase(name);
  for (const auto &[name, value] : variables) {
    text += "\nexport ";
    text += name;
    text += '=';
    text += value;
  }
  if (text.size() > room) fail(BookProblem::env_too_big, limit);
}

}  // namespace dm
