// Writes lines to the manager's log without ever waiting for it. Linked by the monitor (root) and the worker.
#include "lib/log.hh"

#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace dm {

bool Log::put(std::string_view text) const {
  char out[1100];
  std::size_t size = 0;
  if (sink_ == LogSink::syslog) size = static_cast<std::size_t>(std::snprintf(out, sizeof out, "<30>daemon-manager: "));
  for (char c : text.substr(0, 1000)) out[size++] = c >= ' ' && c <= '~' ? c : '?';
  if (sink_ != LogSink::syslog) out[size++] = '\n';
  // A short write to a full pipe would leave half a line: at most PIPE_BUF bytes go whole or not at all.
  const ssize_t done = sink_ == LogSink::stream ? ::write(fd_, out, size)
                                                : ::send(fd_, out, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  return done == static_cast<ssize_t>(size);
}

bool Log::line(std::string_view text) {
  char note[64];
  std::snprintf(note, sizeof note, "%llu log lines were lost here: nobody read them", static_cast<unsigned long long>(lost_));
  if (lost_ != 0 && put(note)) lost_ = 0;
  const bool taken = lost_ == 0 && put(text);
  if (!taken) lost_++;
  return taken;
}

}  // namespace dm
