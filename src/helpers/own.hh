// What the helpers that touch an owner's home have in common. Run as the owner.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "lib/book.hh"
#include "lib/fd.hh"

namespace dm {

inline constexpr const char *manager_directory = ".daemon-manager";

// The first step of each helper: from here on nobody may ptrace it or read its memory. False where the kernel refuses.
[[nodiscard]] bool undumpable();
// No setuid program gives this process, or what it executes, anything back. Not for dm-run: daemons may use sudo.
[[nodiscard]] bool no_new_privileges();

// Decimal digits and nothing else, at most `most`.
[[nodiscard]] bool parse_decimal(std::string_view text, std::uint32_t most, std::uint32_t &number);

// Opens a home as a place to look from (O_PATH). Root may have made it a symbolic link: the only one that is followed.
[[nodiscard]] Fd open_home(const char *home);

// Whether two descriptors are of one file.
[[nodiscard]] bool same_file(int a, int b);

// A directory of the owner's own: opened, or the reason why not.
struct OwnDirectory {
  Fd fd;
  BookProblem problem = BookProblem::none;
  std::uint32_t detail = 0;
};

// Opens directory `name` (one component) in `at`. It must be a real directory, the caller's own, and not writable by
// group or others: else somebody could put his files in the place of the owner's. With `create` it is made, 0700, where
// it is missing.
[[nodiscard]] OwnDirectory open_own_directory(int at, const char *name, bool create);

// openat2(2) below `at`: no symbolic link anywhere, nothing above. -1 and errno as usual.
[[nodiscard]] Fd open_beneath(int at, const char *name, int flags, mode_t mode = 0);

}  // namespace dm
