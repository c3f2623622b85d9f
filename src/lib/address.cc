// Numbers of hosts out of text. Everyone's privilege but the monitor's; no name is looked up.
#include "lib/address.hh"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace dm {
namespace {

// Four numbers of up to 255, without zeros in front.
bool parse_dotted(std::string_view text, std::uint8_t *out) {
  for (int part = 0; part < 4; part++) {
    const std::size_t end = std::min(text.find('.'), text.size());
    const std::string_view digits = text.substr(0, end);
    if (digits.empty() || digits.size() > 3 || (digits[0] == '0' && digits.size() > 1)) return false;
    unsigned value = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') return false;
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value > 255 || (end == text.size()) != (part == 3)) return false;
    out[part] = static_cast<std::uint8_t>(value);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

bool parse_group(std::string_view digits, std::uint8_t *out) {
  if (digits.empty() || digits.size() > 4) return false;
  unsigned value = 0;
  for (const char c : digits) {
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower >= '0' && lower <= '9') value = value * 16 + static_cast<unsigned>(lower - '0');
    else if (lower >= 'a' && lower <= 'f') value = value * 16 + static_cast<unsigned>(lower - 'a' + 10);
    else return false;
  }
  out[0] = static_cast<std::uint8_t>(value >> 8);
  out[1] = static_cast<std::uint8_t>(value & 0xff);
  return true;
}

// Groups between colons, the last of them a dotted quad perhaps. The bytes, or -1.
int parse_groups(std::string_view text, std::uint8_t (&out)[16]) {
  std::size_t count = 0;
  for (bool more = !text.empty(); more;) {
    const std::size_t end = text.find(':');
    more = end != text.npos;
    const std::string_view group = text.substr(0, end);
    if (!more && group.find('.') != group.npos) {
      if (count > 12 || !parse_dotted(group, out + count)) return -1;
      count += 4;
    } else {
      if (count > 14 || !parse_group(group, out + count)) return -1;
      count += 2;
    }
    if (more) text.remove_prefix(end + 1);
  }
  return static_cast<int>(count);
}

}  // namespace

bool parse_inet(std::string_view text, std::uint8_t (&address)[16]) {
  std::uint8_t read[4];
  if (!parse_dotted(text, read)) return false;
  std::copy(std::begin(read), std::end(read), address);
  return true;
}

bool parse_inet6(std::string_view text, std::uint8_t (&address)[16]) {
  std::uint8_t front[16] = {}, back[16] = {};
  const std::size_t gap = text.find("::");
  const bool whole = gap == text.npos;
  const int before = parse_groups(text.substr(0, gap), front), after = whole ? 0 : parse_groups(text.substr(gap + 2), back);
  // A gap stands for one group at least; what stands before it is no quad.
  if (before < 0 || after < 0 || (whole ? before != 16 : before + after > 14)) return false;
  if (!whole && text.substr(0, gap).find('.') != text.npos) return false;
  std::copy(back, back + after, front + 16 - after);
  std::copy(std::begin(front), std::end(front), address);
  return true;
}

}  // namespace dm
