// The first instructions of dm-run, where it is linked without a C library (x86-64). Runs as the target.
//
// On the path of every respawn a C library would only cost: it asks the processor for its caches and features, some sixty
// cpuid instructions, each of which leaves a virtual machine for the host (5 us; together more than half of what dm-run took).
// So dm-run brings the little that it needs: these first instructions, system calls (bare_calls.cc) and memory
// (bare_memory.cc). What is missing does not link.
#include <elf.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <asm/prctl.h>

#include <cstddef>
#include <cstdint>

#include "bare.hh"

extern "C" {
// Made by the linker; with the first byte of the program its place in memory is known.
extern __attribute__((visibility("hidden"))) char __ehdr_start[];
extern __attribute__((visibility("hidden"))) const Elf64_Dyn _DYNAMIC[];
extern __attribute__((visibility("hidden"))) void (*const __init_array_start[])();
extern __attribute__((visibility("hidden"))) void (*const __init_array_end[])();
int main(int argc, char **argv);
[[noreturn]] __attribute__((visibility("hidden"))) void bare_start(std::uintptr_t *stack);
}

// The kernel leaves argc, the arguments, the environment and the auxiliary vector on the stack.
__asm__(".globl _start\n"
        ".type _start, @function\n"
        "_start:\n"
        "  xor %ebp, %ebp\n"
        "  mov %rsp, %rdi\n"
        "  and $-16, %rsp\n"
        "  call bare_start\n"
        "  hlt\n"
        ".size _start, .-_start\n");

namespace {

constexpr std::uintptr_t page = 4096;

// What the compiler looks for by the thread pointer: itself at its start, and the stack protector's word at 0x28.
struct Thread {
  Thread *self;
  std::uintptr_t unused[4];
  std::uintptr_t canary;
};
static_assert(offsetof(Thread, canary) == 0x28);
Thread thread;

template <typename T>
T *at(std::uintptr_t address) {
  return reinterpret_cast<T *>(reinterpret_cast<std::uintptr_t>(__ehdr_start) + address);
}

// Pointers in tables: the program was linked for address 0. No other kind of relocation is in a program that stands alone.
void relocate() {
  std::uintptr_t table = 0, size = 0;
  for (const Elf64_Dyn *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++) {
    if (entry->d_tag == DT_RELA) table = entry->d_un.d_ptr;
    if (entry->d_tag == DT_RELASZ) size = entry->d_un.d_val;
  }
  for (const Elf64_Rela *it = at<Elf64_Rela>(table), *end = it + size / sizeof *it; it != end; it++) {
    if (ELF64_R_TYPE(it->r_info) != R_X86_64_RELATIVE) __builtin_trap();
    *at<std::uintptr_t>(it->r_offset) = reinterpret_cast<std::uintptr_t>(at<char>(static_cast<std::uintptr_t>(it->r_addend)));
  }
}

// From now on those tables are read-only.
bool seal(const Elf64_Phdr *headers, std::uintptr_t count) {
  for (std::uintptr_t i = 0; i < count; i++) {
    if (headers[i].p_type != PT_GNU_RELRO) continue;
    const std::uintptr_t from = headers[i].p_vaddr & ~(page - 1), to = (headers[i].p_vaddr + headers[i].p_memsz) & ~(page - 1);
    return dm::bare_call(SYS_mprotect, at<char>(from), to - from, PROT_READ) == 0;
  }
  return true;
}

}  // namespace

void bare_start(std::uintptr_t *stack) {
  relocate();
  const auto count = static_cast<int>(stack[0]);
  char **words = reinterpret_cast<char **>(stack + 1);
  std::uintptr_t *rest = stack + 1 + count + 1;
  while (*rest != 0) rest++;  // the environment
  std::uintptr_t headers = 0, header_count = 0, random = 0;
  for (rest++; rest[0] != AT_NULL; rest += 2) {
    if (rest[0] == AT_PHDR) headers = rest[1];
    if (rest[0] == AT_PHNUM) header_count = rest[1];
    if (rest[0] == AT_RANDOM) random = rest[1];
  }
  thread.self = &thread;
  // (its first byte stays zero: no text that is copied over it can end in the same)
  thread.canary = *reinterpret_cast<const std::uintptr_t *>(random) & ~std::uintptr_t{0xff};
  const bool ready = dm::bare_call(SYS_arch_prctl, ARCH_SET_FS, &thread) == 0 && seal(reinterpret_cast<const Elf64_Phdr *>(headers), header_count);
  for (auto *one = __init_array_start; ready && one != __init_array_end; one++) (*one)();
  dm::bare_exit(ready ? main(count, words) : 127);
}
