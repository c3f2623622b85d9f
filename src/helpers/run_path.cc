// Finds the very component of a path that cannot be passed. Runs as the target.
#include "run_path.hh"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace dm {

PathFault find_blocked(const std::string &path, bool but_last) {
  std::size_t at = 0;
  for (;;) {
    const std::size_t from = path.find_first_not_of('/', at);
    if (from == std::string::npos) return {};
    const std::size_t end = std::min(path.find('/', from), path.size());
    const bool last = path.find_first_not_of('/', end) == std::string::npos;
    if (last && but_last) return {};
    const std::string prefix = path.substr(0, end);
    struct stat info {};
    int error = 0;
    if (stat(prefix.c_str(), &info) != 0) error = errno;
    else if (!S_ISDIR(info.st_mode)) error = ENOTDIR;
    // Real and effective uid are the same here, so access(2) asks just what chdir(2) would.
    else if (access(prefix.c_str(), X_OK) != 0) error = errno;
    if (error != 0) return {static_cast<std::uint32_t>(end), error};
    at = end;
  }
}

}  // namespace dm
