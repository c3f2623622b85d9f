// What is wrong with a file or a directory of an owner's, in words. Everyone's privilege but the monitor's; nothing here acts.
#pragma once

#include <string>

#include "lib/book.hh"

namespace dm {

// "No such file or directory" for ENOENT …, without a locale and so without a file.
std::string errno_words(int error);

// Why the conf at `path` (or, with `kind` "directory", a directory above it) is refused, and what to do. Bytes of the path are
// as they are: whoever prints, escapes.
std::string describe_book_problem(BookProblem problem, std::uint32_t detail, const std::string &path, const std::string &owner,
                                  const char *kind = "file");

}  // namespace dm
