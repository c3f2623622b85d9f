// Which names of daemons are names, and the fixed paths of the system. Everyone's privilege; nothing here acts.
#pragma once

#include <cstddef>
#include <string_view>

namespace dm {

// The longest name of a daemon, in bytes (DESIGN: [A-Za-z0-9_][A-Za-z0-9._-]{0,63}).
inline constexpr std::size_t max_name = 64;
// The longest name of a user that is accepted from the name service, in bytes.
inline constexpr std::size_t max_user_name = 255;

// True for [A-Za-z0-9_][A-Za-z0-9._-]{0,63}: safe as a file name and on a terminal.
constexpr bool valid_daemon_name(std::string_view name) {
  if (name.empty() || name.size() > max_name) return false;
  bool first = true;
  for (char c : name) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!word && (first || (c != '.' && c != '-'))) return false;
    first = false;
  }
  return true;
}

// True for the name of a daemon of a family too: NAME:N, N of 1 … 100 (max_instances). So its log is called.
constexpr bool valid_member_name(std::string_view name) {
  const std::size_t colon = name.find(':');
  if (colon == name.npos) return valid_daemon_name(name);
  const std::string_view number = name.substr(colon + 1);
  if (number.empty() || number.size() > 3 || number[0] == '0') return false;
  unsigned value = 0;
  for (char c : number) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= 100 && valid_daemon_name(name.substr(0, colon));
}

}  // namespace dm
