// dm-scan: reads an owner's confs into two sealed books (lib/helper.hh tells how it is called). Runs as the owner.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "book_write.hh"
#include "lib/helper.hh"
#include "own.hh"
#include "scan_file.hh"

namespace {

using namespace dm;

constexpr std::uint32_t most_limit = 1U << 28;       // above any sensible [limits] book; keeps offsets in 32 bits
constexpr std::uint32_t most_counted = 10'000'000;   // a FUSE home may list files for ever

// The confs' file names; of too many only the number counts. False when the directory cannot be listed.
bool list_confs(Fd directory, std::vector<std::string> &names, std::uint32_t &count) {
  DIR *dir = fdopendir(directory.get());
  if (dir == nullptr) return false;
  (void)directory.release();  // closedir closes it
  count = 0;
  errno = 0;
  while (const dirent *entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name.front() == '.' || !name.ends_with(".conf")) continue;
    if (++count <= max_entries) names.emplace_back(name);
    if (count == most_counted) break;
  }
  const int error = errno;
  closedir(dir);
  errno = error;
  return error == 0;
}

// The entry for a file; what of a bad name may be shown is kept.
BookEntry name_entry(const std::string &file) {
  BookEntry entry{};
  const std::string_view name = std::string_view(file).substr(0, file.size() - strlen(".conf"));
  if (!valid_daemon_name(name)) entry.problem = BookProblem::bad_name;
  const std::size_t size = std::min(name.size(), sizeof entry.name - 1);
  std::transform(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(size), entry.name,
                 [](char c) { return c >= ' ' && c <= '~' ? c : '?'; });
  return entry;
}

// Everything is judged on the descriptor: what was checked is what is read, whatever the name means a moment later.
BookEntry read_conf(int directory, const std::string &file, BookEntry entry, std::uint32_t limit, std::uint32_t room,
                    std::string &text) {
  OwnFile read = read_own_file(open_beneath(directory, file.c_str(), own_file_flags), limit, room);
  entry.modified_ns = read.modified_ns;
  entry.inode = read.inode;
  entry.problem = read.problem;
  entry.detail = read.detail;
  text = std::move(read.text);
  return entry;
}

void read_all(int directory, const std::vector<std::string> &files, const char *home, const char *owner, std::uint32_t limit,
              Shelf &shelf) {
  std::vector<std::pair<BookEntry, const std::string *>> found;
  found.reserve(files.size());
  for (const std::string &file : files) found.emplace_back(name_entry(file), &file);
  const auto compare = [](const BookEntry &a, const BookEntry &b) { return memcmp(a.name, b.name, sizeof a.name); };
  std::sort(found.begin(), found.end(), [&](const auto &a, const auto &b) { return compare(a.first, b.first) < 0; });
  // Two bad names may look alike once their odd bytes are '?': one of them speaks for both. Good names never do.
  found.erase(std::unique(found.begin(), found.end(),
                          [&](const auto &a, const auto &b) { return compare(a.first, b.first) == 0; }),
              found.end());
  std::uint32_t room = limit;
  for (auto &[entry, file] : found) {
    std::string text;
    if (entry.problem == BookProblem::none) entry = read_conf(directory, *file, entry, limit, room, text);
    if (entry.problem == BookProblem::none) add_env_file(entry, text, {entry.name, owner, home}, limit, room);
    room -= static_cast<std::uint32_t>(text.size());
    shelf.entries.push_back(entry);
    shelf.texts.push_back(std::move(text));
  }
}

Shelf scan(const char *home_path, const char *owner, bool create, std::uint32_t limit) {
  Shelf shelf;
  const auto whole = [&shelf](BookProblem problem, std::uint32_t detail, std::uint32_t where) {
    shelf.problem = problem;
    shelf.detail = detail;
    shelf.where = where;
    return std::move(shelf);
  };
  const Fd home = open_home(home_path);
  if (!home) return whole(BookProblem::home_unreachable, static_cast<std::uint32_t>(errno), 0);
  OwnDirectory manager = open_own_directory(home.get(), manager_directory, create);
  if (manager.problem != BookProblem::none) return whole(manager.problem, manager.detail, 1);
  OwnDirectory daemons = open_own_directory(manager.fd.get(), "daemons", create);
  if (daemons.problem != BookProblem::none) return whole(daemons.problem, daemons.detail, 2);
  // dm-log makes this one too when it needs it, and says what is wrong with it.
  if (create) (void)mkdirat(manager.fd.get(), "logs", 0700);
  std::vector<std::string> files;
  std::uint32_t count = 0;
  Fd listing(fcntl(daemons.fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!listing || !list_confs(std::move(listing), files, count))
    return whole(BookProblem::unreadable, static_cast<std::uint32_t>(errno), 2);
  if (count > max_entries) return whole(BookProblem::too_many, count, 2);
  read_all(daemons.fd.get(), files, home_path, owner, limit, shelf);
  return shelf;
}

}  // namespace

int main(int argc, char **argv) {
  if (!undumpable() || !no_new_privileges()) return 1;
  if (argc != 5) return 1;
  const std::string_view how = argv[3];
  std::uint32_t limit = 0;
  if ((how != "look" && how != "create") || !parse_decimal(argv[4], most_limit, limit)) return 1;
  umask(077);
  const Shelf shelf = scan(argv[1], argv[2], how == "create", limit);
  return write_book(helper_fd, shelf, true) && write_book(helper_fd2, shelf, false) ? 0 : 1;
}
