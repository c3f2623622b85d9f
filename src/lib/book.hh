// The book: all daemon confs of one owner, read once by dm-scan with the owner's rights, in one sealed memfd.
// There are two of each reading: the full one, for dm-run and dm-log alone, and the one for the worker, without the values
// of exports. Whoever reads a book treats it as hostile: its owner is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/names.hh"

namespace dm {

inline constexpr std::uint32_t book_magic = 0x31424d44;  // "DMB1"

// Why a conf, or the whole book, could not be read. The worker says it in words.
enum class BookProblem : std::uint32_t {
  none,
  not_owner,        // owned by somebody else (detail: the uid)
  writable,         // writable by group or others (detail: the mode)
  not_regular,      // a FIFO, device, directory or socket
  symlink,          // a symbolic link
  too_big,          // over the owner's book limit (detail: the limit in bytes)
  unreadable,       // open or read failed (detail: errno)
  bad_name,         // the file name minus .conf is no name of a daemon; `name` holds what of it is printable ASCII, '?' else
  missing,          // whole book: no ~/.daemon-manager yet: the owner is dormant
  home_unreachable, // whole book: the home cannot be entered (detail: errno)
  nul_byte,         // the text holds a NUL
  too_many,         // whole book: more than max_entries confs (detail: how many)
  // Of the file that env_file= names; with the same details.
  env_not_owner,
  env_writable,
  env_not_regular,
  env_symlink,
  env_too_big,
  env_unreadable,
  env_nul_byte,
  env_bad_line,     // detail: its number, from 1
};

inline constexpr std::uint32_t max_entries = 16384;

// One conf. Entries are sorted by name, names are distinct and NUL-terminated.
struct BookEntry {
  char name[max_name + 8];
  std::uint32_t text_at, text_size;  // bytes from the start of the book; 0 and 0 with a problem
  BookProblem problem;
  std::uint32_t detail;
  std::int64_t modified_ns;  // st_mtim, ns since 1970
  std::uint64_t inode;
  std::uint32_t line, column;  // of the value of env_file=, with a problem of the file that it names; else 0
};

// Start of the memfd; BookEntry[entries] follow, then the texts.
struct BookHeader {
  std::uint32_t magic;
  BookProblem problem;  // of the directories above; with one, entries is 0
  std::uint32_t detail;
  std::uint32_t where;  // whose problem it is: 0 home, 1 ~/.daemon-manager, 2 ~/.daemon-manager/daemons
  std::uint32_t entries;
  std::uint32_t size;   // of the whole file
};

// A conf out of a book.
struct BookConf {
  BookEntry entry;
  std::string text;
};

// Reads the header by pread(2) and checks every field; nothing where it is not a sound book.
std::optional<BookHeader> read_book_header(int book);
// Reads entry `index` and its text by pread(2), with all bounds and the name checked.
std::optional<BookConf> read_book_conf(int book, std::uint32_t index);

// For all of them: the entries are read once, each text by one call. The book must outlive it.
class BookReader {
 public:
  // `header`: what read_book_header() found in this book.
  BookReader(int book, const BookHeader &header);
  // As read_book_conf() does it.
  [[nodiscard]] std::optional<BookConf> read(std::uint32_t index) const;

 private:
  int book;
  BookHeader header;
  std::vector<BookEntry> entries;
};

}  // namespace dm
