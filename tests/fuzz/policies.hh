// The policies that root has in the targets, and what they allow, written down a second time by hand.
#pragma once

#include <cstdint>
#include <string>

namespace dm::fuzz {

// 0: everyday. 1: david's line is gone, and amy may have one daemon. 2: the name service does not know david.
inline constexpr unsigned policy_count = 3;
inline constexpr std::uint32_t uid_root = 0, uid_www = 33, uid_david = 1000, uid_amy = 1001, uid_bob = 1002, uid_carl = 1003;

// The bytes that dm-policy would have written.
const std::string &policy_bytes(unsigned which);
// Whether root lets that uid run daemons as the other just now.
bool policy_allows(unsigned which, std::uint32_t owner, std::uint32_t target);
// Whether it may control the daemons of the other; everyone who is listed may control his own, and root everybody's.
bool policy_manages(unsigned which, std::uint32_t uid, std::uint32_t owner);

}  // namespace dm::fuzz
