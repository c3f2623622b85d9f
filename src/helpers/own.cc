// Opens an owner's directories without ever following a link that he, or anybody, put there. Runs as the owner.
#include "own.hh"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace dm {

bool undumpable() { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0; }

bool no_new_privileges() { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0; }

bool parse_decimal(std::string_view text, std::uint32_t most, std::uint32_t &number) {
  if (text.empty() || text.size() > 10) return false;
  std::uint64_t sum = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    sum = sum * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (sum > most) return false;
  number = static_cast<std::uint32_t>(sum);
  return true;
}

bool same_file(int a, int b) {
  struct stat first {}, second {};
  return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

Fd open_home(const char *home) { return Fd(open(home, O_PATH | O_DIRECTORY | O_CLOEXEC)); }

Fd open_beneath(int at, const char *name, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return Fd(static_cast<int>(syscall(SYS_openat2, at, name, &how, sizeof how)));
}

OwnDirectory open_own_directory(int at, const char *name, bool create) {
  OwnDirectory out;
  const auto fail = [&out](BookProblem problem, std::uint32_t detail = 0) {
    out.fd.reset();
    out.problem = problem;
    out.detail = detail;
  };
  if (create && mkdirat(at, name, 0700) != 0 && errno != EEXIST) {
    fail(BookProblem::unreadable, static_cast<std::uint32_t>(errno));
    return out;
  }
  out.fd = open_beneath(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
  if (!out.fd) {
    const int error = errno;
    struct stat link {};
    // With O_DIRECTORY the kernel calls a link ENOTDIR. Nothing hangs on this but the words.
    const bool is_link = fstatat(at, name, &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode);
    if (error == ENOENT) fail(BookProblem::missing);
    else if (is_link) fail(BookProblem::symlink);
    else if (error == ENOTDIR) fail(BookProblem::not_regular);
    else fail(BookProblem::unreadable, static_cast<std::uint32_t>(error));
    return out;
  }
  struct stat info {};
  if (fstat(out.fd.get(), &info) != 0) fail(BookProblem::unreadable, static_cast<std::uint32_t>(errno));
  else if (info.st_uid != geteuid()) fail(BookProblem::not_owner, info.st_uid);
  else if ((info.st_mode & 022) != 0) fail(BookProblem::writable, info.st_mode & 07777);
  return out;
}

}  // namespace dm
