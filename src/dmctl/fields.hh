// Numbers in the fields of rows and events. The caller's privilege; no I/O but a look at the clock.
#pragma once

#include <charconv>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

namespace dm::dmctl {

// The number that is all of a field; nothing where it is none.
inline std::optional<std::uint64_t> number_of(std::string_view field) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size()) return std::nullopt;
  return value;
}

// How long ago that was, in ms, where the field has seconds since 1970; 0 where it has none, or they are to come.
inline std::uint64_t ms_since(std::string_view seconds) {
  const auto now = static_cast<std::uint64_t>(std::time(nullptr)), at = number_of(seconds).value_or(now);
  return now > at ? (now - at) * 1000 : 0;
}

}  // namespace dm::dmctl
