// Sends lines to syslog as glibc does. Runs as the owner.
#include "log_syslog.hh"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "lib/text.hh"

namespace dm {
namespace {

constexpr int priority = 3 * 8 + 6;            // facility daemon, severity info
constexpr std::size_t most_of_a_line = 7'500;  // with what stands before it below 8 KiB, where rsyslog cuts; journald takes more
constexpr std::size_t escaped_byte = 4;        // \xNN

// "<30>Nov 25 21:32:10 david/web: ", of RFC 3164 without the host, which syslogds add. No % of strftime(3): the names are English.
std::string header(const std::string &tag, std::int64_t time_ns) {
  constexpr const char *months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t seconds = time_ns / 1'000'000'000;
  tm there{};
  localtime_r(&seconds, &there);
  char text[64];
  snprintf(text, sizeof text, "<%d>%s %2d %02d:%02d:%02d ", priority, months[there.tm_mon], there.tm_mday, there.tm_hour, there.tm_min,
           there.tm_sec);
  return text + tag + ": ";
}

// At most `most` bytes, and no character cut.
std::string_view beginning(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > most - 3 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) end--;
  return text.substr(0, end);
}

}  // namespace

std::size_t LogSyslog::send_line(std::string_view text, std::int64_t time_ns) {
  const std::string_view line = text.substr(0, text.find('\n'));
  std::string_view piece = beginning(line, most_of_a_line);
  std::string shown = escape(piece);
  if (shown.size() > most_of_a_line) shown = escape(piece = beginning(line, most_of_a_line / escaped_byte));
  if (!send(header(tag_, time_ns) + shown)) return 0;
  return piece.size() + (piece.size() == line.size() ? 1 : 0);
}

// A syslogd that was started anew has another socket: that is tried once before the line has to wait.
bool LogSyslog::send(const std::string &datagram) {
  const sockaddr_un at{AF_UNIX, "/dev/log"};
  for (const bool again : {true, false}) {
    if (!socket_) {
      socket_ = Fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (socket_ && connect(socket_.get(), reinterpret_cast<const sockaddr *>(&at), sizeof at) != 0) error_ = errno, socket_.reset();
    }
    if (!socket_) return false;
    if (::send(socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) >= 0) return true;
    error_ = errno;
    if (error_ == EAGAIN || error_ == ENOBUFS || error_ == EINTR) return false;
    socket_.reset();
    if (!again) return false;
  }
  return false;
}

}  // namespace dm
