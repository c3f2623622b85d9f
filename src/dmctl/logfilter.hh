// Which lines of a log are shown: from a time on, or those that match. The caller's privilege; no I/O.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include <regex.h>

namespace dm::dmctl {

// Nanoseconds since 1970 of a stamp as dm-log writes it ("2026-11-22T12:34:56.789Z " or with "+01:00"); false where there is none.
bool read_stamp(std::string_view line, std::int64_t &time_ns);

// --since: "10m" and the like before `now_ns`, "12:30" or "12:30:05" of today, or of yesterday where that is to come yet, "today", "yesterday", "2026-11-22",
// and "2026-11-22T12:34[:56[.789]]" with a blank for the T if one likes; the local time, unless Z or "+01:00" follows. False where it is none of these.
bool parse_since(std::string_view text, std::int64_t now_ns, std::int64_t &time_ns);

class LogFilter {
public:
  LogFilter() = default;
  ~LogFilter();
  LogFilter(const LogFilter &) = delete;
  LogFilter &operator=(const LogFilter &) = delete;
  // Both return "" or what is wrong with it.
  std::string set_since(const std::string &text, std::int64_t now_ns);
  std::string set_grep(const std::string &text);  // an extended regular expression
  [[nodiscard]] bool wanted() const { return since_ns_ != std::numeric_limits<std::int64_t>::min() || expression_ != nullptr; }
  [[nodiscard]] std::int64_t since_ns() const { return since_ns_; }
  [[nodiscard]] bool matches(std::string_view line) const;

private:
  std::int64_t since_ns_ = std::numeric_limits<std::int64_t>::min();
  std::unique_ptr<regex_t> expression_;
};

}  // namespace dm::dmctl
