// Takes the address of a listen= line apart. Everyone's privilege but the monitor's; no name is looked up.
#include <algorithm>
#include <cstring>

#include "lib/address.hh"
#include "lib/conf_parser.hh"

namespace dm {
namespace {

constexpr std::size_t max_local = 107;  // sun_path without the NUL

bool parse_local(std::string_view text, ListenAddress &out) {
  if (text.size() < 2 || text.size() > max_local || text.back() == '/' || text.find('\0') != text.npos) return false;
  out.family = Family::local;
  out.path = text;
  return true;
}

}  // namespace

bool parse_listen(std::string_view text, ListenAddress &out) {
  ListenAddress read;
  if (text.starts_with('/')) {
    if (!parse_local(text, read)) return false;
    out = read;
    return true;
  }
  const std::size_t colon = text.rfind(':');
  std::uint32_t port = 0;
  if (colon == text.npos || !whole_number(text.substr(colon + 1), 65535, port) || port == 0) return false;
  std::string_view host = text.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!(bracketed ? parse_inet6 : parse_inet)(host, read.address)) return false;
  read.family = bracketed ? Family::inet6 : Family::inet;
  read.port = static_cast<std::uint16_t>(port);
  out = read;
  return true;
}

}  // namespace dm
