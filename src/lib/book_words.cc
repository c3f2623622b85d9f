// Says what is wrong with a file or a directory of an owner's. Everyone's privilege but the monitor's.
#include "lib/book_words.hh"

#include <cerrno>
#include <cstring>

#include <fmt/core.h>

namespace dm {

std::string errno_words(int error) {
  const char *text = ::strerrordesc_np(error);
  return text != nullptr ? text : fmt::format("error {}", error);
}

std::string describe_book_problem(BookProblem problem, std::uint32_t detail, const std::string &path, const std::string &owner,
                                  const char *kind) {
  const std::string env = path + ": the file that env_file= names";
  switch (problem) {
    case BookProblem::none: return {};
    case BookProblem::not_owner:
      return fmt::format("{}: belongs to uid {}; it must belong to {}: remove it and make it anew", path, detail, owner);
    case BookProblem::writable:
      return fmt::format("{}: others may write to it (mode {:04o}): chmod go-w {}", path, detail & 07777, path);
    case BookProblem::not_regular: return fmt::format("{}: is no regular {}; remove it", path, kind);
    case BookProblem::symlink: return fmt::format("{}: is a symbolic link; put the {} itself there", path, kind);
    case BookProblem::too_big:
      return fmt::format("{}: too big: all confs of {} together may have {} bytes ([limits] book in the master config)", path, owner,
                         detail);
    case BookProblem::unreadable:
      if (detail == EACCES)
        return fmt::format("{}: cannot be read: {}: chmod u+{} {}", path, errno_words(EACCES), std::strcmp(kind, "file") == 0 ? "r" : "rx", path);
      return fmt::format("{}: cannot be read: {}", path, errno_words(static_cast<int>(detail)));
    case BookProblem::bad_name: return fmt::format("{}: no name for a daemon", path);
    case BookProblem::missing: return fmt::format("there is no {}; dmctl rescan makes it", path);
    case BookProblem::home_unreachable:
      return fmt::format("{}: cannot be entered: {}; when it is there again, dmctl rescan", path, errno_words(static_cast<int>(detail)));
    case BookProblem::nul_byte: return fmt::format("{}: holds a NUL byte in line {}; a conf is plain text: delete it", path, detail);
    case BookProblem::too_many:
      return fmt::format("{}: {} confs are more than anyone may have ({}); remove some", path, detail, max_entries);
    case BookProblem::env_not_owner:
      return fmt::format("{} belongs to uid {}; it must belong to {}: make a copy of your own", env, detail, owner);
    case BookProblem::env_writable: return fmt::format("{} may be written to by others (mode {:04o}): chmod go-w", env, detail & 07777);
    case BookProblem::env_not_regular: return env + " is no regular file; name one";
    case BookProblem::env_symlink: return env + " is a symbolic link; name the file itself";
    case BookProblem::env_too_big:
      return fmt::format("{} is too big: with all confs of {} it may have {} bytes ([limits] book in the master config)", env, owner,
                         detail);
    case BookProblem::env_unreadable:
      return fmt::format("{} cannot be read: {}. Make it, or correct the line", env, errno_words(static_cast<int>(detail)));
    case BookProblem::env_nul_byte: return fmt::format("{} holds a NUL byte in its line {}; it is plain text: delete it", env, detail);
    case BookProblem::env_bad_line:
      return fmt::format("{} has something else than NAME=value, # and a comment, or nothing in its line {}: mend or delete it", env,
                         detail);
  }
  return fmt::format("{}: refused", path);
}

}  // namespace dm
