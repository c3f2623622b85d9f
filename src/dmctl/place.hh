// Puts a file into a directory of the caller's at once or not at all. The caller's privilege.
#pragma once

#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>

namespace dm::dmctl {

enum class Over { nothing, the_old };

// Writes `text` beside `name`, under a name that no scan takes for a conf, and gives it its name when all of it is on the disk:
// with Over::nothing only where there is none of that name (EEXIST). `group` is kept where the caller may; -1: his own.
// `was`: the old one as it was when it was read; where somebody has changed it since that is ESTALE, and its group has to be kept.
// 0, or the errno of what failed; then `name` is as it was.
[[nodiscard]] int place_file(int directory, const std::string &name, std::string_view text, mode_t mode, gid_t group, Over over,
                             const struct stat *was = nullptr);

}  // namespace dm::dmctl
