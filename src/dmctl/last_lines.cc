// The last lines of a daemon's log, for status. The caller's privilege; the log of another is borrowed, as log does it.
#include "dmctl/last_lines.hh"

#include "dmctl/logsource.hh"

#include <algorithm>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dm::dmctl {
namespace {

constexpr off_t most_bytes = 16 * 1024;  // whatever the log is made of; of one longer line its end

// The bytes; nothing where the log cannot be read.
std::optional<std::string> read_end(LogSource &source, std::uint64_t lines) {
  const OpenedLog log = source.open();
  struct stat st;
  if (log.fault != LogFault::none || ::fstat(log.file.get(), &st) != 0) return std::nullopt;
  const off_t begin = std::max({start_of_last(log.file.get(), st.st_size, lines), st.st_size - most_bytes, off_t{0}});
  std::string text(static_cast<std::size_t>(std::max<off_t>(0, st.st_size - begin)), '\0');
  const ssize_t size = ::pread(log.file.get(), text.data(), text.size(), begin);
  if (size < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(size));
  return text;
}

}  // namespace

LastLines last_lines(const Row &row, std::size_t most) {
  LastLines last;
  const std::string owner = row[row_id].substr(0, row[row_id].rfind('/'));
  const passwd *entry = row[row_log].empty() || row[row_log] == in_syslog ? nullptr : ::getpwnam(owner.c_str());
  if (entry == nullptr) return last;
  LogSource source = entry->pw_uid == ::geteuid() ? LogSource(row[row_log], entry->pw_uid) : LogSource(row[row_log], entry->pw_uid, row[row_id]);
  std::optional<std::string> text = read_end(source, most);
  if (!text) return last;
  last.shown = true;
  while (!text->empty()) {
    const std::size_t end = std::min(text->find('\n'), text->size());
    last.lines.push_back(text->substr(0, end));
    text->erase(0, end + 1);
  }
  if (last.lines.size() > most) last.lines.erase(last.lines.begin(), last.lines.end() - static_cast<std::ptrdiff_t>(most));
  return last;
}

}  // namespace dm::dmctl
