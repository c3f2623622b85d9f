// Puts a book together and seals it. Runs as the owner.
#include "book_write.hh"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/conf.hh"

namespace dm {
namespace {

void append(std::string &out, const void *data, std::size_t size) { out.append(static_cast<const char *>(data), size); }

bool write_all(int fd, const std::string &bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

bool write_book(int memfd, const Shelf &shelf, bool redacted) {
  std::string texts, table;
  const std::size_t texts_at = sizeof(BookHeader) + shelf.entries.size() * sizeof(BookEntry);
  for (std::size_t i = 0; i < shelf.entries.size(); i++) {
    BookEntry entry = shelf.entries[i];
    if (entry.problem == BookProblem::none) {
      const std::size_t before = texts.size();
      if (redacted) texts += redact_conf(shelf.texts[i]);
      else texts += shelf.texts[i];
      entry.text_at = static_cast<std::uint32_t>(texts_at + before);
      entry.text_size = static_cast<std::uint32_t>(texts.size() - before);
    }
    append(table, &entry, sizeof entry);
  }
  const auto entries = static_cast<std::uint32_t>(shelf.entries.size());
  const auto size = static_cast<std::uint32_t>(texts_at + texts.size());
  const BookHeader header{book_magic, shelf.problem, shelf.detail, shelf.where, entries, size};
  std::string book;
  book.reserve(header.size);
  append(book, &header, sizeof header);
  book += table;
  book += texts;
  return ftruncate(memfd, 0) == 0 && write_all(memfd, book) &&
         fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0;
}

}  // namespace dm
