// Tries every system call from within the worker's cage, a forked process for each, and prints those that survive as SECURITY.md
// lists them. Linked with src/worker/sandbox.cc and -Wl,--wrap=seccomp_load: the filter itself is read too, for all arguments.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <vector>


namespace dm::worker {
bool enter_sandbox();
}

namespace {

using namespace dm;

constexpr long last_call = 600;        // Linux 6.18 ends below 480
constexpr long last_call_of_32_bits = 480;
constexpr long x32_bit = 0x40000000;
constexpr long self = -4711;           // stands for the pid of the process that tries
constexpr int no_cage = 250;

int filter_file = -1;  // where the filter is written to when it is loaded

struct Call {
  long number;
  long arguments[6];
};

// How a call ended: killed by the filter, or with an errno (0: it worked), or with another signal.
struct End {
  bool killed;
  int error;
};

#if defined(__x86_64__)
long old_entry(const Call &call) {
  long result = call.number;
  __asm__ volatile("int $0x80" : "+a"(result) : "b"(call.arguments[0]), "c"(call.arguments[1]), "d"(call.arguments[2]) : "memory", "r8", "r9", "r10", "r11");
  return result;
}
#endif

[[noreturn]] void do_call(Call call, bool old) {
  for (long &argument : call.arguments)
    if (argument == self) argument = ::getpid();
  if (!dm::worker::enter_sandbox()) ::_exit(no_cage);
#if defined(__x86_64__)
  if (old) ::_exit(old_entry(call) < 0 ? 1 : 0);
#else
  (void)old;
#endif
  const long *const a = call.arguments;
  ::_exit(::syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]) == -1 ? errno : 0);
}

End attempt(const Call &call, bool old = false) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(5);  // a call that waits has survived
    do_call(call, old);
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid || (WIFEXITED(status) && WEXITSTATUS(status) == no_cage)) {
    std::printf("wrong: no process or no cage for call %ld\n", call.number);
    std::_Exit(1);
  }
  return {WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, WIFEXITED(status) ? WEXITSTATUS(status) : 0};
}

std::string name_of(long number) {
  char *const name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number));
  const std::string text = name != nullptr ? name : "number " + std::to_string(number);
  std::free(name);
  return text;
}

// Two that the kernel lets pass any filter (uretprobe and uprobe: they end whoever calls them but from a probe of root's).
bool odd(long number) {
#if defined(__x86_64__)
  return number == 335 || number == 336;
#else
  return number < 0;
#endif
}

char page[2 * 4096] __attribute__((aligned(4096)));
int word = 1;
template <typename T> long at(T *pointer) { return static_cast<long>(reinterpret_cast<std::uintptr_t>(pointer)); }

struct Variation {
  const char *text;  // as in SECURITY.md where it shall survive
  Call call;
};

std::vector<Variation> allowed_variations() {
  constexpr long both = SOCK_CLOEXEC | SOCK_NONBLOCK, write = PROT_READ | PROT_WRITE, plain = MAP_PRIVATE | MAP_ANONYMOUS;
  return {{"sendto without an address", {SYS_sendto, {-1, at(page), 1, 0, 0, 0}}},
          {"accept4 with SOCK_CLOEXEC and SOCK_NONBLOCK", {SYS_accept4, {-1, 0, 0, both}}},
          {"getsockopt SO_PEERCRED", {SYS_getsockopt, {-1, SOL_SOCKET, SO_PEERCRED, at(page), at(&word)}}},
          {"mmap private, anonymous, not executable", {SYS_mmap, {0, 4096, write, plain, -1, 0}}},
          {"futex wait and wake, private", {SYS_futex, {at(&word), FUTEX_WAKE_PRIVATE, 1}}},
          {"futex wait and wake, private", {SYS_futex, {at(&word), FUTEX_WAIT_PRIVATE, 2}}},
          {"tgkill of itself with SIGABRT", {SYS_tgkill, {self, self, SIGABRT}}}};
}

std::vector<Variation> forbidden_variations() {
  constexpr long write = PROT_READ | PROT_WRITE, plain = MAP_PRIVATE | MAP_ANONYMOUS;
  std::vector<Variation> all = {
      {"sendto an address", {SYS_sendto, {-1, at(page), 1, 0, at(page), 16}}},
      {"sendto an address of which the low half is zero", {SYS_sendto, {-1, at(page), 1, 0, 1L << 32, 16}}},
      {"accept4 without flags", {SYS_accept4, {-1, 0, 0, 0}}},
      {"accept4 that blocks", {SYS_accept4, {-1, 0, 0, SOCK_CLOEXEC}}},
      {"accept4 without SOCK_CLOEXEC", {SYS_accept4, {-1, 0, 0, SOCK_NONBLOCK}}},
      {"mmap of a file", {SYS_mmap, {0, 4096, PROT_READ, MAP_PRIVATE, 0, 0}}},
      {"mmap shared", {SYS_mmap, {0, 4096, write, MAP_SHARED | MAP_ANONYMOUS, -1, 0}}},
      {"mmap at a fixed place", {SYS_mmap, {at(page), 4096, write, plain | MAP_FIXED, -1, 0}}},
      {"mmap locked", {SYS_mmap, {0, 4096, write, plain | MAP_LOCKED, -1, 0}}},
      {"tgkill of another", {SYS_tgkill, {::getpid(), ::getpid(), SIGABRT}}},
      {"tgkill of init", {SYS_tgkill, {1, 1, SIGABRT}}},
      {"tgkill of all", {SYS_tgkill, {-1, -1, SIGABRT}}},
  };
  for (const long rights : {PROT_EXEC, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC})
    all.push_back({"mmap executable", {SYS_mmap, {0, 4096, rights, plain, -1, 0}}});
  for (const long option : {SO_ERROR, SO_TYPE, SO_PEERSEC, SO_PEERGROUPS, 77 /* SO_PEERPIDFD */})
    all.push_back({"getsockopt of another option", {SYS_getsockopt, {-1, SOL_SOCKET, option, at(page), at(&word)}}});
  all.push_back({"getsockopt of another level", {SYS_getsockopt, {-1, IPPROTO_TCP, SO_PEERCRED, at(page), at(&word)}}});
  for (const long operation : {FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE_PRIVATE, FUTEX_CMP_REQUEUE_PRIVATE, FUTEX_WAKE_OP_PRIVATE,
                               FUTEX_LOCK_PI_PRIVATE, FUTEX_WAIT_BITSET_PRIVATE, FUTEX_WAIT_PRIVATE | FUTEX_CLOCK_REALTIME})
    all.push_back({"futex with another operation", {SYS_futex, {at(&word), operation, 2}}});
  for (const long signal : {0, SIGKILL, SIGSTOP, SIGTERM})
    all.push_back({"tgkill with another signal", {SYS_tgkill, {self, self, signal}}});
  return all;
}

// Calls that would work, were they not made to fail.
std::vector<Call> quiet_calls() {
  return {{SYS_openat, {AT_FDCWD, at("/"), O_RDONLY}},
          {SYS_mremap, {at(page), 4096, 4096, 0}},
          {SYS_madvise, {at(page), 4096, MADV_NORMAL}}};
}

// Each number with zeros and with ones, and those for which the arguments matter with these.
void try_calls() {
  std::set<long> special;
  for (const Variation &it : allowed_variations()) {
    special.insert(it.call.number);
    if (attempt(it.call).killed) std::printf("wrong: %s is killed\n", it.text);
    else std::printf("argument %s\n", it.text);
  }
  for (const Variation &it : forbidden_variations())
    if (!attempt(it.call).killed) std::printf("wrong: %s survives\n", it.text);
  for (const Call &call : quiet_calls()) {
    special.insert(call.number);
    const End end = attempt(call);
    if (!end.killed) std::printf("quiet %s (%s)\n", name_of(call.number).c_str(), strerrorname_np(end.error));
  }
  for (long number = 0; number <= last_call; number++) {
    if (odd(number) || special.count(number) != 0) continue;
    const bool killed = attempt({number, {}}).killed && attempt({number, {-1, -1, -1, -1, -1, -1}}).killed;
    if (!killed) std::printf("allowed %s\n", name_of(number).c_str());
  }
}

// The ways in that no program of 64 bits uses.
void try_other_entries() {
#if defined(__x86_64__)
  for (long number = 0; number <= last_call; number++)
    if (!attempt({x32_bit | number, {}}).killed) std::printf("wrong: number %ld of x32 survives\n", number);
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(old_entry({20, {}}) == ::getpid() ? 0 : 1);  // getpid
  int status = 0;
  ::waitpid(pid, &status, 0);
  const bool has_old_entry = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  std::printf("entry %s\n", has_old_entry ? "tried" : "missing: this kernel has no 32-bit entry");
  for (long number = 0; has_old_entry && number <= last_call_of_32_bits; number++)
    if (!attempt({number, {}}, true).killed) std::printf("wrong: number %ld of the 32-bit entry survives\n", number);
#endif
}

// All that the filter can answer to a call with this number and any arguments.
struct Reader {
  const std::vector<sock_filter> &code;
  std::uint32_t number, architecture;
  std::set<std::uint32_t> answers{};

  void go(std::size_t at, std::uint32_t value, bool known) {
    for (; at < code.size(); at++) {
      const sock_filter &it = code[at];
      bool yes = false;
      switch (it.code) {
        case BPF_RET | BPF_K: answers.insert(it.k); return;
        case BPF_JMP | BPF_JA: at += it.k; continue;
        case BPF_ALU | BPF_AND | BPF_K: value &= it.k; continue;
        case BPF_LD | BPF_W | BPF_ABS:
          known = it.k == offsetof(seccomp_data, nr) || it.k == offsetof(seccomp_data, arch);
          value = it.k == offsetof(seccomp_data, nr) ? number : architecture;
          continue;
        case BPF_JMP | BPF_JEQ | BPF_K: yes = value == it.k; break;
        case BPF_JMP | BPF_JGT | BPF_K: yes = value > it.k; break;
        case BPF_JMP | BPF_JGE | BPF_K: yes = value >= it.k; break;
        case BPF_JMP | BPF_JSET | BPF_K: yes = (value & it.k) != 0; break;
        default: std::printf("wrong: an instruction 0x%x in the filter\n", it.code); std::_Exit(1);
      }
      if (!known) go(at + 1 + (yes ? it.jf : it.jt), value, known);
      at += yes ? it.jt : it.jf;
    }
  }
};

std::set<std::uint32_t> answers(const std::vector<sock_filter> &code, std::uint32_t number, std::uint32_t architecture) {
  Reader reader{code, number, architecture};
  reader.go(0, 0, true);
  return reader.answers;
}

std::vector<sock_filter> load_filter() {
  filter_file = ::memfd_create("filter", 0);
  attempt({SYS_getpid, {}});
  std::vector<sock_filter> code(static_cast<std::size_t>(::lseek(filter_file, 0, SEEK_END)) / sizeof(sock_filter));
  const ssize_t size = ::pread(filter_file, code.data(), code.size() * sizeof(sock_filter), 0);
  if (size <= 0) std::printf("wrong: no filter was loaded\n");
  return code;
}

// What the filter says of each number, whatever the arguments.
void read_filter() {
  const std::vector<sock_filter> code = load_filter();
  const std::uint32_t here = seccomp_arch_native();
  const std::set<std::uint32_t> killed = {SECCOMP_RET_KILL_PROCESS}, allowed = {SECCOMP_RET_ALLOW};
  for (const std::uint32_t bits : {0U, 0x40000000U, 0x80000000U, 0xffff0000U})
    for (std::uint32_t number = 0; number < 65536; number++) {
      const auto said = answers(code, bits | number, here);
      if (said == killed) continue;
      const std::string name = name_of(static_cast<long>(bits | number));
      const std::uint32_t one = *said.begin();
      if (said == allowed) std::printf("may allowed %s\n", name.c_str());
      else if (said.size() > 1) std::printf("may argument %s\n", name.c_str());
      else std::printf("may quiet %s (%s)\n", name.c_str(), strerrorname_np(static_cast<int>(one & SECCOMP_RET_DATA)));
    }
  for (const std::uint32_t other : {std::uint32_t{SCMP_ARCH_X86}, std::uint32_t{SCMP_ARCH_AARCH64}, std::uint32_t{SCMP_ARCH_ARM}, 0U})
    for (std::uint32_t number = 0; number < 1024 && other != here; number++)
      if (answers(code, number, other) != killed) std::printf("wrong: number %u of architecture 0x%x survives\n", number, other);
}

}  // namespace

extern "C" int __real_seccomp_load(const scmp_filter_ctx filter);
extern "C" int __wrap_seccomp_load(const scmp_filter_ctx filter);
extern "C" int __wrap_seccomp_load(const scmp_filter_ctx filter) {
  if (filter_file >= 0) seccomp_export_bpf(filter, filter_file);
  return __real_seccomp_load(filter);
}

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // children must not say it once more
  read_filter();
  filter_file = -1;
  try_calls();
  try_other_entries();
}
