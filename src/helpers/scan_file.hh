// Reads one file of the owner's: a conf, or what its env_file= names. Runs as the owner, in dm-scan.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <string>

#include "lib/book.hh"
#include "lib/conf_expand.hh"
#include "lib/fd.hh"

namespace dm {

// Never through a link, and never waiting for the other end of a FIFO.
inline constexpr int own_file_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

struct OwnFile {
  BookProblem problem = BookProblem::none;
  std::uint32_t detail = 0;
  std::int64_t modified_ns = 0;
  std::uint64_t inode = 0;
  std::string text;  // empty with a problem
};

// Judges and reads what was opened with own_file_flags; errno is the reason where `fd` is none. It must be a regular file of the
// owner's that nobody else may write, without NUL, of at most `room` bytes of the owner's `limit`.
OwnFile read_own_file(Fd fd, std::uint32_t limit, std::uint32_t room);

// Where the conf in `text` has an env_file, its lines become exports behind those of the conf, which win. What is wrong with it
// becomes the entry's problem, and the text goes.
void add_env_file(BookEntry &entry, std::string &text, const Meanings &meanings, std::uint32_t limit, std::uint32_t room);

}  // namespace dm
