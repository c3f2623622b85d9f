// Opens and fills one log file. Everything about it is judged on descriptors. Runs as the owner.
#include "log_file.hh"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "log_place.hh"
#include "log_rotate.hh"

namespace dm {
namespace {

constexpr std::int64_t check_every_ms = 1'000;

// Of these something else may be better in a moment; all others are the owner's doing.
bool passing(int error) {
  return error == ENOSPC || error == EDQUOT || error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO ||
         error == EINTR || error == EAGAIN || error == EBUSY || error == ENOBUFS || error == ESTALE || error == ETIMEDOUT;
}

}  // namespace

LogFile::LogFile(std::string home, const std::string &name, std::string path)
    : home_(std::move(home)), path_(std::move(path)), file_(path_.empty() ? name + ".log" : path_.substr(path_.rfind('/') + 1)) {}

void LogFile::open() {
  // A compressor that begins just now has the descriptor for a moment yet, but not the lock.
  if (fd_) flock(fd_.get(), LOCK_UN);
  fd_.reset();
  state_ = State::refused;
  const auto failed = [this](int error) {
    state_ = passing(error) ? State::waiting : State::refused;
    error_ = error;
  };
  OwnDirectory logs = path_.empty() ? open_logs(home_, true) : open_log_directory(home_, path_);
  if (!logs.fd) return failed(logs.problem == BookProblem::unreadable ? static_cast<int>(logs.detail) : 0);
  // Non-blocking for the open alone: a FIFO in its place must not hang it. Regular files do not care.
  Fd fd = open_beneath(logs.fd.get(), file_.c_str(),
                       O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
  if (!fd) return failed(errno);
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return failed(errno);
  // A second link may be anybody's way to have the lines appended to a file that he could not write.
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || info.st_nlink != 1) return;
  // Where two write, neither could tell after a crash what of it is its own.
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return failed(EBUSY);
  directory_ = std::move(logs.fd);
  fd_ = std::move(fd);
  state_ = State::good;
}

// The owner moved or deleted the file: the next lines belong into a new one.
bool LogFile::replaced() const {
  struct stat mine {}, there {};
  if (fstat(fd_.get(), &mine) != 0) return true;
  if (fstatat(directory_.get(), file_.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) return true;
  return mine.st_dev != there.st_dev || mine.st_ino != there.st_ino;
}

LogFile::State LogFile::look(std::int64_t now_ms, Place &place) {
  if (state_ == State::good && now_ms - checked_ms_ >= check_every_ms) {
    checked_ms_ = now_ms;
    if (replaced()) open();
  }
  if (state_ == State::waiting) open();
  struct stat info {};
  if (state_ != State::good) return state_;
  if (fstat(fd_.get(), &info) != 0) {
    error_ = errno;
    return State::waiting;
  }
  place = {info.st_dev, info.st_ino, info.st_size};
  return state_;
}

bool LogFile::rotate(std::uint32_t keep) {
  // Not a file that the owner has put in its place just now.
  if (state_ != State::good || replaced() || !rotate_log(directory_.get(), file_, keep)) return false;
  open();
  return true;
}

std::size_t LogFile::write(std::string_view text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd_.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error_ = n < 0 ? errno : ENOSPC;
      break;
    }
    done += static_cast<std::size_t>(n);
  }
  return done;
}

}  // namespace dm
