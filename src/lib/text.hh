// Words for people: times, signals, bytes made safe for a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dm {

// "0s", "42s", "12h57m", "3w3d": the two largest units of w d h m s, of a time in ms; the second is left out when 0.
std::string short_time(std::uint64_t ms);
// Printable text as it is; ESC, C0, C1, DEL, bidi controls, line separators and bytes that are not UTF-8 as \xNN (each byte).
std::string escape(std::string_view bytes);
// What a label of a Prometheus sample may hold: that, and then what the format itself means something by is escaped.
std::string metric_label(std::string_view bytes);
// Bytes of the well-formed UTF-8 character (RFC 3629) that `text` starts with, and which it is; 0 where it starts with none.
std::size_t utf8_length(std::string_view text, char32_t *point = nullptr);
// 15 → "SIGTERM"; real-time ones as SIGRTMIN+n; a number without a name as "signal 99".
std::string signal_name(int signal);
// "TERM", "SIGTERM", "term", "15" → 15; 0 where it is no signal of 1 … 64.
int parse_signal(std::string_view text);

}  // namespace dm
