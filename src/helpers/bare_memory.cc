// Memory for a program without a C library (bare_start.cc tells why): all of it is given back by the exec. Runs as the target.
// Compiled so that the compiler does not make calls of these functions out of their own loops.
#include <bits/functexcept.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "bare.hh"

namespace {

constexpr std::size_t chunk = 256 * 1024, alignment = 16;
alignas(alignment) char first_chunk[64 * 1024];
char *next = first_chunk;
std::size_t left = sizeof first_chunk;

// Never given back singly: what is read is one conf, and its strings live until the exec.
void *take(std::size_t size) {
  if (size > SIZE_MAX / 2) std::abort();
  size = (size + alignment - 1) & ~(alignment - 1);
  if (size > left) {
    const std::size_t more = size > chunk / 4 ? size + chunk : chunk;
    const long at = dm::bare_call(SYS_mmap, nullptr, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at >= -4095) std::abort();
    next = reinterpret_cast<char *>(at);
    left = more;
  }
  left -= size;
  return std::exchange(next, next + size);
}

}  // namespace

extern "C" {

void abort() noexcept { dm::bare_exit(127); }
// Called by compiled code alone.
[[noreturn]] void __stack_chk_fail();
void __stack_chk_fail() { abort(); }

void *memcpy(void *__restrict to, const void *__restrict from, std::size_t size) noexcept {
  void *at = to;
  __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
  return to;
}
void *memmove(void *to, const void *from, std::size_t size) noexcept {
  auto *const out = static_cast<char *>(to);
  const auto *const in = static_cast<const char *>(from);
  if (out <= in || out >= in + size) return memcpy(to, from, size);
  while (size-- > 0) out[size] = in[size];
  return to;
}
void *memset(void *to, int byte, std::size_t size) noexcept {
  void *at = to;
  __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
  return to;
}
int memcmp(const void *a, const void *b, std::size_t size) noexcept {
  const auto *const one = static_cast<const unsigned char *>(a), *const other = static_cast<const unsigned char *>(b);
  for (std::size_t i = 0; i < size; i++)
    if (one[i] != other[i]) return one[i] - other[i];
  return 0;
}
std::size_t strnlen(const char *text, std::size_t most) noexcept {
  std::size_t size = 0;
  while (size < most && text[size] != '\0') size++;
  return size;
}
std::size_t strlen(const char *text) noexcept { return strnlen(text, SIZE_MAX); }

// The checked twins, which compiled code calls where it knows how much room there is.
void *__memcpy_chk(void *to, const void *from, std::size_t size, std::size_t room) noexcept;
void *__memmove_chk(void *to, const void *from, std::size_t size, std::size_t room) noexcept;
void *__memset_chk(void *to, int byte, std::size_t size, std::size_t room) noexcept;
void *__memcpy_chk(void *to, const void *from, std::size_t size, std::size_t room) noexcept { return size > room ? abort(), nullptr : memcpy(to, from, size); }
void *__memmove_chk(void *to, const void *from, std::size_t size, std::size_t room) noexcept { return size > room ? abort(), nullptr : memmove(to, from, size); }
void *__memset_chk(void *to, int byte, std::size_t size, std::size_t room) noexcept { return size > room ? abort(), nullptr : memset(to, byte, size); }

// By another name, for the header has two of this one, and clang's are not to be defined.
const void *find_byte(const void *in, int byte, std::size_t size) noexcept __asm__("memchr");
const void *find_byte(const void *in, int byte, std::size_t size) noexcept {
  const auto *const bytes = static_cast<const unsigned char *>(in);
  for (std::size_t i = 0; i < size; i++)
    if (bytes[i] == static_cast<unsigned char>(byte)) return bytes + i;
  return nullptr;
}

}  // extern "C"

void *operator new(std::size_t size) { return take(size); }
void *operator new(std::size_t size, const std::nothrow_t &) noexcept { return take(size); }
void operator delete(void *) noexcept {}
void operator delete(void *, std::size_t) noexcept {}

// Where the C++ library would throw.
namespace std {
const nothrow_t nothrow{};
void __throw_bad_alloc() { abort(); }
void __throw_bad_array_new_length() { abort(); }
void __throw_length_error(const char *) { abort(); }
void __throw_logic_error(const char *) { abort(); }
void __throw_out_of_range_fmt(const char *, ...) { abort(); }
}  // namespace std
