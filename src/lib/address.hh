// Numbers of hosts out of text. Everyone's privilege but the monitor's; no name is looked up.
#pragma once

#include <cstdint>
#include <string_view>

namespace dm {

// As inet_pton(3) reads them, and nothing that it does not; here so that all read alike, dm-run too, which has no C library.
// The address in network order, in the first 4 bytes or in all 16; untouched where it is none.
bool parse_inet(std::string_view text, std::uint8_t (&address)[16]);
bool parse_inet6(std::string_view text, std::uint8_t (&address)[16]);

}  // namespace dm
