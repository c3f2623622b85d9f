// Writes a file beside its place and moves it there. The caller's privilege.
#include "dmctl/place.hh"

#include "lib/fd.hh"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

int write_text(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(file, text.data(), text.size());
    if (n >= 0) text.remove_prefix(static_cast<std::size_t>(n));
    else if (errno != EINTR) return errno;
  }
  return ::fsync(file) == 0 ? 0 : errno;
}

// Nobody wrote it since `was`, and it is still that file.
bool is_same(int directory, const std::string &name, const struct stat &was) {
  struct stat now;
  return ::fstatat(directory, name.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == was.st_dev && now.st_ino == was.st_ino &&
         now.st_size == was.st_size && now.st_mtim.tv_sec == was.st_mtim.tv_sec && now.st_mtim.tv_nsec == was.st_mtim.tv_nsec;
}

int give_name(int directory, const std::string &from, const std::string &to, Over over) {
  if (over == Over::the_old) return ::renameat(directory, from.c_str(), directory, to.c_str()) == 0 ? 0 : errno;
  if (::renameat2(directory, from.c_str(), directory, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL) return errno;
  // A file system that cannot do that, such as NFS, can link.
  if (::linkat(directory, from.c_str(), directory, to.c_str(), 0) != 0) return errno;
  ::unlinkat(directory, from.c_str(), 0);
  return 0;
}

}  // namespace

int place_file(int directory, const std::string &name, std::string_view text, mode_t mode, gid_t group, Over over, const struct stat *was) {
  const std::string beside = fmt::format(".{}.{}.new", name, ::getpid());
  ::unlinkat(directory, beside.c_str(), 0);  // of one of the same pid that was killed
  const Fd file(::openat(directory, beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return errno;
  int error = write_text(file.get(), text);
  // The group first: where it cannot be kept, the mode still fits, for nobody but the owner may write anyhow.
  if (error == 0 && group != static_cast<gid_t>(-1) && ::fchown(file.get(), static_cast<uid_t>(-1), group) != 0 && (errno != EPERM || was != nullptr))
    error = errno;
  if (error == 0 && ::fchmod(file.get(), mode) != 0) error = errno;
  if (error == 0 && was != nullptr && !is_same(directory, name, *was)) error = ESTALE;
  if (error == 0) error = give_name(directory, beside, name, over);
  if (error != 0) ::unlinkat(directory, beside.c_str(), 0);
  else ::fsync(directory);
  return error;
}

}  // namespace dm::dmctl
