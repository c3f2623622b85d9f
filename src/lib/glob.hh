// Patterns over the names of daemons and users: * ? [a-z] [!x]. The worker's and the caller's privilege; no I/O.
#pragma once

#include <cstdint>
#include <string_view>

namespace dm {

// True where a word is a pattern: it has one of * ? [, which no name of a daemon may hold.
bool is_glob(std::string_view word);

// Whether the whole name is as the pattern says. Each comparison of a letter takes one of `steps`; when none are left the answer is
// false: who asks for a stranger says how much the stranger may cost. A [ that nothing closes stands for itself.
bool glob_matches(std::string_view pattern, std::string_view name, std::uint64_t &steps);

}  // namespace dm
