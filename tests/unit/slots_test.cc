// The slot table: what a new monitor believes of the file that an old one left. No privilege.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <random>
#include <string>

#include "monitor/slots.hh"

namespace {

using namespace dm;
using namespace dm::monitor;

constexpr std::size_t table_size = sizeof(TableHeader) + max_slots * sizeof(Slot);

// The same numbers in each run.
class Random {
public:
  explicit Random(std::uint32_t seed) : source_(seed) {}
  std::uint32_t operator()() { return static_cast<std::uint32_t>(source_()); }

private:
  std::mt19937_64 source_;
};

// A directory in root's directory's place.
class Directory {
public:
  Directory() {
    char name[] = "/tmp/dm-slots-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
    fd_ = Fd(open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~Directory() {
    (void)unlink(file().c_str());
    (void)unlink((file() + ".head").c_str());
    (void)rmdir(path_.c_str());
  }
  Directory(const Directory &) = delete;
  Directory &operator=(const Directory &) = delete;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::string file() const { return path_ + "/state"; }

private:
  std::string path_;
  Fd fd_;
};

// A table that unmaps itself, as the end of its monitor does.
struct Mapped {
  Table table;
  Found found;
  explicit Mapped(const Directory &directory) { REQUIRE(map_table(directory.fd(), table, found)); }
  ~Mapped() { munmap(table.header, table_size); }
  Mapped(const Mapped &) = delete;
  Mapped &operator=(const Mapped &) = delete;
};

Slot running_slot() {
  Slot slot{};
  slot.generation = 7;
  slot.state = SlotState::running;
  slot.owner_uid = slot.target_uid = 1000;
  slot.pid = 4711;
  slot.identity = 99;
  return slot;
}

// A process that does nothing until the object goes.
class Sleeper {
public:
  Sleeper() : pid_(fork()) {
    if (pid_ == 0)
      for (;;) pause();
    REQUIRE(pid_ > 0);
  }
  ~Sleeper() { end(); }
  Sleeper(const Sleeper &) = delete;
  Sleeper &operator=(const Sleeper &) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

private:
  pid_t pid_;
};

}  // namespace

TEST_CASE("where there is no table a fresh one is made, empty and for root alone") {
  const Directory directory;
  const Mapped it(directory);
  CHECK_FALSE(it.found.foreign);
  CHECK(it.table.high == 0);
  CHECK(it.table.header->instance != 0);
  struct stat status {};
  REQUIRE(stat(directory.file().c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  CHECK(status.st_size == static_cast<off_t>(table_size));
}

TEST_CASE("what one monitor wrote the next one finds, with the same instance") {
  const Directory directory;
  std::uint64_t instance = 0;
  {
    Mapped it(directory);
    instance = it.table.header->instance;
    REQUIRE(set_high(it.table, 42));
    it.table.slots[41] = running_slot();
  }
  const Mapped next(directory);
  CHECK_FALSE(next.found.foreign);
  CHECK(next.found.damaged == 0);
  CHECK(next.table.header->instance == instance);
  CHECK(next.table.high == 42);
  CHECK(next.table.slots[41].pid == 4711);
  CHECK(next.table.slots[41].generation == 7);
}

TEST_CASE("a table of another version, size or boot is not believed") {
  for (int what = 0; what < 3; what++) {
    CAPTURE(what);
    const Directory directory;
    {
      Mapped it(directory);
      REQUIRE(set_high(it.table, 1));
      it.table.slots[0] = running_slot();
      TableHeader &header = *it.table.header;
      if (what == 0) header.version++;
      if (what == 1) header.boot_id[3] = header.boot_id[3] == 'a' ? 'b' : 'a';
      if (what == 2) REQUIRE(truncate(directory.file().c_str(), static_cast<off_t>(table_size) + 1) == 0);
    }
    const Mapped next(directory);
    CHECK(next.found.foreign);
    CHECK(next.table.high == 0);
    CHECK(next.table.slots[0].state == SlotState::free);
    CHECK(next.table.slots[0].pid == 0);
  }
}

TEST_CASE("a head that is damaged is mended, and the slots are judged as ever") {
  for (int what = 0; what < 6; what++) {
    CAPTURE(what);
    const Directory directory;
    std::uint64_t instance = 0;
    {
      Mapped it(directory);
      instance = it.table.header->instance;
      REQUIRE(set_high(it.table, 3));
      it.table.slots[0] = it.table.slots[1] = it.table.slots[2] = running_slot();
      it.table.slots[1].pid = -1;
      TableHeader &header = *it.table.header;
      if (what == 0) header.magic++;
      if (what == 1) header.slot_size += 8;
      if (what == 2) header.slots--;
      if (what == 3) header.boot_id[3] = 'x';
      if (what == 4) header.instance++;
      if (what == 5) header = {};
    }
    const Mapped next(directory);
    CHECK(next.found.mended);
    CHECK_FALSE(next.found.foreign);
    CHECK(next.found.damaged == 1);
    CHECK(next.table.high == 3);
    CHECK(next.table.header->high == 3);
    CHECK(next.table.header->instance == instance);
    CHECK(next.table.slots[2].pid == 4711);
  }
}

TEST_CASE("a table whose head is damaged and whose copy is of another file or boot is not believed") {
  for (int what = 0; what < 3; what++) {
    CAPTURE(what);
    const Directory directory;
    {
      Mapped it(directory);
      REQUIRE(set_high(it.table, 1));
      it.table.slots[0] = running_slot();
      *it.table.header = {};
    }
    const std::string copy = directory.file() + ".head";
    const Fd file(open(copy.c_str(), O_WRONLY | O_CLOEXEC));
    const off_t at = what == 0 ? static_cast<off_t>(sizeof(TableHeader)) : 24;  // the inode, the boot
    if (what < 2) REQUIRE(pwrite(file.get(), "zzzz", 4, at) == 4);
    else REQUIRE(unlink(copy.c_str()) == 0);
    const Mapped next(directory);
    CHECK(next.found.foreign);
    CHECK(next.table.high == 0);
  }
}

TEST_CASE("of a table that was cut short the whole slots stay") {
  const Directory directory;
  {
    Mapped it(directory);
    REQUIRE(set_high(it.table, 5));
    for (int i = 0; i < 5; i++) it.table.slots[i] = running_slot();
    REQUIRE(truncate(directory.file().c_str(), static_cast<off_t>(sizeof(TableHeader) + 3 * sizeof(Slot) + 17)) == 0);
  }
  const Mapped next(directory);
  CHECK_FALSE(next.found.foreign);
  CHECK(next.found.lost == 2);
  CHECK(next.table.high == 3);
  CHECK(next.table.slots[3].state == SlotState::free);
  CHECK(next.table.slots[3].generation == 0);
  struct stat status {};
  REQUIRE(stat(directory.file().c_str(), &status) == 0);
  CHECK(status.st_size == static_cast<off_t>(table_size));
}

TEST_CASE("a slot out of its ranges is dropped, and the others stay") {
  const Directory directory;
  {
    Mapped it(directory);
    REQUIRE(set_high(it.table, 6));
    for (int i = 0; i < 6; i++) it.table.slots[i] = running_slot();
    it.table.slots[5].sockets = max_sockets + 1;
    it.table.slots[0].state = static_cast<SlotState>(slot_states);
    it.table.slots[1].pid = -1;
    it.table.slots[2].pid = 0;
    it.table.slots[3].owner_uid = 0xffffffff;
  }
  const Mapped next(directory);
  CHECK(next.found.damaged == 5);
  for (int i = 0; i < 4; i++) CHECK(next.table.slots[i].state == SlotState::free);
  CHECK(next.table.slots[4].state == SlotState::running);
}

TEST_CASE("no table of random bytes yields a slot out of its ranges") {
  const Directory directory;
  Random random(3);
  for (int round = 0; round < 5; round++) {
    {
      Mapped it(directory);
      REQUIRE(set_high(it.table, max_slots));
      auto *words = static_cast<std::uint32_t *>(static_cast<void *>(it.table.slots));
      for (std::size_t i = 0; i < max_slots * sizeof(Slot) / sizeof *words; i++) words[i] = random();
      // Few random numbers are a state; more of the slots shall get past that test.
      for (std::uint32_t i = 0; i < max_slots; i += 2) it.table.slots[i].state = static_cast<SlotState>(random() % 6), it.table.slots[i].sockets = random() % 10;
    }
    const Mapped next(directory);
    CHECK_FALSE(next.found.foreign);
    for (std::uint32_t i = 0; i < max_slots; i++) {
      const Slot &slot = next.table.slots[i];
      if (slot.state == SlotState::free) continue;
      CHECK(static_cast<std::uint32_t>(slot.state) < slot_states);
      CHECK(slot.pid >= 0);
      CHECK(i < next.table.high);
      CHECK(slot.sockets <= max_sockets);
      // -1 as a pid would be everybody, 0 our own group.
      if (slot.state > SlotState::starting) CHECK(slot.pid > 0);
    }
  }
}

TEST_CASE("a symbolic link in the place of the table is not followed") {
  const Directory directory;
  REQUIRE(symlink("/tmp/dm-slots-elsewhere", directory.file().c_str()) == 0);
  Table table;
  Found found;
  CHECK_FALSE(map_table(directory.fd(), table, found));
  CHECK(access("/tmp/dm-slots-elsewhere", F_OK) != 0);
}

TEST_CASE("a process keeps its identity, and no two have the same") {
  const Sleeper one, two;
  const std::uint64_t identity = identity_of(one.pid());
  CHECK(identity != 0);
  CHECK(identity_of(one.pid()) == identity);
  CHECK(identity_of(two.pid()) != identity);
}

TEST_CASE("who is to become a daemon signs for its run, unless its monitor died before either of them had noted it") {
  Slot slot{};
  slot.runs = 4;
  slot.end_code = CLD_KILLED;
  CHECK_FALSE(sign(slot, 5, ::getpid()));  // who is not our parent
  CHECK((slot.pid == ::getpid() && slot.identity == identity_of(::getpid())));
  CHECK((slot.runs == 4 && slot.end_code == CLD_KILLED));
  CHECK(sign(slot, 5, ::getppid()));
  CHECK((slot.runs == 5 && slot.end_code == 0 && slot.started_ms != 0));
  CHECK(sign(slot, 5, ::getpid()));  // noted already
}

TEST_CASE("one that is gone has no identity") {
  Sleeper it;
  const pid_t pid = it.pid();
  it.end();
  CHECK(identity_of(pid) == 0);
  CHECK(identity_of(0) == 0);
  CHECK(identity_of(-1) == 0);
}
