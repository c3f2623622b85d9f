// A log on disk, read in blocks: its end, all of it, and what is written later. The rights of the log's owner.
#include "dmctl/logfile.hh"

#include "dmctl/logsource.hh"
#include "dmctl/oldlogs.hh"
#include "helpers/own.hh"
#include "lib/conf.hh"
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

constexpr std::size_t block = 64 * 1024, most_of_a_line = 64 * 1024;

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

constexpr int directory = O_PATH | O_DIRECTORY | O_CLOEXEC;

OpenedLog open_file(const Fd &at, const std::string &name, uid_t owner) {
  if (!at) return fault_of(errno);
  // O_NONBLOCK: a FIFO put there would otherwise hold us until somebody writes to it.
  Fd file(::openat(at.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) return fault_of(errno);
  struct stat st;
  if (::fstat(file.get(), &st) != 0) return fault_of(errno);
  if (!S_ISREG(st.st_mode) || st.st_uid != owner) return {Fd(), LogFault::not_a_log, 0};
  return {std::move(file), LogFault::none, 0};
}

std::string middle_of(const std::string &folder) { return "/.daemon-manager/" + folder + "/"; }

// The file that `path` names in the directory `folder` of its owner's.
OpenedLog open_in(const std::string &folder, const std::string &path, uid_t owner) {
  const std::string middle = middle_of(folder);
  const std::size_t at = path.rfind(middle);
  if (path.empty() || path[0] != '/' || at == path.npos) return {Fd(), LogFault::not_a_log, 0};
  const std::string home = path.substr(0, at), name = path.substr(at + middle.size());
  if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos) return {Fd(), LogFault::not_a_log, 0};
  const Fd home_fd(::open(home.empty() ? "/" : home.c_str(), directory));
  if (!home_fd) return fault_of(errno);
  const Fd own(::openat(home_fd.get(), ".daemon-manager", directory | O_NOFOLLOW));
  if (!own) return fault_of(errno);
  return open_file(Fd(::openat(own.get(), folder.c_str(), directory | O_NOFOLLOW)), name, owner);
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

}  // namespace

OpenedLog open_log(const std::string &path, uid_t owner) {
  if (path.find(middle_of("logs")) != path.npos) return open_in("logs", path, owner);
  if (!log_path(path)) return {Fd(), LogFault::not_a_log, 0};
  const std::size_t slash = path.rfind('/');
  return open_file(Fd(::open(path.substr(0, slash + 1).c_str(), directory)), path.substr(slash + 1), owner);
}

OpenedLog open_conf(const std::string &path, uid_t owner) { return open_in("daemons", path, owner); }

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
  while (at < end && !ended_) {
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
  const bool lines = by_lines();
  if (!lines && !escaped_) {
    printer_.put(bytes);
    return printer_.good();
  }
  held_ += bytes;
  if (!lines) {
    const std::string text = held_.substr(0, held_.size() - unfinished(held_));
    held_.erase(0, text.size());
    put_escaped(text);
    return printer_.good();
  }
  std::size_t from = 0;
  for (std::size_t end; (end = held_.find('\n', from)) != held_.npos; from = end + 1) put_line(std::string_view(held_).substr(from, end - from));
  held_.erase(0, from);
  // dm-log writes no such line.
  if (held_.size() > most_of_a_line) put_line(std::exchange(held_, {}));
  return printer_.good();
}

void LogCopy::put_line(std::string_view line) {
  if (ended_) return;
  if (filter_ != nullptr && filter_->timed() && (!begun_ || filter_->ends())) {
    std::int64_t time_ns = 0;
    const bool timed = read_stamp(line, time_ns);
    begun_ = begun_ || (timed && time_ns >= filter_->since_ns());
    timeless_ = !timed && !begun_;
    ended_ = timed && time_ns > filter_->until_ns();
    if (!begun_ || ended_) return;
  }
  if (filter_ != nullptr && !filter_->matches(line)) return;
  if (taker_) return taker_(line);
  printer_.put(prefix_);
  if (escaped_) put_escaped(line);
  else printer_.put(line);
  printer_.put("\n");
}

void LogCopy::put_escaped(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\n\t"), text.size());
    printer_.put(escape(text.substr(0, end)));
    if (end < text.size()) printer_.put(text.substr(end, 1));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void LogCopy::finish() {
  const std::string rest = std::exchange(held_, {});
  if (rest.empty()) return;
  if (by_lines()) put_line(rest);
  else printer_.put(escape(rest));
}

LogFollower::LogFollower(LogSource &source, Fd file, off_t at, LogCopy &copy)
    : source_(source), file_(std::move(file)), inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), at_(at), copy_(copy) {
  watch();
}

void LogFollower::watch() {
  if (!inotify_) return;
  if (watch_ >= 0) ::inotify_rm_watch(inotify_.get(), watch_);
  const std::string link = "/proc/self/fd/" + std::to_string(file_.get());
  watch_ = ::inotify_add_watch(inotify_.get(), link.c_str(), IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF);
}

void LogFollower::heard() const {
  char events[4096];
  while (inotify_ && ::read(inotify_.get(), events, sizeof events) > 0) {}
}

bool LogFollower::step() {
  constexpr off_t unlimited = std::numeric_limits<off_t>::max();
  for (;;) {
    if (!copy_.copy(file_.get(), at_, unlimited)) return false;
    struct stat st;
    if (::fstat(file_.get(), &st) != 0) return false;
    OpenedLog now = source_.open();
    const bool another = now.file && !same_file(now.file.get(), file_.get());
    if (st.st_size < at_) at_ = 0;  // truncated: what is there now is new
    else if (another) {
      // Renamed: its last lines may have come between our read and the new file.
      if (!copy_.copy(file_.get(), at_, unlimited) || !copy_between(source_, file_.get(), now.file.get(), copy_)) return false;
      file_ = std::move(now.file);
      at_ = 0;
      watch();
    } else return true;
  }
}

bool follow_logs(std::vector<LogFollower> &logs, Printer &printer) {
  for (;;) {
    bool told = true;
    std::vector<pollfd> on{{printer.out(), 0, 0}};
    for (LogFollower &log : logs) {
      if (!log.step()) return false;
      told = told && log.changes() >= 0;
      on.push_back({log.changes(), POLLIN, 0});
    }
    if (!printer.flush()) return false;
    ::poll(on.data(), on.size(), told ? 1000 : 250);
    if (on[0].revents != 0) return true;
    for (const LogFollower &log : logs) log.heard();
  }
}

}  // namespace dm::dmctl
