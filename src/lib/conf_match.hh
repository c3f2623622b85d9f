// Names that a conf holds, compared: keys with what was meant, hosts with patterns. Nothing here acts.
#pragma once

#include <string_view>

namespace dm {

// The known key that somebody may have meant by this word; empty where none is near.
std::string_view nearest_key(std::string_view word);

// True for what host= may hold: letters, digits, - . _ and the signs * and ?, at most 253 of them (a DNS name's length).
bool host_pattern(std::string_view text);

// True for what may be the name of a user: no blanks, no : , / #, no @ in front, at most max_user_name bytes.
bool user_name(std::string_view text);

}  // namespace dm
