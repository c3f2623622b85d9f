// Changes a conf in its place, whole or not at all. The rights of its owner, who is the caller.
#pragma once

#include <string>
#include <string_view>

namespace dm::dmctl {

// The text with autostart= so, and all other bytes as they were: the line's value is changed, or, where there is no such line and
// what goes without saying is not what is wanted, a line is added at the end.
std::string with_autostart(std::string_view text, bool on);

// What became of it; `problem` says why nothing was changed.
struct Edit {
  bool changed = false;
  std::string problem;
};

// Does that to the file `name` in the directory `daemons`, whose path is for the problem's text: with the mode and the group that it
// has, by another file that takes its place. A link, or what is not the caller's alone to write, is refused.
Edit edit_autostart(int daemons, const std::string &path, const std::string &name, const std::string &owner, bool on);

}  // namespace dm::dmctl
