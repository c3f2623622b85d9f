// Books: what a hostile owner may write into one, and that none of it is believed. No privilege.
#include "helper_process.hh"

#include <functional>

using namespace dm;
using namespace dm::test;

namespace {

Fd book_of(const std::string &bytes) {
  Fd fd = memfd();
  REQUIRE(write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return fd;
}

struct Parts {
  BookHeader header;
  BookEntry entries[2];
};

// A good book of two confs, changed by `change`.
Fd changed(const std::function<void(Parts &)> &change) {
  std::string bytes = contents(make_book({{"a", "dir=/a\n"}, {"b", "dir=/b\n"}}).get());
  Parts parts;
  memcpy(&parts, bytes.data(), sizeof parts);
  change(parts);
  memcpy(bytes.data(), &parts, sizeof parts);
  return book_of(bytes);
}

bool header_refused(const std::function<void(BookHeader &)> &change) {
  return !read_book_header(changed([&](Parts &parts) { change(parts.header); }).get());
}

bool entry_refused(const std::function<void(BookEntry &)> &change) {
  const Fd book = changed([&](Parts &parts) { change(parts.entries[1]); });
  const bool refused = !read_book_conf(book.get(), 1);
  // Who reads all of them is told the same of each.
  const BookReader all(book.get(), *read_book_header(book.get()));
  CHECK(all.read(0));
  CHECK(!all.read(1) == refused);
  return refused;
}

}  // namespace

TEST_CASE("a sound book is read") {
  const Fd book = make_book({{"a", "dir=/a\n"}, {"b", ""}});
  REQUIRE(read_book_header(book.get()));
  CHECK(read_book_header(book.get())->entries == 2);
  CHECK(read_book_conf(book.get(), 0)->text == "dir=/a\n");
  CHECK(std::string(read_book_conf(book.get(), 1)->entry.name) == "b");
  CHECK(read_book_conf(book.get(), 1)->text.empty());
  CHECK(!read_book_conf(book.get(), 2));
  CHECK(!read_book_conf(book.get(), 0xffffffff));
  const BookReader all(book.get(), *read_book_header(book.get()));
  CHECK(all.read(0)->text == "dir=/a\n");
  CHECK(std::string(all.read(1)->entry.name) == "b");
  CHECK(!all.read(2));
  CHECK(!all.read(0xffffffff));
}

TEST_CASE("a header with any field off is refused") {
  CHECK(!read_book_header(-1));
  CHECK(!read_book_header(book_of("").get()));
  CHECK(!read_book_header(book_of("DMB1").get()));
  CHECK(header_refused([](BookHeader &h) { h.magic++; }));
  CHECK(header_refused([](BookHeader &h) { h.size++; }));
  CHECK(header_refused([](BookHeader &h) { h.size = 0; }));
  CHECK(header_refused([](BookHeader &h) { h.where = 3; }));
  CHECK(header_refused([](BookHeader &h) { h.entries = 1000; }));
  CHECK(header_refused([](BookHeader &h) { h.entries = 0xffffffff; }));
  CHECK(header_refused([](BookHeader &h) { h.problem = BookProblem::missing; }));   // and yet entries
  CHECK(header_refused([](BookHeader &h) { h.problem = static_cast<BookProblem>(99); h.entries = 0; }));
  CHECK(header_refused([](BookHeader &h) { h.problem = BookProblem::bad_name; h.entries = 0; }));  // not of a whole book
  CHECK(!header_refused([](BookHeader &h) { h.problem = BookProblem::missing; h.entries = 0; }));
}

TEST_CASE("an entry with any field off is refused") {
  CHECK(!entry_refused([](BookEntry &) {}));
  CHECK(entry_refused([](BookEntry &e) { e.text_at = 0; }));
  CHECK(entry_refused([](BookEntry &e) { e.text_at = 0xfffffff0; }));
  CHECK(entry_refused([](BookEntry &e) { e.text_size = 0xffffffff; }));
  CHECK(entry_refused([](BookEntry &e) { e.text_size++; }));
  CHECK(entry_refused([](BookEntry &e) { memset(e.name, 'b', sizeof e.name); }));
  CHECK(entry_refused([](BookEntry &e) { e.name[0] = '/'; }));
  CHECK(entry_refused([](BookEntry &e) { e.name[0] = '\0'; }));
  CHECK(entry_refused([](BookEntry &e) { e.name[5] = 'x'; }));  // behind the NUL
  CHECK(entry_refused([](BookEntry &e) { e.name[0] = 'a'; }));  // twice
  CHECK(entry_refused([](BookEntry &e) { e.name[0] = '0'; }));  // not sorted
  CHECK(entry_refused([](BookEntry &e) { e.problem = BookProblem::too_many; }));
  CHECK(entry_refused([](BookEntry &e) { e.problem = static_cast<BookProblem>(77); }));
  CHECK(entry_refused([](BookEntry &e) { e.problem = BookProblem::symlink; }));  // and yet a text
  CHECK(!entry_refused([](BookEntry &e) { e.problem = BookProblem::symlink; e.text_at = e.text_size = 0; }));
}

TEST_CASE("a bad name is shown only where it is printable and really bad") {
  const auto bad = [](BookEntry &e, const char *name) {
    e.problem = BookProblem::bad_name;
    e.text_at = e.text_size = 0;
    strcpy(e.name, name);
  };
  CHECK(!entry_refused([&](BookEntry &e) { bad(e, "b c"); }));
  CHECK(entry_refused([&](BookEntry &e) { bad(e, "b\x1b[2J"); }));
  CHECK(entry_refused([&](BookEntry &e) { bad(e, "good"); }));
  CHECK(entry_refused([&](BookEntry &e) { bad(e, ""); }));
}

TEST_CASE("a text with a NUL is refused") {
  const Fd book = make_book({{"a", std::string("dir=/a\0b", 8)}});
  CHECK(!read_book_conf(book.get(), 0));
}

TEST_CASE("something else than a memfd is no book") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const Fd out(ends[0]), in(ends[1]);
  CHECK(!read_book_header(out.get()));
}
