// Renames old logs and has them compressed. Runs as the owner.
#include "log_rotate.hh"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

namespace dm {
namespace {

constexpr const char *gz = ".gz";
constexpr int least_nice = 19;

std::string old_log(const std::string &log, std::uint32_t number) { return log + "." + std::to_string(number); }
std::string part_of(const std::string &log) { return log + ".gz.part"; }

bool there(int directory, const std::string &name, struct stat *info = nullptr) {
  struct stat unused;
  return fstatat(directory, name.c_str(), info != nullptr ? info : &unused, AT_SYMLINK_NOFOLLOW) == 0;
}

bool move(int directory, const std::string &from, const std::string &to) {
  return renameat(directory, from.c_str(), directory, to.c_str()) == 0 || errno == ENOENT;
}

// Only a plain file of the owner's is read: a FIFO or somebody else's file would be no log.
Fd open_plain(int directory, const std::string &name, std::uint64_t &inode) {
  struct stat info;
  Fd fd(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != geteuid()) return {};
  inode = info.st_ino;
  return fd;
}

[[noreturn]] void compress(const Fd &from, const Fd &to, pid_t parent) {
  // It goes with dm-log; the next one begins anew. No lock, FIFO or socket of dm-log's may live on in here.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(1);
  if (dup2(from.get(), 0) != 0 || dup2(to.get(), 1) != 1 || syscall(SYS_close_range, 3, ~0U, 0) != 0) _exit(1);
  (void)setpriority(PRIO_PROCESS, 0, least_nice);
  const gzFile out = gzdopen(1, "wb");
  static char block[65536];
  if (out == nullptr) _exit(1);
  ssize_t size;
  while ((size = read(0, block, sizeof block)) > 0)
    if (gzwrite(out, block, static_cast<unsigned>(size)) != size) _exit(1);
  _exit(size == 0 && gzclose(out) == Z_OK ? 0 : 1);
}

}  // namespace

bool rotate_log(int directory, const std::string &log, std::uint32_t keep) {
  if (keep == 0) return unlinkat(directory, log.c_str(), 0) == 0;
  std::uint32_t last = 1;
  const auto used = [&](std::uint32_t number) { return there(directory, old_log(log, number)) || there(directory, old_log(log, number) + gz); };
  while (last < keep && used(last)) last++;
  // The oldest, or those that a smaller log_keep= leaves over.
  for (std::uint32_t number = keep; last == keep && used(number); number++) {
    const std::string name = old_log(log, number);
    if (unlinkat(directory, name.c_str(), 0) != 0 && errno != ENOENT) return false;
    if (unlinkat(directory, (name + gz).c_str(), 0) != 0 && errno != ENOENT) return false;
  }
  for (; last > 1; last--) {
    const std::string from = old_log(log, last - 1), to = old_log(log, last);
    if (!move(directory, from + gz, to + gz) || !move(directory, from, to)) return false;
  }
  return renameat(directory, log.c_str(), directory, old_log(log, 1).c_str()) == 0;
}

bool Compressor::start(int directory, const std::string &log, std::uint32_t keep) {
  std::string name;
  for (std::uint32_t number = 1; number <= keep && name.empty(); number++) {
    const std::string plain = old_log(log, number);
    if (!there(directory, plain)) {
      if (!there(directory, plain + gz)) return false;  // there are no older ones
      continue;
    }
    // Killed between the two: the compressed one is whole.
    if (there(directory, plain + gz)) unlinkat(directory, plain.c_str(), 0);
    else name = plain;
  }
  if (name.empty()) return false;
  const Fd from = open_plain(directory, name, inode_);
  const Fd to(openat(directory, part_of(log).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
  struct stat info;
  if (!from || !to || fstat(to.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink != 1) return false;
  directory_ = Fd(fcntl(directory, F_DUPFD_CLOEXEC, 0));
  if (!directory_) return false;
  const pid_t parent = getpid();
  child_ = fork();
  if (child_ == 0) compress(from, to, parent);
  if (child_ < 0) return false;
  ended_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, child_, 0)));
  log_ = log;
  keep_ = keep;
  return true;
}

void Compressor::finish() {
  int status = 0;
  while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {}
  child_ = -1;
  ended_.reset();
  struct stat info;
  for (std::uint32_t number = 1; status == 0 && number <= keep_; number++) {
    const std::string plain = old_log(log_, number);
    if (!there(directory_.get(), plain, &info) || info.st_ino != inode_) continue;
    if (move(directory_.get(), part_of(log_), plain + gz)) unlinkat(directory_.get(), plain.c_str(), 0);
    return directory_.reset();
  }
  unlinkat(directory_.get(), part_of(log_).c_str(), 0);  // it was too old by then, or could not be compressed
  directory_.reset();
}

}  // namespace dm
