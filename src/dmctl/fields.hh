// Numbers in the fields of a row. The caller's privilege; no I/O.
#pragma once

#include <charconv>
#include <cstdint>
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

}  // namespace dm::dmctl
