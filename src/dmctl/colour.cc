// When dmctl uses colours, and which. The caller's privilege.
#include "dmctl/colour.hh"

#include <cstdlib>
#include <unistd.h>

namespace dm::dmctl {

bool use_colour(When when, int fd) {
  if (when != When::fits) return when == When::always;
  const char *refused = ::getenv("NO_COLOR"), *terminal = ::getenv("TERM");
  const bool dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
  return ::isatty(fd) != 0 && !dumb && (refused == nullptr || *refused == '\0');
}

std::string_view colour_of_state(std::string_view state) {
  if (state == "running" || state == "listening") return colour::green;
  if (state == "failed") return colour::red;
  if (state == "starting" || state == "stopping" || state == "waiting" || state == "cooldown") return colour::yellow;
  return colour::none;
}

std::string paint(std::string_view text, std::string_view colour) {
  if (colour.empty()) return std::string(text);
  return "\x1b[" + std::string(colour) + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace dm::dmctl
