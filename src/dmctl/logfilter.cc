// Reads times and regular expressions for the verb log. The caller's privilege; no I/O.
#include "dmctl/logfilter.hh"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <limits>

#include "lib/conf.hh"

namespace dm::dmctl {
namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr time_t farthest = std::numeric_limits<std::int64_t>::max() / second - 1;  // in the year 2262; what is said to be later is then
constexpr std::string_view no_time = "is no time; write one like 10m, 2h, 12:30, today, yesterday, 2026-11-22 or 2026-11-22T12:30";

// Takes `digits` digits and the sign behind them, if any is wanted, off the front.
bool take(std::string_view &text, std::size_t digits, int &number, char behind = '\0') {
  if (text.size() < digits) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
  if (error != std::errc() || end != text.data() + digits || number < 0) return false;
  text.remove_prefix(digits);
  if (behind == '\0') return true;
  if (text.empty() || text[0] != behind) return false;
  text.remove_prefix(1);
  return true;
}

struct Clock {
  tm date{};
  std::int64_t fraction_ns = 0;
  bool zoned = false;
  int offset = 0;  // seconds east of UTC, where zoned
};

// "Z" or "+01:00", if it is there.
bool take_zone(std::string_view &text, Clock &out) {
  if (text.starts_with('Z')) {
    text.remove_prefix(1);
    return out.zoned = true;
  }
  if (!text.starts_with('+') && !text.starts_with('-')) return true;
  const int sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  int hours = 0, minutes = 0;
  if (!take(text, 2, hours, ':') || !take(text, 2, minutes) || hours > 23 || minutes > 59) return false;
  out.zoned = true;
  out.offset = sign * (hours * 3600 + minutes * 60);
  return true;
}

// "12:34", "12:34:56" or "12:34:56.789"; the last are thousandths.
bool take_time(std::string_view &text, Clock &out) {
  if (!take(text, 2, out.date.tm_hour, ':') || !take(text, 2, out.date.tm_min) || out.date.tm_hour > 23 || out.date.tm_min > 59) return false;
  if (!text.starts_with(':')) return true;
  text.remove_prefix(1);
  if (!take(text, 2, out.date.tm_sec) || out.date.tm_sec > 60) return false;
  if (!text.starts_with('.')) return true;
  text.remove_prefix(1);
  int thousandths = 0;
  if (!take(text, 3, thousandths)) return false;
  out.fraction_ns = thousandths * (second / 1000);
  return true;
}

bool take_date(std::string_view &text, Clock &out) {
  if (!take(text, 4, out.date.tm_year, '-') || !take(text, 2, out.date.tm_mon, '-') || !take(text, 2, out.date.tm_mday)) return false;
  const std::chrono::year_month_day day{std::chrono::year(out.date.tm_year), std::chrono::month(static_cast<unsigned>(out.date.tm_mon)),
                                        std::chrono::day(static_cast<unsigned>(out.date.tm_mday))};
  out.date.tm_year -= 1900;
  out.date.tm_mon--;
  return day.ok();
}

std::int64_t time_of(Clock clock) {
  clock.date.tm_isdst = -1;
  const time_t seconds = clock.zoned ? ::timegm(&clock.date) - clock.offset : ::mktime(&clock.date);
  return std::clamp(seconds, -farthest, farthest) * second + clock.fraction_ns;
}

// The day that it is where the clock is.
bool set_day(Clock &clock, time_t now) {
  tm today{};
  now += clock.offset;
  if ((clock.zoned ? ::gmtime_r(&now, &today) : ::localtime_r(&now, &today)) == nullptr) return false;
  clock.date.tm_year = today.tm_year;
  clock.date.tm_mon = today.tm_mon;
  clock.date.tm_mday = today.tm_mday;
  return true;
}

}  // namespace

bool read_stamp(std::string_view line, std::int64_t &time_ns) {
  Clock clock;
  if (!take_date(line, clock) || !line.starts_with('T')) return false;
  line.remove_prefix(1);
  if (!take_time(line, clock) || !take_zone(line, clock) || !clock.zoned) return false;
  time_ns = time_of(clock);
  return true;
}

bool parse_since(std::string_view text, std::int64_t now_ns, std::int64_t &time_ns) {
  std::uint32_t ago_ms = 0;
  if (parse_duration(text, ago_ms)) {
    time_ns = now_ns - std::int64_t{ago_ms} * 1'000'000;
    return true;
  }
  Clock clock;
  if (text == "today" || text == "yesterday") {
    if (!set_day(clock, now_ns / second)) return false;
    if (text == "yesterday") clock.date.tm_mday--;
    return time_ns = time_of(clock), true;
  }
  std::string_view rest = text;
  const bool dated = text.size() > 4 && text[4] == '-';
  if (dated) {
    if (!take_date(rest, clock)) return false;
    if (rest.empty()) return time_ns = time_of(clock), true;
    if (rest[0] != 'T' && rest[0] != ' ') return false;
    rest.remove_prefix(1);
  }
  if (!take_time(rest, clock) || !take_zone(rest, clock) || !rest.empty()) return false;
  if (!dated && !set_day(clock, now_ns / second)) return false;
  time_ns = time_of(clock);
  // Of the day before, where it is still to come: what was asked for has been.
  if (!dated && time_ns > now_ns) clock.date.tm_mday--, time_ns = time_of(clock);
  return true;
}

LogFilter::~LogFilter() {
  if (expression_ != nullptr) ::regfree(expression_.get());
}

std::string LogFilter::set_since(const std::string &text, std::int64_t now_ns) {
  if (parse_since(text, now_ns, since_ns_)) return since_ns_ > now_ns ? "is in the future" : "";
  return std::string(no_time);
}

std::string LogFilter::set_until(const std::string &text, std::int64_t now_ns) {
  if (parse_since(text, now_ns, until_ns_)) return until_ns_ < since_ns_ ? "is before --since" : "";
  return std::string(no_time);
}

std::string LogFilter::set_grep(const std::string &text) {
  auto made = std::make_unique<regex_t>();
  const int error = ::regcomp(made.get(), text.c_str(), REG_EXTENDED | REG_NOSUB);
  if (error == 0) {
    expression_ = std::move(made);
    return {};
  }
  char why[200];
  ::regerror(error, made.get(), why, sizeof why);
  return std::string("is no regular expression: ") + why;
}

bool LogFilter::matches(std::string_view line) const {
  if (expression_ == nullptr) return true;
  regmatch_t part{0, static_cast<regoff_t>(line.size())};
  return ::regexec(expression_.get(), line.data(), 1, &part, REG_STARTEND) == 0;
}

}  // namespace dm::dmctl
