// Runs a built helper as an unassigned user, with descriptors at 3 and 4, the way the monitor does. Needs root.
#pragma once

#include <doctest/doctest.h>

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "lib/book.hh"
#include "lib/fd.hh"

namespace dm::test {

inline constexpr uid_t owner_uid = 61001;  // nobody has it
inline constexpr uid_t other_uid = 61002;
inline constexpr gid_t target_gid = 61003;

// A home of owner_uid's that goes away with the object.
class Home {
public:
  Home() {
    REQUIRE_MESSAGE(geteuid() == 0, "these tests become other users: run them as root");
    char name[] = "/tmp/dm-home-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
    REQUIRE(chown(name, owner_uid, owner_uid) == 0);
  }
  ~Home() { (void)!std::system(("rm -rf " + path_).c_str()); }
  Home(const Home &) = delete;
  Home &operator=(const Home &) = delete;

  [[nodiscard]] std::string at(const std::string &name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string &path() const { return path_; }

  void directory(const std::string &name, mode_t mode = 0700, uid_t uid = owner_uid) const {
    REQUIRE(mkdir(at(name).c_str(), 0700) == 0);
    own(name, mode, uid);
  }
  void file(const std::string &name, std::string_view text, mode_t mode = 0600, uid_t uid = owner_uid) const {
    const Fd fd(open(at(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    REQUIRE(fd);
    REQUIRE(write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    own(name, mode, uid);
  }
  void conf(const std::string &name, std::string_view text) const { file(".daemon-manager/daemons/" + name, text); }
  void daemons() const {
    directory(".daemon-manager");
    directory(".daemon-manager/daemons");
  }
  void own(const std::string &name, mode_t mode, uid_t uid) const {
    REQUIRE(chown(at(name).c_str(), uid, uid) == 0);
    REQUIRE(chmod(at(name).c_str(), mode) == 0);
  }

private:
  std::string path_;
};

inline Fd memfd() {
  Fd fd(memfd_create("book", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(fd);
  return fd;
}

inline std::string contents(int fd) {
  struct stat info {};
  REQUIRE(fstat(fd, &info) == 0);
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  REQUIRE(pread(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  return text;
}

inline std::string slurp(const std::string &path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd ? contents(fd.get()) : std::string();
}

// Starts the helper whose path is in the environment variable (the build sets it) as `uid`, executed by descriptor; with `sockets`
// from 5 on, and with `gid`, where it is not 0, in the place of the same number.
inline pid_t start_helper(const char *variable, std::vector<std::string> arguments, uid_t uid, int fd3, int fd4 = -1,
                          int output = -1, const std::vector<int> &sockets = {}, gid_t gid = 0) {
  const char *path = getenv(variable);
  REQUIRE_MESSAGE(path != nullptr, variable);
  const Fd program(open(path, O_PATH | O_CLOEXEC));
  REQUIRE(program);
  std::vector<char *> argv = {const_cast<char *>("helper")};
  for (std::string &one : arguments) argv.push_back(one.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid != 0) return pid;
  const int moved3 = fcntl(fd3, F_DUPFD_CLOEXEC, 64), moved4 = fd4 < 0 ? -1 : fcntl(fd4, F_DUPFD_CLOEXEC, 64);
  const int moved_program = fcntl(program.get(), F_DUPFD_CLOEXEC, 64);
  const int null = fcntl(open("/dev/null", O_RDWR | O_CLOEXEC), F_DUPFD_CLOEXEC, 64);
  const int out = output < 0 ? null : fcntl(output, F_DUPFD_CLOEXEC, 64);
  std::vector<int> moved;
  for (const int one : sockets) moved.push_back(fcntl(one, F_DUPFD_CLOEXEC, 64));
  dup2(null, 0);
  dup2(out, 1);
  dup2(out, 2);
  dup2(moved3, 3);
  if (moved4 >= 0) dup2(moved4, 4);
  close_range(5, ~0U, CLOSE_RANGE_CLOEXEC);
  dup2(null, 20);  // one that somebody forgot to close
  for (std::size_t i = 0; i < moved.size(); i++) dup2(moved[i], 5 + static_cast<int>(i));
  if (gid == 0) gid = uid;
  if (setgroups(0, nullptr) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) _exit(99);
  char *environment[] = {nullptr};
  syscall(SYS_execveat, moved_program, "", argv.data(), environment, AT_EMPTY_PATH);
  _exit(98);
}

// Its exit code, or -signal.
inline int end_of(pid_t pid) {
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// A book with these confs, as dm-scan would have written it.
inline Fd make_book(const std::vector<std::pair<std::string, std::string>> &confs) {
  std::string table, texts;
  const std::size_t texts_at = sizeof(BookHeader) + confs.size() * sizeof(BookEntry);
  for (const auto &[name, text] : confs) {
    BookEntry entry{};
    memcpy(entry.name, name.data(), name.size());
    entry.text_at = static_cast<std::uint32_t>(texts_at + texts.size());
    entry.text_size = static_cast<std::uint32_t>(text.size());
    table.append(reinterpret_cast<const char *>(&entry), sizeof entry);
    texts += text;
  }
  const BookHeader header{book_magic, BookProblem::none, 0, 0, static_cast<std::uint32_t>(confs.size()),
                          static_cast<std::uint32_t>(texts_at + texts.size())};
  Fd fd = memfd();
  const std::string book = std::string(reinterpret_cast<const char *>(&header), sizeof header) + table + texts;
  REQUIRE(write(fd.get(), book.data(), book.size()) == static_cast<ssize_t>(book.size()));
  return fd;
}

}  // namespace dm::test
