// What the parts of a program without a C library have in common (bare_start.cc tells why). x86-64.
#pragma once

#include <sys/syscall.h>

namespace dm {

// A system call with up to six arguments: what the kernel says, -errno where it failed.
template <typename... Arguments>
inline long bare_call(long number, Arguments... arguments) {
  static_assert(sizeof...(arguments) <= 6);
  const long all[] = {(long)arguments..., 0, 0, 0, 0, 0, 0};  // pointers and numbers alike
  register long fourth __asm__("r10") = all[3];
  register long fifth __asm__("r8") = all[4];
  register long sixth __asm__("r9") = all[5];
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(all[0]), "S"(all[1]), "d"(all[2]), "r"(fourth), "r"(fifth), "r"(sixth)
                   : "rcx", "r11", "memory");
  return result;
}

[[noreturn]] inline void bare_exit(int code) {
  for (;;) bare_call(SYS_exit_group, code);
}

}  // namespace dm
