// Cuts what a daemon wrote into lines, and makes stamps for them. Owner's privilege; no I/O.
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

void put_stamp(std::string &out, std::int64_t time_ns, std::int32_t offset) {
  if (offset == no_stamp) return;
  const std::int64_t ms = std::max<std::int64_t>(time_ns / 1'000'000 + std::int64_t{offset} * 1'000, 0);  // up to the year 2262
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
  if (offset == 0) {
    out += "Z ";
    return;
  }
  const std::int64_t minutes = (offset < 0 ? -offset : offset) / 60;
  out += offset < 0 ? '-' : '+';
  put_digits(out, minutes / 60, 2);
  out += ':';
  put_digits(out, minutes % 60, 2);
  out += ' ';
}

// A line is split only when the byte behind max_log_line is there and is no newline: so the same bytes are always cut in the
// same places, however they came.
Cut cut_line(std::string_view data, bool last) {
  const std::size_t newline = data.substr(0, max_log_line + 1).find('\n');
  if (newline != std::string_view::npos) return {data.substr(0, newline), newline + 1};
  if (data.size() > max_log_line) return {data.substr(0, max_log_line), max_log_line};
  return {data, last ? data.size() : 0};
}

Lines count_lines(std::string_view data, bool last) {
  Lines out{0, 0};
  for (;;) {
    const std::size_t used = cut_line(data.substr(out.used), last).used;
    if (used == 0) return out;
    out.used += used;
    out.count++;
  }
}

void put_lines(std::string &out, std::string_view data, std::int64_t first_ns, std::int64_t time_ns, std::int32_t offset) {
  std::string stamp;
  put_stamp(stamp, first_ns, offset);
  for (bool first = true; !data.empty(); first = false) {
    const Cut line = cut_line(data, true);
    out += stamp;
    out += line.text;
    out += '\n';
    data.remove_prefix(line.used);
    if (!first) continue;
    stamp.clear();
    put_stamp(stamp, time_ns, offset);
  }
}

}  // namespace dm
