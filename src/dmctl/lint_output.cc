// Looks at the place that output= names. The rights of the caller; nothing is opened but as a place to look from, nothing made.
#include "dmctl/lint.hh"
#include "helpers/log_place.hh"
#include "lib/book_words.hh"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

std::string directory_words(const OwnDirectory &place, const std::string &directory) {
  const BookProblem problem = place.problem;
  if (problem == BookProblem::missing) return fmt::format("there is no {}; expected a directory: make it (mkdir -p), or mend the path", directory);
  if (problem == BookProblem::symlink) return fmt::format("a symbolic link is in {}; expected none: write the path where it leads", directory);
  if (problem == BookProblem::not_regular) return fmt::format("{} is no directory; expected one: mend the path", directory);
  if (problem == BookProblem::not_owner)
    return fmt::format("{} belongs to uid {}; expected a directory of your own, or root's: name another", directory, place.detail);
  if (problem == BookProblem::writable)
    return fmt::format("others may write to {} (mode {:o}); expected that they may not: chmod go-w it, or name another", directory, place.detail);
  return fmt::format("{} cannot be entered: {}; expected that you may: name another", directory, errno_words(static_cast<int>(place.detail)));
}

}  // namespace

std::string output_words(const std::string &home, const LogTerms &log) {
  if (log.output == Output::syslog && ::access("/dev/log", F_OK) != 0 && errno == ENOENT)
    return "there is no /dev/log; expected that of a syslogd: start one, or write output=log";
  if (log.output != Output::file) return {};
  const std::string &path = log.file;
  const OwnDirectory place = open_log_directory(home, path);
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == 0 ? "/" : path.substr(0, slash), name = path.substr(slash + 1);
  if (!place.fd) return directory_words(place, directory);
  struct stat info {};
  if (::fstatat(place.fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return errno != ENOENT || ::faccessat(place.fd.get(), ".", W_OK, AT_EACCESS) == 0
               ? std::string()
               : fmt::format("{} is not there, and you may not write to {}; expected one of the two: name another, or ask root to make the file and give it to you (touch, chown)", name, directory);
  if (S_ISLNK(info.st_mode)) return fmt::format("{} is a symbolic link; expected a file: name that to which it leads", path);
  if (!S_ISREG(info.st_mode)) return fmt::format("{} is no plain file; expected one, or nothing: name another{}", path, path == "/dev/null" ? ", or write output=discard" : "");
  if (info.st_uid != ::geteuid()) return fmt::format("{} belongs to uid {}; expected a file of your own: name another", path, info.st_uid);
  if (info.st_nlink != 1) return fmt::format("{} has a second name (a hard link); expected one: name another", path);
  if (::faccessat(place.fd.get(), name.c_str(), W_OK, AT_EACCESS) != 0) return fmt::format("you may not write to {}; expected that you may: chmod u+w it", path);
  return {};
}

}  // namespace dm::dmctl
