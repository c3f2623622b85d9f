// A dm-scan that somebody has taken over, for test_hostile_books.py: what it gives for amy is in /tmp/scan. Runs as the owner.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "lib/book.hh"

namespace {

constexpr int worker_book = 3, full_book = 4;
constexpr int all_seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

// A book with one conf.
std::string book_of(const char *name, const std::string &text) {
  dm::BookEntry entry{};
  std::strcpy(entry.name, name);
  entry.text_at = sizeof(dm::BookHeader) + sizeof entry;
  entry.text_size = static_cast<std::uint32_t>(text.size());
  const auto size = static_cast<std::uint32_t>(entry.text_at + text.size());
  const dm::BookHeader header{dm::book_magic, dm::BookProblem::none, 0, 0, 1, size};
  std::string all(reinterpret_cast<const char *>(&header), sizeof header);
  return all.append(reinterpret_cast<const char *>(&entry), sizeof entry) + text;
}

bool give(int book, const std::string &text, int seals) {
  return write(book, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fcntl(book, F_ADD_SEALS, seals) == 0;
}

}  // namespace

int main(int, char **argv) {
  char how[16] = "", other[64] = "";
  int first = all_seals, second = all_seals;
  std::FILE *const order = std::fopen("/tmp/scan", "r");
  if (order == nullptr || std::fscanf(order, "%15s %d %d %63[^\n]", how, &first, &second, other) < 1) return 1;
  if (std::strcmp(argv[1], "/home/amy") != 0 || std::strcmp(how, "honest") == 0)
    return execv("/usr/libexec/daemon-manager/dm-scan.real", argv);
  const std::string good = book_of("radio", "dir=/\nstart=sleep 9003\n");
  if (std::strcmp(how, "seals") == 0) return give(worker_book, good, first) && give(full_book, good, second) ? 0 : 1;
  if (std::strcmp(how, "noise") == 0) {
    std::srand(static_cast<unsigned>(first));
    std::string noise = good;
    for (int i = 0; i < second; i++) noise[static_cast<std::size_t>(std::rand()) % noise.size()] = static_cast<char>(std::rand());
    return give(worker_book, noise, all_seals) && give(full_book, noise, all_seals) ? 0 : 1;
  }
  if (std::strcmp(how, "sizes") == 0)  // of files, with nothing in them
    return ftruncate(worker_book, first) == 0 && ftruncate(full_book, second) == 0 && give(worker_book, "", all_seals) &&
                   give(full_book, "", all_seals) ? 0 : 1;
  if (std::strcmp(how, "two") == 0)  // one to be judged, and another one to be run
    return give(worker_book, good, first) && give(full_book, book_of("radio", std::string("dir=/\n") + other + "\nstart=touch /tmp/thief\n"), second) ? 0 : 1;
  return first;  // an exit code
}
