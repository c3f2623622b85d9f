// A log on disk, read in blocks: its end, all of it, and what is written later. The rights of the log's owner.
#include "dmctl/logfile.hh"

#include "dmctl/oldlogs.hh"
#include "lib/text.hh"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dm::dmctl {
namespace {

constexpr std::size_t block = 64 * 1024;

OpenedLog fault_of(int error) {
  switch (error) {
  case ENOENT: return {Fd(), LogFault::missing, error};
  case EACCES:
  case EPERM: return {Fd(), LogFault::forbidden, error};
  case ELOOP:    // a symbolic link, refused by O_NOFOLLOW
  case ENOTDIR:  // the same on the way
  case ENXIO: return {Fd(), LogFault::not_a_log, error};
  default: return {Fd(), LogFault::failed, error};
  }
}

// The file that `path` names in the directory `folder` of its owner's.
OpenedLog open_in(const std::string &folder, const std::string &path, uid_t owner) {
  const std::string middle = "/.daemon-manager/" + folder + "/";
  const std::size_t at = path.rfind(middle);
  if (path.empty() || path[0] != '/' || at == path.npos) return {Fd(), LogFault::not_a_log, 0};
  const std::string home = path.substr(0, at), name = path.substr(at + middle.size());
  if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos) return {Fd(), LogFault::not_a_log, 0};
  constexpr int directory = O_PATH | O_DIRECTORY | O_CLOEXEC;
  const Fd home_fd(::open(home.empty() ? "/" : home.c_str(), directory));
  if (!home_fd) return fault_of(errno);
  const Fd own(::openat(home_fd.get(), ".daemon-manager", directory | O_NOFOLLOW));
  if (!own) return fault_of(errno);
  const Fd inner(::openat(own.get(), folder.c_str(), directory | O_NOFOLLOW));
  if (!inner) return fault_of(errno);
  // O_NONBLOCK: a FIFO put there would otherwise hold us until somebody writes to it.
  Fd file(::openat(inner.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) return fault_of(errno);
  struct stat st;
  if (::fstat(file.get(), &st) != 0) return fault_of(errno);
  if (!S_ISREG(st.st_mode) || st.st_uid != owner) return {Fd(), LogFault::not_a_log, 0};
  return {std::move(file), LogFault::none, 0};
}

ssize_t read_at(int file, char *to, std::size_t size, off_t at) {
  for (;;) {
    const ssize_t n = ::pread(file, to, size, at);
    if (n >= 0 || errno != EINTR) return n;
  }
}

// Bytes at the end of `text` that start a UTF-8 character and do not end it.
std::size_t unfinished(std::string_view text) {
  const std::size_t most = std::min<std::size_t>(3, text.size());
  for (std::size_t back = 1; back <= most; back++) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0U) == 0x80U) continue;
    const std::size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

// Wakes when the file changes; where the kernel cannot tell (no inotify, a network file system), looks again and again.
class Watch {
public:
  Watch() : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}
  void set(int file) {
    if (!inotify_) return;
    if (watch_ >= 0) ::inotify_rm_watch(inotify_.get(), watch_);
    const std::string link = "/proc/self/fd/" + std::to_string(file);
    watch_ = ::inotify_add_watch(inotify_.get(), link.c_str(), IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF);
  }
  // False when nobody is left who reads `out`.
  bool wait(int out) {
    pollfd on[2] = {{out, 0, 0}, {inotify_.get(), POLLIN, 0}};
    ::poll(on, 2, watch_ >= 0 ? 1000 : 250);
    char events[4096];
    while (inotify_ && ::read(inotify_.get(), events, sizeof events) > 0) {}
    return on[0].revents == 0;
  }

private:
  Fd inotify_;
  int watch_ = -1;
};

}  // namespace

OpenedLog open_log(const std::string &path, uid_t owner) { return open_in("logs", path, owner); }

OpenedLog open_conf(const std::string &path, uid_t owner) { return open_in("daemons", path, owner); }

bool same_file(int a, int b) {
  struct stat one, other;
  return ::fstat(a, &one) == 0 && ::fstat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

off_t start_of_last(int file, off_t size, std::uint64_t &lines) {
  if (lines == 0) return size;
  std::string buffer(block, '\0');
  off_t at = size;
  while (at > 0) {
    const auto want = static_cast<std::size_t>(std::min<off_t>(at, static_cast<off_t>(block)));
    const ssize_t n = read_at(file, buffer.data(), want, at - static_cast<off_t>(want));
    if (n < 0) return -1;
    if (static_cast<std::size_t>(n) < want) return 0;  // truncated under us: what is left is short
    at -= static_cast<off_t>(want);
    for (std::size_t i = want; i-- > 0;) {
      const off_t here = at + static_cast<off_t>(i);
      if (buffer[i] != '\n' || here == size - 1) continue;  // the newline that ends the last line starts none
      if (--lines == 0) return here + 1;
    }
  }
  if (size > 0) lines--;  // the first, before which there is no newline
  return 0;
}

bool LogCopy::copy(int file, off_t &at, off_t end) {
  std::string buffer(block, '\0');
  while (at < end) {
    const auto want = static_cast<std::size_t>(std::min<off_t>(end - at, static_cast<off_t>(block)));
    const ssize_t n = read_at(file, buffer.data(), want, at);
    if (n < 0) return false;
    if (n == 0) break;
    at += n;
    if (!put(std::string_view(buffer).substr(0, static_cast<std::size_t>(n)))) return false;
  }
  return true;
}

bool LogCopy::put(std::string_view bytes) {
  if (!terminal_) {
    printer_.put(bytes);
    return printer_.good();
  }
  const std::string whole = held_ + std::string(bytes);
  std::string_view text = whole;
  held_ = text.substr(text.size() - unfinished(text));
  text.remove_suffix(held_.size());
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\n\t"), text.size());
    printer_.put(escape(text.substr(0, end)));
    if (end < text.size()) printer_.put(text.substr(end, 1));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return printer_.good();
}

void LogCopy::finish() {
  printer_.put(escape(held_));
  held_.clear();
}

bool follow_log(const std::string &path, uid_t owner, Fd file, off_t at, LogCopy &copy, Printer &printer) {
  constexpr off_t unlimited = std::numeric_limits<off_t>::max();
  Watch watch;
  watch.set(file.get());
  for (;;) {
    if (!copy.copy(file.get(), at, unlimited) || !printer.flush()) return false;
    struct stat st;
    if (::fstat(file.get(), &st) != 0) return false;
    if (st.st_size < at) {  // truncated: what is there now is new
      at = 0;
      continue;
    }
    OpenedLog now = open_log(path, owner);
    if (now.file && !same_file(now.file.get(), file.get())) {
      // Renamed: its last lines may have come between our read and the new file.
      if (!copy.copy(file.get(), at, unlimited) || !copy_between(path, owner, file.get(), now.file.get(), copy)) return false;
      file = std::move(now.file);
      at = 0;
      watch.set(file.get());
      continue;
    }
    if (!watch.wait(printer.out())) return true;
  }
}

}  // namespace dm::dmctl
