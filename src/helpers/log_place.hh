// The directories that logs belong into, opened so that nobody else can put a file of the owner's into a log's place. Runs as the
// owner; dmctl's too, as the caller.
#pragma once

#include <string>
#include <string_view>

#include "own.hh"

namespace dm {

// HOME/.daemon-manager/logs, with `create` made where it is missing. With a problem `detail` is an errno, where there is one.
[[nodiscard]] OwnDirectory open_logs(const std::string &home, bool create);

// The directory of the file that output= names (log_path(path) holds), as a place to look from (O_PATH). Below `home`, or else from / on,
// no symbolic link is followed. It must be the owner's or root's, and others may not write to it, unless it is sticky, so that they can
// put nothing there but files of their own.
[[nodiscard]] OwnDirectory open_log_directory(const std::string &home, std::string_view path);

}  // namespace dm
