// Cuts what a daemon wrote into stamped lines. Owner's privilege; no I/O.
#include "log_lines.hh"

#include <algorithm>

namespace dm {
namespace {

void put_digits(std::string &out, std::int64_t number, unsigned digits) {
  char text[8];
  for (unsigned i = digits; i-- > 0; number /= 10) text[i] = static_cast<char>('0' + number % 10);
  out.append(text, digits);
}

struct Date {
  std::int64_t year, month, day;
};

// Of days since 1970. Not gmtime_r(3): it opens the time zone's file. The year begins in March, so that a leap day ends
// it; 400 years are 146,097 days.
Date civil(std::int64_t days) {
  days += 719'468;  // from 0000-03-01
  const std::int64_t era = days / 146'097, of_era = days % 146'097;
  const std::int64_t year = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::int64_t month = (5 * of_year + 2) / 153;  // 0 is March
  const std::int64_t day = of_year - (153 * month + 2) / 5 + 1;
  return {era * 400 + year + (month >= 10 ? 1 : 0), month >= 10 ? month - 9 : month + 3, day};
}

}  // namespace

void put_stamp(std::string &out, std::int64_t time_ns) {
  const std::int64_t ms = std::max<std::int64_t>(time_ns, 0) / 1'000'000;  // up to the year 2262
  const Date date = civil(ms / 86'400'000);
  const std::int64_t of_day = ms % 86'400'000;
  put_digits(out, date.year, 4);
  out += '-';
  put_digits(out, date.month, 2);
  out += '-';
  put_digits(out, date.day, 2);
  out += 'T';
  put_digits(out, of_day / 3'600'000, 2);
  out += ':';
  put_digits(out, of_day / 60'000 % 60, 2);
  out += ':';
  put_digits(out, of_day / 1'000 % 60, 2);
  out += '.';
  put_digits(out, of_day % 1'000, 3);
  out += "Z ";
}

void LogLines::take(std::string_view data, std::int64_t time_ns, std::string &out) {
  std::string stamp;
  put_stamp(stamp, time_ns);
  while (!data.empty()) {
    const std::size_t newline = data.find('\n');
    const std::size_t room = max_log_line - partial_.size();
    const bool ends = newline != std::string_view::npos && newline <= room;
    const std::size_t size = ends ? newline : std::min(room, data.size());
    if (partial_.empty() && ends) {
      out += stamp;
      out += data.substr(0, size);
      out += '\n';
    } else {
      if (partial_.empty()) since_ns_ = time_ns;
      partial_ += data.substr(0, size);
      if (ends || partial_.size() == max_log_line) finish(out);
    }
    data.remove_prefix(size + (ends ? 1 : 0));
  }
}

void LogLines::finish(std::string &out) {
  if (partial_.empty()) return;
  put_stamp(out, since_ns_);
  out += partial_;
  out += '\n';
  partial_.clear();
}

}  // namespace dm
