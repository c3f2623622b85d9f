// How one line of a daemon's conf splits; shared by the parser and the redaction, so that they cannot disagree on what
// is an export. Everyone's privilege but the monitor's; nothing here acts.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace dm {

enum class LineKind { blank, comment, setting, exported, bad_export, bad };

// One line taken apart. The views point into the line; `*_at` are offsets in it, in bytes.
struct ConfLine {
  LineKind kind = LineKind::blank;
  std::size_t key_at = 0, value_at = 0;
  std::string_view key;    // the key, or the NAME of an export; of bad lines whatever stands before the '='
  std::string_view value;  // without blanks around it
};

// Takes the next line, without its newline, off the front of `rest`; `rest` must not be empty.
std::string_view take_line(std::string_view &rest);
ConfLine split_line(std::string_view line);
// Cuts blanks, tabs and carriage returns off both ends.
std::string_view trim(std::string_view text);
// Takes the next of several with commas between off the front of `rest`, without blanks around it; `more`: another follows.
std::string_view take_item(std::string_view &rest, bool &more);
// True for the name of a key that a conf may hold (export is none).
bool known_key(std::string_view key);
// All of them.
std::span<const std::string_view> known_keys();

// What redact_conf writes instead of an unknown key that may be part of a secret.
inline constexpr std::string_view hidden_key = "_";

// Some editors begin a file of UTF-8 so; it is no part of the first line.
inline constexpr std::string_view utf8_mark = "\xef\xbb\xbf";

}  // namespace dm
