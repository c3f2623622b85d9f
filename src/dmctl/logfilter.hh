// Which lines of a log are shown: from a time on, up to one, or those that match. The caller's privilege; no I/O.
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

// --since and --until: "10m" and the like before `now_ns`, "12:30" or "12:30:05" of today, or of yesterday where that is to come yet, "today", "yesterday", "2026-11-22",
// and "2026-11-22T12:34[:56[.789]]" with a blank for the T if one likes; the local time, unless Z or "+01:00" follows. False where it is none of these.
bool parse_since(std::string_view text, std::int64_t now_ns, std::int64_t &time_ns);

class LogFilter {
public:
  LogFilter() = default;
  ~LogFilter();
  LogFilter(const LogFilter &) = delete;
  LogFilter &operator=(const LogFilter &) = delete;
  // All return "" or what is wrong with it.
  std::string set_since(const std::string &text, std::int64_t now_ns);
  std::string set_until(const std::string &text, std::int64_t now_ns);  // after that
  std::string set_grep(const std::string &text);  // an extended regular expression
  [[nodiscard]] bool timed() const { return since_ns_ != from_ever || until_ns_ != for_ever; }
  [[nodiscard]] bool wanted() const { return timed() || expression_ != nullptr; }
  [[nodiscard]] bool begins() const { return since_ns_ != from_ever; }
  [[nodiscard]] bool ends() const { return until_ns_ != for_ever; }
  [[nodiscard]] std::int64_t since_ns() const { return since_ns_; }
  [[nodiscard]] std::int64_t until_ns() const { return until_ns_; }
  [[nodiscard]] bool matches(std::string_view line) const;

private:
  static constexpr std::int64_t from_ever = std::numeric_limits<std::int64_t>::min(), for_ever = std::numeric_limits<std::int64_t>::max();
  std::int64_t since_ns_ = from_ever, until_ns_ = for_ever;
  std::unique_ptr<regex_t> expression_;
};

}  // namespace dm::dmctl
