// The editor that a person likes, on a file. The caller's privilege.
#pragma once

#include <string>

namespace dm::dmctl {

// Runs $VISUAL, else $EDITOR, else editor, else vi, and waits for it; "" where it ended well, else how it ended.
std::string run_editor(const std::string &path);

}  // namespace dm::dmctl
