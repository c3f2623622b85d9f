// Reads books, whose writer is hostile: every field is checked before use. Worker's, target's or owner's privilege.
#include "lib/book.hh"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace dm {
namespace {

bool read_at(int fd, void *into, std::size_t size, std::uint64_t at) {
  char *to = static_cast<char *>(into);
  while (size > 0) {
    const ssize_t n = pread(fd, to, size, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    to += n;
    at += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

// By reading, not by fstat(2): the worker's filter knows no such call.
bool has_size(int book, std::uint32_t size) {
  char byte;
  return read_at(book, &byte, 1, size - 1) && pread(book, &byte, 1, size) == 0;
}

constexpr bool whole_book(BookProblem problem) {
  switch (problem) {
    case BookProblem::none:
    case BookProblem::not_owner:
    case BookProblem::writable:
    case BookProblem::not_regular:
    case BookProblem::symlink:
    case BookProblem::unreadable:
    case BookProblem::missing:
    case BookProblem::home_unreachable:
    case BookProblem::too_many: return true;
    case BookProblem::too_big:
    case BookProblem::bad_name:
    case BookProblem::nul_byte:
    case BookProblem::env_not_owner:
    case BookProblem::env_writable:
    case BookProblem::env_not_regular:
    case BookProblem::env_symlink:
    case BookProblem::env_too_big:
    case BookProblem::env_unreadable:
    case BookProblem::env_nul_byte:
    case BookProblem::env_bad_line: return false;
  }
  return false;
}

constexpr bool one_conf(BookProblem problem) {
  switch (problem) {
    case BookProblem::none:
    case BookProblem::not_owner:
    case BookProblem::writable:
    case BookProblem::not_regular:
    case BookProblem::symlink:
    case BookProblem::too_big:
    case BookProblem::unreadable:
    case BookProblem::bad_name:
    case BookProblem::nul_byte:
    case BookProblem::env_not_owner:
    case BookProblem::env_writable:
    case BookProblem::env_not_regular:
    case BookProblem::env_symlink:
    case BookProblem::env_too_big:
    case BookProblem::env_unreadable:
    case BookProblem::env_nul_byte:
    case BookProblem::env_bad_line: return true;
    case BookProblem::missing:
    case BookProblem::home_unreachable:
    case BookProblem::too_many: return false;
  }
  return false;
}

// NUL-terminated, zeros behind it, and either a daemon's name or, with bad_name, printable and none.
bool good_name(const BookEntry &entry) {
  const std::string_view field(entry.name, sizeof entry.name);
  const std::string_view name = field.substr(0, field.find('\0'));
  if (name.size() == field.size()) return false;
  if (field.find_first_not_of('\0', name.size()) != std::string_view::npos) return false;
  if (entry.problem != BookProblem::bad_name) return valid_daemon_name(name);
  return !name.empty() && !valid_daemon_name(name) &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

bool good_entry(const BookEntry &entry, const BookHeader &header) {
  if (!one_conf(entry.problem) || !good_name(entry)) return false;
  if (entry.problem != BookProblem::none) return entry.text_at == 0 && entry.text_size == 0;
  const std::uint64_t texts = sizeof(BookHeader) + std::uint64_t{header.entries} * sizeof(BookEntry);
  return entry.text_at >= texts && entry.text_at <= header.size && entry.text_size <= header.size - entry.text_at;
}

constexpr std::uint64_t entry_at(std::uint32_t index) { return sizeof(BookHeader) + std::uint64_t{index} * sizeof(BookEntry); }

// `before`: the entry before it, if there is one; names ascend.
std::optional<BookConf> take_entry(int book, const BookHeader &header, const BookEntry *before, const BookEntry &entry) {
  if (!good_entry(entry, header)) return std::nullopt;
  if (before != nullptr && memcmp(before->name, entry.name, sizeof entry.name) >= 0) return std::nullopt;
  BookConf conf{entry, {}};
  conf.text.resize(entry.text_size);
  if (!read_at(book, conf.text.data(), conf.text.size(), entry.text_at)) return std::nullopt;
  if (conf.text.find('\0') != std::string::npos) return std::nullopt;
  return conf;
}

}  // namespace

std::optional<BookHeader> read_book_header(int book) {
  BookHeader header{};
  if (!read_at(book, &header, sizeof header, 0)) return std::nullopt;
  if (header.magic != book_magic || header.size < sizeof header || !has_size(book, header.size)) return std::nullopt;
  if (!whole_book(header.problem) || header.where > 2 || header.entries > max_entries) return std::nullopt;
  if (header.problem != BookProblem::none && header.entries != 0) return std::nullopt;
  if (header.entries > (header.size - sizeof header) / sizeof(BookEntry)) return std::nullopt;
  return header;
}

std::optional<BookConf> read_book_conf(int book, std::uint32_t index) {
  const auto header = read_book_header(book);
  if (!header || index >= header->entries) return std::nullopt;
  // With the one before it, so that whoever reads all entries has seen that no name comes twice.
  BookEntry pair[2]{};
  const std::uint32_t from = index == 0 ? 0 : index - 1, count = index - from + 1;
  if (!read_at(book, pair, count * sizeof(BookEntry), entry_at(from))) return std::nullopt;
  return take_entry(book, *header, count == 2 ? &pair[0] : nullptr, pair[count - 1]);
}

BookReader::BookReader(int from, const BookHeader &head) : book(from), header(head), entries(head.entries) {
  if (!read_at(book, entries.data(), entries.size() * sizeof(BookEntry), entry_at(0))) entries.clear();
}

std::optional<BookConf> BookReader::read(std::uint32_t index) const {
  if (index >= entries.size()) return std::nullopt;
  return take_entry(book, header, index == 0 ? nullptr : &entries[index - 1], entries[index]);
}

}  // namespace dm
