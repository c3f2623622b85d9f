// Books of a hostile owner: two of any bytes, one after the other, first field by field, then through the worker, whose clients ask
// about what it found there.
#include <sys/mman.h>

#include <cerrno>
#include <set>

#include "lib/conf.hh"
#include "worker_world.hh"

namespace dm::fuzz {
namespace {

constexpr std::uint32_t david = 2;  // his row

std::array<std::string, 2> books;
unsigned turns = 0;

// A book whose size is what its header says, where the fuzzer wants that: it would seldom find the right four bytes.
std::string with_size(std::string book) {
  const auto size = static_cast<std::uint32_t>(book.size());
  if (book.size() >= sizeof(BookHeader)) std::memcpy(&book[offsetof(BookHeader, size)], &size, sizeof size);
  return book;
}

void read_all(const std::string &bytes) {
  const Fd file(::memfd_create("book", MFD_CLOEXEC));
  must(::pwrite(file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "a book can be written");
  const auto header = read_book_header(file.get());
  if (!header) return must(!read_book_conf(file.get(), 0), "nothing is read out of a book that is none");
  must(header->size == bytes.size() && header->entries <= max_entries && header->where <= 2, "a sound book has a sound header");
  const BookReader reader(file.get(), *header);
  std::string before;
  bool all = true;
  for (std::uint32_t i = 0; i < header->entries; i++) {
    const auto conf = read_book_conf(file.get(), i);
    const auto same = reader.read(i);
    must(conf.has_value() == same.has_value() && (!conf || conf->text == same->text), "who reads all reads the same");
    all = all && conf.has_value();
    if (!conf) continue;
    const std::string name = conf->entry.name;
    const bool misnamed = conf->entry.problem == BookProblem::bad_name;
    must(valid_daemon_name(name) != misnamed && name.size() < sizeof conf->entry.name, "an entry has a name, or is said to have none");
    must(!all || i == 0 || before < name, "names come in order, each once");
    must(conf->text.size() <= bytes.size() && conf->text.find('\0') == std::string::npos, "a text is part of the book");
    must(conf->entry.problem == BookProblem::none || conf->text.empty(), "what could not be read has no text");
    (void)parse_conf(conf->text, false);
    before = name;
  }
  must(!read_book_conf(file.get(), header->entries) && !read_book_conf(file.get(), 0xffffffff), "there is nothing behind the last entry");
}

void ask(World &w, std::string_view words) {
  connect(w, uid_david, listener_shared);
  std::string payload(words);
  for (char &c : payload) c = c == ' ' ? '\0' : c;
  payload.push_back('\0');
  const FrameHeader header{FrameKind::request, static_cast<std::uint32_t>(payload.size())};
  if (!w.peers.empty()) send(w, w.peers.back(), std::string(reinterpret_cast<const char *>(&header), sizeof header) + payload);
}

bool step(World &w) {
  switch (turns++) {
    case 3: tell_book(w, david, BookResult::ok, books[0]); return true;
    case 5: ask(w, "status  "); return true;
    case 6: ask(w, "restart   all"); return true;
    case 10: w.books[uid_david] = books[1]; ask(w, "rescan  "); return true;
    case 13: ask(w, "start   all"); return true;
    case 15: w.worker->done = true; return true;  // the successor begins with the book
    case 20: ask(w, "status  "); return true;
    case 22: tell_book(w, david, BookResult::ok, books[0]); return true;
    case 24: ask(w, "stop   all"); return true;
    default: return turns < 26;
  }
}

}  // namespace
}  // namespace dm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace dm::fuzz;
  Input input(data, size);
  const std::uint8_t how = input.byte();
  books[0] = input.bytes(input.number<std::uint16_t>());
  books[1] = input.rest();
  if ((how & 1) != 0)
    for (std::string &book : books) book = with_size(book);
  for (const std::string &book : books) read_all(book);
  World world(Input(nullptr, 0));
  world.obedient = (how & 2) != 0;
  turns = 0;
  run_workers(world, step);
  return 0;
}
