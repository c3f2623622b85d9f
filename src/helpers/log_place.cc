// Opens the directories of logs. Runs as the owner.
#include "log_place.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace dm {
namespace {

OwnDirectory failed(int error) {
  OwnDirectory out;
  out.problem = error == ELOOP ? BookProblem::symlink : error == ENOTDIR ? BookProblem::not_regular : error == ENOENT ? BookProblem::missing : BookProblem::unreadable;
  out.detail = static_cast<std::uint32_t>(error);
  return out;
}

}  // namespace

OwnDirectory open_logs(const std::string &home, bool create) {
  const Fd at = open_home(home.c_str());
  if (!at) return failed(errno);
  OwnDirectory manager = open_own_directory(at.get(), manager_directory, false);
  return manager.fd ? open_own_directory(manager.fd.get(), "logs", create) : std::move(manager);
}

OwnDirectory open_log_directory(const std::string &home, std::string_view path) {
  const bool below = path.starts_with(home) && path.substr(home.size()).starts_with('/');
  const Fd at = open_home(below ? home.c_str() : "/");
  if (!at) return failed(errno);
  // "." for what has nothing between the two.
  const std::string_view inner = path.substr(below ? home.size() : 0);
  const std::string directory = "." + std::string(inner.substr(0, inner.rfind('/')));
  OwnDirectory out;
  out.fd = open_beneath(at.get(), directory.c_str(), O_PATH | O_DIRECTORY);
  if (!out.fd) return failed(errno);
  struct stat info {};
  if (fstat(out.fd.get(), &info) != 0) return failed(errno);
  const bool exposed = (info.st_mode & 022) != 0 && (info.st_mode & S_ISVTX) == 0;
  if (info.st_uid != geteuid() && info.st_uid != 0) out.problem = BookProblem::not_owner, out.detail = info.st_uid;
  else if (exposed) out.problem = BookProblem::writable, out.detail = info.st_mode & 07777;
  if (out.problem != BookProblem::none) out.fd.reset();
  return out;
}

}  // namespace dm
