// Words for people: times, signals, bytes made safe for a terminal. Everyone's privilege; no I/O.
#include "lib/text.hh"

#include <csignal>
#include <cstddef>
#include <iterator>

namespace dm {
namespace {

struct SignalName {
  int number;
  std::string_view name;
};

// The first name of a number is the one that is shown; the others are understood.
constexpr SignalName signal_names[] = {
    {SIGHUP, "HUP"},   {SIGINT, "INT"},       {SIGQUIT, "QUIT"}, {SIGILL, "ILL"},     {SIGTRAP, "TRAP"},
    {SIGABRT, "ABRT"}, {SIGABRT, "IOT"},      {SIGBUS, "BUS"},   {SIGFPE, "FPE"},     {SIGKILL, "KILL"},
    {SIGUSR1, "USR1"}, {SIGSEGV, "SEGV"},     {SIGUSR2, "USR2"}, {SIGPIPE, "PIPE"},   {SIGALRM, "ALRM"},
    {SIGTERM, "TERM"}, {SIGCHLD, "CHLD"},     {SIGCHLD, "CLD"},  {SIGCONT, "CONT"},   {SIGSTOP, "STOP"},
    {SIGTSTP, "TSTP"}, {SIGTTIN, "TTIN"},     {SIGTTOU, "TTOU"}, {SIGURG, "URG"},     {SIGXCPU, "XCPU"},
    {SIGXFSZ, "XFSZ"}, {SIGVTALRM, "VTALRM"}, {SIGPROF, "PROF"}, {SIGWINCH, "WINCH"}, {SIGIO, "IO"},
    {SIGIO, "POLL"},   {SIGPWR, "PWR"},       {SIGSYS, "SYS"},
#ifdef SIGSTKFLT
    {SIGSTKFLT, "STKFLT"},
#endif
};

constexpr int last_signal = 64;

constexpr bool plain(unsigned char c) { return c >= 0x20 && c < 0x7f; }

// Bytes of the well-formed UTF-8 sequence at the start of `text` (RFC 3629), and its code point; 0 where there is none.
std::size_t decode(std::string_view text, char32_t &point) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  std::size_t length = 0;
  char32_t least = 0;
  if (lead >= 0xc2 && lead < 0xe0) length = 2, least = 0x80, point = lead & 0x1fU;
  else if (lead >= 0xe0 && lead < 0xf0) length = 3, least = 0x800, point = lead & 0x0fU;
  else if (lead >= 0xf0 && lead < 0xf5) length = 4, least = 0x10000, point = lead & 0x07U;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; i++) {
    if ((byte(i) & 0xc0U) != 0x80U) return 0;
    point = point << 6 | (byte(i) & 0x3fU);
  }
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  return point < least || point > 0x10ffff || surrogate ? 0 : length;
}

// What a terminal acts on, or what makes text look like other text, though it is well-formed.
constexpr bool treacherous(char32_t point) {
  return point < 0xa0 ||                                       // C1
         point == 0x061c || point == 0x200e || point == 0x200f ||  // bidi marks
         (point >= 0x2028 && point <= 0x202e) ||               // line separators, bidi embeddings and overrides
         (point >= 0x2066 && point <= 0x2069);                 // bidi isolates
}

void put_hex(std::string &out, unsigned char byte) {
  constexpr char digits[] = "0123456789abcdef";
  out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
}

// The number that is all of `text`, at most three digits; -1 where it is none.
int number(std::string_view text) {
  if (text.empty() || text.size() > 3) return -1;
  int value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

bool same_word(std::string_view text, std::string_view upper) {
  if (text.size() != upper.size()) return false;
  for (std::size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if ((c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c) != upper[i]) return false;
  }
  return true;
}

// RTMIN, RTMIN+n, RTMAX, RTMAX-n; 0 where it is none of them, or outside of the real-time signals.
int real_time_signal(std::string_view text) {
  constexpr std::size_t word = 5;
  if (text.size() < word) return 0;
  const bool from_least = same_word(text.substr(0, word), "RTMIN");
  if (!from_least && !same_word(text.substr(0, word), "RTMAX")) return 0;
  std::string_view rest = text.substr(word);
  int offset = 0;
  if (!rest.empty()) {
    offset = rest[0] == (from_least ? '+' : '-') ? number(rest.substr(1)) : -1;
    if (offset < 0) return 0;
  }
  const int signal = from_least ? SIGRTMIN + offset : SIGRTMAX - offset;
  return signal >= SIGRTMIN && signal <= SIGRTMAX ? signal : 0;
}

}  // namespace

std::size_t utf8_length(std::string_view text, char32_t *point) {
  char32_t found = 0;
  if (text.empty()) return 0;
  const bool plain_one = static_cast<unsigned char>(text[0]) < 0x80;
  const std::size_t length = plain_one ? 1 : decode(text, found);
  if (point != nullptr) *point = plain_one ? static_cast<unsigned char>(text[0]) : found;
  return length;
}

std::string short_time(std::uint64_t ms) {
  constexpr struct {
    std::uint64_t seconds;
    char letter;
  } units[] = {{604800, 'w'}, {86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
  std::uint64_t left = ms / 1000;
  for (std::size_t i = 0; i < std::size(units); i++) {
    const std::uint64_t count = left / units[i].seconds;
    if (count == 0) continue;
    std::string out = std::to_string(count) + units[i].letter;
    left %= units[i].seconds;
    const std::uint64_t lesser = i + 1 < std::size(units) ? left / units[i + 1].seconds : 0;
    if (lesser != 0) out += std::to_string(lesser) + units[i + 1].letter;
    return out;
  }
  return "0s";
}

std::string escape(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size();) {
    // Nearly always all of it is plain: taken in one piece.
    std::size_t run = at;
    while (run < bytes.size() && plain(static_cast<unsigned char>(bytes[run]))) run++;
    if (run == bytes.size() && at == 0) return std::string(bytes);
    out.append(bytes.substr(at, run - at));
    at = run;
    if (at == bytes.size()) break;
    char32_t point = 0;
    const std::size_t length = decode(bytes.substr(at), point);
    const bool show = length != 0 && !treacherous(point);
    const std::size_t step = length == 0 ? 1 : length;
    if (show) out.append(bytes.substr(at, step));
    else
      for (std::size_t i = 0; i < step; i++) put_hex(out, static_cast<unsigned char>(bytes[at + i]));
    at += step;
  }
  return out;
}

std::string metric_label(std::string_view bytes) {
  std::string out;
  for (const char c : escape(bytes)) {
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

std::string signal_name(int signal) {
  for (const SignalName &known : signal_names)
    if (known.number == signal) return "SIG" + std::string(known.name);
  if (signal == SIGRTMIN) return "SIGRTMIN";
  if (signal > SIGRTMIN && signal <= SIGRTMAX) return "SIGRTMIN+" + std::to_string(signal - SIGRTMIN);
  return "signal " + std::to_string(signal);
}

int parse_signal(std::string_view text) {
  const int value = number(text);
  if (value >= 0) return value <= last_signal ? value : 0;
  if (text.size() > 3 && same_word(text.substr(0, 3), "SIG")) text.remove_prefix(3);
  for (const SignalName &known : signal_names)
    if (same_word(text, known.name)) return known.number;
  return real_time_signal(text);
}

}  // namespace dm
