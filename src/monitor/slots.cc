// Maps the slot table and tells processes apart. Runs as root.
#include "monitor/slots.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>

namespace dm::monitor {
namespace {

constexpr std::uint32_t table_magic = 0x31544d44;  // "DMT1"
constexpr std::uint32_t table_version = 2;
constexpr std::size_t table_size = sizeof(TableHeader) + max_slots * sizeof(Slot);
constexpr long pidfs_magic = 0x50494446;  // linux/magic.h of 6.9

bool sound_slot(const Slot &slot) {
  return static_cast<std::uint32_t>(slot.state) < slot_states && slot.pid >= 0 &&
         (slot.state < SlotState::starting || slot.pid > 0 || slot.state == SlotState::starting) &&
         slot.owner_uid != 0xffffffff && slot.sockets <= max_sockets;
}

bool same_boot(const TableHeader &header, const char *boot_id) {
  return header.magic == table_magic && header.version == table_version && header.slot_size == sizeof(Slot) &&
         header.slots == max_slots && std::memcmp(header.boot_id, boot_id, sizeof header.boot_id) == 0;
}

// A head that is whole, and not ours. Any other that is not ours either was damaged.
bool foreign(const TableHeader &header, const char *boot_id) {
  const std::string_view boot(header.boot_id, 36);
  return header.magic == table_magic && (header.version != table_version ||
         (boot.find_first_not_of("0123456789abcdef-") == boot.npos && std::memcmp(header.boot_id, boot_id, sizeof header.boot_id) != 0));
}

// Kept beside the table, to mend its head by. Safe because it is of this boot and version, and of this very file; what is in the slots
// is judged as ever.
struct Head {
  TableHeader header;
  std::uint64_t inode;
};

// Up to which slots are in use, of those that are whole.
std::uint32_t used_slots(const Fd &file) {
  constexpr std::uint32_t batch = 64;
  std::uint32_t used = 0, whole = batch;
  Slot slots[batch];
  for (std::uint32_t first = 0; first < max_slots && whole == batch; first += batch) {
    const ssize_t size = ::pread(file.get(), slots, sizeof slots, static_cast<off_t>(sizeof(TableHeader) + first * sizeof(Slot)));
    whole = size > 0 ? static_cast<std::uint32_t>(static_cast<std::size_t>(size) / sizeof(Slot)) : 0;
    for (std::uint32_t i = 0; i < whole; i++)
      if (slots[i].state != SlotState::free) used = first + i + 1;
  }
  return used;
}

// The process's start time, field 22 of /proc/PID/stat; its second field is a name the process chose, so from the last ')'.
std::uint64_t start_time(std::int32_t pid) {
  char path[32], text[1024];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  const ssize_t size = file ? ::read(file.get(), text, sizeof text - 1) : -1;
  if (size <= 0) return 0;
  text[size] = '\0';
  const char *at = std::strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 22; field++) at = std::strchr(at + 1, ' ');
  std::uint64_t ticks = 0;
  if (at != nullptr)
    for (at++; *at >= '0' && *at <= '9'; at++) ticks = ticks * 10 + static_cast<std::uint64_t>(*at - '0');
  return ticks;
}

}  // namespace

std::uint64_t identity_of(std::int32_t pid) {
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  struct statfs where;
  struct stat what;
  if (pidfd && ::fstatfs(pidfd.get(), &where) == 0 && where.f_type == pidfs_magic && ::fstat(pidfd.get(), &what) == 0)
    return what.st_ino;
  return start_time(pid);
}

void note_run(Slot &slot, std::int32_t pid, std::uint32_t runs) {
  slot.pid = pid;
  slot.runs = runs;
  slot.end_code = slot.end_status = 0;
  slot.started_ms = now_ms();
}

bool sign(Slot &slot, std::uint32_t runs, std::int32_t monitor) {
  slot.pid = ::getpid();
  slot.identity = identity_of(slot.pid);
  if (slot.runs != runs && ::getppid() != monitor) return false;
  note_run(slot, slot.pid, runs);
  return true;
}

std::int64_t now_ms() {
  timespec now;
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

bool set_high(Table &table, std::uint32_t high) {
  if (high > max_slots) return errno = EUSERS, false;
  constexpr std::uint32_t step = 256;  // slots at a time, some 70 KiB
  const std::uint32_t wanted = (high / step + 1) * step < max_slots ? (high / step + 1) * step : max_slots;
  if (wanted > table.backed && table.file) {
    const auto size = static_cast<off_t>(sizeof(TableHeader) + wanted * sizeof(Slot));
    errno = ::posix_fallocate(table.file.get(), 0, size);
    if (errno != 0) return false;
    table.backed = wanted;
  }
  table.high = high;
  if (table.header != nullptr) table.header->high = high;
  return true;
}

bool map_table(int run_dir, Table &table, Found &found) {
  char boot_id[40] = {};
  const Fd boot(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  if (!boot || ::read(boot.get(), boot_id, 36) != 36) return false;
  // Safe because the directory is root's and nobody else can write there.
  Fd file(::openat(run_dir, "state", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return false;
  struct stat status, dir;
  if (::fstat(file.get(), &status) != 0 || ::fstat(run_dir, &dir) != 0) return false;
  const Fd beside(::openat(run_dir, "state.head", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  TableHeader old{};
  Head head{};
  const off_t size = status.st_size;
  const bool there = size <= static_cast<off_t>(table_size) && ::pread(file.get(), &old, sizeof old, 0) == sizeof old && !foreign(old, boot_id);
  const bool kept = there && ::pread(beside.get(), &head, sizeof head, 0) == sizeof head && head.inode == status.st_ino && same_boot(head.header, boot_id);
  found.mended = kept && (!same_boot(old, boot_id) || old.instance != head.header.instance);
  const bool fresh = found.fresh = !there || (!found.mended && !same_boot(old, boot_id));
  found.foreign = fresh && size != 0;
  const std::uint32_t used = fresh ? 0 : used_slots(file);
  if (!fresh && !found.mended && size < static_cast<off_t>(table_size) && old.high <= max_slots && old.high > used) found.lost = old.high - used;
  if (found.mended) old = head.header;
  // What is not a whole slot goes, and zeros, which are free ones, come.
  if (fresh && ::ftruncate(file.get(), 0) != 0) return false;
  if (size < static_cast<off_t>(table_size) && !fresh && ::ftruncate(file.get(), static_cast<off_t>(sizeof old + used * sizeof(Slot))) != 0) return false;
  if (::ftruncate(file.get(), table_size) != 0) return false;
  void *map = ::mmap(nullptr, table_size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (map == MAP_FAILED) return false;
  table.file = static_cast<Fd &&>(file);
  if (!set_high(table, used)) return false;
  table.header = static_cast<TableHeader *>(map);
  table.slots = static_cast<Slot *>(static_cast<void *>(table.header + 1));
  if (fresh) {
    TableHeader header{table_magic, table_version, sizeof(Slot), max_slots, 0, {}, 0, 0, 0, 0};
    std::memcpy(header.boot_id, boot_id, sizeof boot_id);
    header.instance = std::uint64_t{dir.st_dev} << 40 ^ dir.st_ino;
    old = header;
  }
  head = {*table.header = old, status.st_ino};
  (void)!::pwrite(beside.get(), &head, sizeof head, 0);  // where there is no room the next one does without
  for (std::uint32_t i = 0, known = std::exchange(table.high, 0); i < known; i++) {
    Slot &slot = table.slots[i];
    if (slot.state == SlotState::free) continue;
    if (sound_slot(slot)) table.high = i + 1;
    else slot.state = SlotState::free, found.damaged++;
  }
  table.header->high = table.high;
  return true;
}

bool map_scratch(int run_dir, Table &table) {
  const TableHeader *old = look_at_table(run_dir);
  if (old == nullptr || !same_boot(*old, old->boot_id)) return false;
  void *map = ::mmap(nullptr, table_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return false;
  table.header = static_cast<TableHeader *>(map);
  table.slots = static_cast<Slot *>(static_cast<void *>(table.header + 1));
  return true;
}

const TableHeader *look_at_table(int run_dir) {
  const Fd file(::openat(run_dir, "state", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!file || ::fstat(file.get(), &status) != 0 || status.st_size != static_cast<off_t>(table_size)) return nullptr;
  const void *map = ::mmap(nullptr, sizeof(TableHeader), PROT_READ, MAP_SHARED, file.get(), 0);
  return map == MAP_FAILED ? nullptr : static_cast<const TableHeader *>(map);
}

}  // namespace dm::monitor
