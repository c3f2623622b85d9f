// How many columns of a terminal text takes, and text made to fit. The caller's privilege.
#include "dmctl/width.hh"

#include "lib/text.hh"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>
#include <sys/ioctl.h>

namespace dm::dmctl {
namespace {

// Not wcwidth(3), which knows but the locale's characters, and none under env -i. After Unicode 15: EastAsianWidth W and F, with
// unassigned gaps within a block closed; and marks that take no room.
struct Range {
  char32_t first, last;
};
constexpr Range wide[] = {
    {0x1100, 0x115f}, {0x231a, 0x231b}, {0x2329, 0x232a}, {0x23e9, 0x23ec}, {0x23f0, 0x23f0}, {0x23f3, 0x23f3}, {0x25fd, 0x25fe},
    {0x2614, 0x2615}, {0x2648, 0x2653}, {0x267f, 0x267f}, {0x2693, 0x2693}, {0x26a1, 0x26a1}, {0x26aa, 0x26ab}, {0x26bd, 0x26be},
    {0x26c4, 0x26c5}, {0x26ce, 0x26ce}, {0x26d4, 0x26d4}, {0x26ea, 0x26ea}, {0x26f2, 0x26f3}, {0x26f5, 0x26f5}, {0x26fa, 0x26fa},
    {0x26fd, 0x26fd}, {0x2705, 0x2705}, {0x270a, 0x270b}, {0x2728, 0x2728}, {0x274c, 0x274c}, {0x274e, 0x274e}, {0x2753, 0x2755},
    {0x2757, 0x2757}, {0x2795, 0x2797}, {0x27b0, 0x27b0}, {0x27bf, 0x27bf}, {0x2b1b, 0x2b1c}, {0x2b50, 0x2b50}, {0x2b55, 0x2b55},
    {0x2e80, 0x303e}, {0x3041, 0x4dbf}, {0x4e00, 0xa4cf}, {0xa960, 0xa97f}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe10, 0xfe19},
    {0xfe30, 0xfe6f}, {0xff01, 0xff60}, {0xffe0, 0xffe6}, {0x16fe0, 0x18d08}, {0x1aff0, 0x1b2fb}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf},
    {0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a}, {0x1f200, 0x1f320}, {0x1f32d, 0x1f335}, {0x1f337, 0x1f37c}, {0x1f37e, 0x1f393},
    {0x1f3a0, 0x1f3ca}, {0x1f3cf, 0x1f3d3}, {0x1f3e0, 0x1f3f0}, {0x1f3f4, 0x1f3f4}, {0x1f3f8, 0x1f43e}, {0x1f440, 0x1f440},
    {0x1f442, 0x1f4fc}, {0x1f4ff, 0x1f53d}, {0x1f54b, 0x1f567}, {0x1f57a, 0x1f57a}, {0x1f595, 0x1f596}, {0x1f5a4, 0x1f5a4},
    {0x1f5fb, 0x1f64f}, {0x1f680, 0x1f6c5}, {0x1f6cc, 0x1f6df}, {0x1f6eb, 0x1f6ec}, {0x1f6f4, 0x1f6fc}, {0x1f7e0, 0x1f7f0},
    {0x1f90c, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};
constexpr Range without_room[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x05bf, 0x05bf}, {0x05c1, 0x05c2}, {0x05c4, 0x05c5}, {0x05c7, 0x05c7},
    {0x0610, 0x061a}, {0x064b, 0x065f}, {0x0670, 0x0670}, {0x06d6, 0x06dc}, {0x06df, 0x06e4}, {0x06e7, 0x06e8}, {0x06ea, 0x06ed},
    {0x0900, 0x0902}, {0x093a, 0x093a}, {0x093c, 0x093c}, {0x0941, 0x0948}, {0x094d, 0x094d}, {0x0e31, 0x0e31}, {0x0e34, 0x0e3a},
    {0x0e47, 0x0e4e}, {0x1ab0, 0x1ace}, {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x2060, 0x2064}, {0x20d0, 0x20f0}, {0x302a, 0x302d},
    {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0001, 0xe01ef},
};

bool is_in(const auto &ranges, char32_t point) {
  const auto after = std::upper_bound(std::begin(ranges), std::end(ranges), point, [](char32_t p, const Range &range) { return p < range.first; });
  return after != std::begin(ranges) && point <= std::prev(after)->last;
}

// The first character of `text`: its bytes, and how many columns it takes.
std::size_t next(std::string_view text, std::size_t &columns) {
  char32_t point = 0;
  const std::size_t length = utf8_length(text, &point);
  columns = length == 0 ? 1 : point < 0x300 ? 1 : is_in(without_room, point) ? 0 : is_in(wide, point) ? 2 : 1;
  return length == 0 ? 1 : length;
}

// Bytes of the longest start of `text` that takes at most `columns`.
std::size_t fitting(std::string_view text, std::size_t columns) {
  std::size_t at = 0, used = 0;
  while (at < text.size()) {
    std::size_t its = 0;
    const std::size_t length = next(text.substr(at), its);
    if (used + its > columns) break;
    used += its;
    at += length;
  }
  return at;
}

// Commands that are recommended, and how many words there are behind each, not counting options.
constexpr struct {
  std::string_view name;
  std::size_t words;
} commands[] = {{"chmod", 2},  {"chown", 2}, {"daemon-manager", 0}, {"dmctl", 2}, {"journalctl", 1}, {"mkdir", 1},  {"namei", 1},
                {"ps", 2},     {"runuser", 2}, {"setfacl", 2},      {"ss", 0},    {"systemctl", 2},  {"ulimit", 0}};

// How many words belong to a command behind this one; nothing where it is no command.
std::optional<std::size_t> words_behind(std::string_view word) {
  if (word.starts_with('(')) word.remove_prefix(1);
  for (const auto &command : commands)
    if (command.name == word) return command.words;
  return std::nullopt;
}

// Bytes at the start of `text` that stay together: a word, or a command with what is given to it.
std::size_t together(std::string_view text) {
  constexpr std::string_view ends = ",;:.)";
  std::size_t end = std::min(text.find(' '), text.size());
  const std::optional<std::size_t> behind = words_behind(text.substr(0, end));
  if (!behind) return end;
  for (std::size_t left = *behind; end < text.size() && ends.find(text[end - 1]) == ends.npos;) {
    const std::size_t from = text.find_first_not_of(' ', end);
    if (from == text.npos) break;
    const std::string_view word = text.substr(from, text.find(' ', from) - from);
    const bool option = word.starts_with('-');
    if (left == 0 && !option) break;
    if (!option) left = words_behind(word).value_or(left - 1);
    end = from + word.size();
  }
  return end;
}

std::string fold_line(std::string_view line, std::size_t columns) {
  constexpr std::size_t deeper = 2;
  // (What comes far to the right would not fit below, and that again and again.)
  const std::size_t indent = std::min({line.find_first_not_of(' '), line.size(), columns / 2}) + deeper;
  std::string out;
  std::size_t used = 0, at = 0;
  while (at < line.size()) {
    const std::size_t from = std::min(line.find_first_not_of(' ', at), line.size());
    const std::size_t end = from + together(line.substr(from));
    const std::size_t needed = width(line.substr(at, end - at));
    if (at != 0 && used + needed > columns) {
      out += "\n" + std::string(indent, ' ');
      used = indent + needed - (from - at);
      out += line.substr(from, end - from);
    } else {
      out += line.substr(at, end - at);
      used += needed;
    }
    at = end;
  }
  return out;
}

std::size_t number_of(const char *name, std::size_t preset) {
  const char *text = ::getenv(name);
  const long value = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
  return value > 0 && value < 10'000 ? static_cast<std::size_t>(value) : preset;
}

}  // namespace

std::size_t width(std::string_view text) {
  std::size_t sum = 0;
  while (!text.empty()) {
    std::size_t its = 0;
    text.remove_prefix(next(text, its));
    sum += its;
  }
  return sum;
}

std::string cut(std::string_view text, std::size_t columns) {
  if (width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  return std::string(text.substr(0, fitting(text, columns - 1))) + (knows_utf8() ? "\xe2\x80\xa6" : "~");
}

std::vector<std::string> wrap(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  columns = std::max<std::size_t>(columns, 2);  // the widest character
  while (width(text) > columns) {
    const std::size_t most = fitting(text, columns);
    std::size_t end = text[most] == ' ' ? most : text.rfind(' ', most == 0 ? 0 : most - 1);
    if (end == text.npos || end == 0) end = most;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  if (!text.empty() || lines.empty()) lines.emplace_back(text);
  return lines;
}

std::string fold(std::string_view lines, std::size_t columns) {
  constexpr std::size_t least = 20;
  std::string out;
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n');
    out += fold_line(lines.substr(0, end), std::max(columns, least));
    if (end == lines.npos) break;
    out += '\n';
    lines.remove_prefix(end + 1);
  }
  return out;
}

bool knows_utf8() {
  for (const char *name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char *value = ::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view locale = value;
    return locale.find("UTF-8") != locale.npos || locale.find("utf8") != locale.npos || locale.find("utf-8") != locale.npos;
  }
  return false;
}

Size terminal_size(int fd) {
  winsize size{};
  Size found{number_of("COLUMNS", 80), number_of("LINES", 24)};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0) return found;
  if (size.ws_col != 0) found.columns = size.ws_col;
  if (size.ws_row != 0) found.rows = size.ws_row;
  return found;
}

}  // namespace dm::dmctl
