// When dmctl uses colours, and which. The caller's privilege.
#pragma once

#include <string>
#include <string_view>

#include "dmctl/command.hh"

namespace dm::dmctl {

// As --color says; else where `fd` is a terminal that can (TERM is not dumb), unless NO_COLOR is set.
bool use_colour(When when, int fd);

// An SGR parameter; "" is none.
namespace colour {
inline constexpr std::string_view none = "", bold = "1", faint = "2", reverse = "7", red = "31", green = "32", yellow = "33", cyan = "36";
}
// Green for what is well, yellow for what is on its way or waits, red for what is not; stopped and done have none.
std::string_view colour_of_state(std::string_view state);
// The text in that colour; as it is where there is none.
std::string paint(std::string_view text, std::string_view colour);

}  // namespace dm::dmctl
