// dm-log, the built program, as an unassigned user, with FIFOs and orders as the monitor gives them. Needs root.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "helper_process.hh"

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <chrono>
#include <csignal>
#include <ctime>
#include <functional>
#include <memory>
#include <sstream>
#include <thread>

#include "helpers/log_lines.hh"
#include "lib/helper.hh"

using namespace dm;
using namespace dm::test;

namespace {

bool eventually(const std::function<bool()> &holds) {
  for (int i = 0; i < 500; i++) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return holds();
}

// A dm-log with one open FIFO for each name, slots 0, 1, …
struct Log {
  Home home;
  Fd socket, book;
  std::vector<Fd> writers;
  pid_t pid = -1;
  std::vector<std::string> names;

  explicit Log(std::vector<std::string> all = {"web"}, const std::function<void(const Home &)> &prepare = nullptr)
      : names(std::move(all)) {
    home.directory(".daemon-manager");
    if (prepare) prepare(home);
    std::vector<std::pair<std::string, std::string>> confs;
    for (const std::string &name : names) confs.emplace_back(name, "dir=/\nstart=x\n");
    book = make_book(confs);
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    socket = Fd(ends[0]);
    const Fd its(ends[1]);
    pid = start_helper("DM_LOG", {home.path()}, owner_uid, its.get());
    for (std::uint32_t i = 0; i < names.size(); i++) {
      const std::string fifo = home.at("fifo" + std::to_string(i));
      REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
      writers.emplace_back(::open(fifo.c_str(), O_RDWR | O_CLOEXEC));
      open(i);
    }
  }
  ~Log() {
    socket.reset();
    if (pid > 0) end_of(pid);
  }
  void send(const LogOrder &order, const std::vector<int> &fds = {}, std::size_t size = sizeof(LogOrder)) const {
    std::string bytes(reinterpret_cast<const char *>(&order), sizeof order);
    bytes.resize(size, 'x');
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
      header.msg_control = control;
      header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
      cmsghdr *item = CMSG_FIRSTHDR(&header);
      item->cmsg_level = SOL_SOCKET;
      item->cmsg_type = SCM_RIGHTS;
      item->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      memcpy(CMSG_DATA(item), fds.data(), fds.size() * sizeof(int));
    }
    REQUIRE(sendmsg(socket.get(), &header, MSG_NOSIGNAL) == static_cast<ssize_t>(size));
  }
  [[nodiscard]] Fd reader(std::uint32_t slot) const {
    return Fd(::open(home.at("fifo" + std::to_string(slot)).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }
  void open(std::uint32_t slot) const {
    const Fd fifo = reader(slot);
    LogOrder order{};
    order.slot = order.entry = slot;
    send(order, {fifo.get(), book.get()});
  }
  void tell(LogKind kind, std::int32_t value, std::int32_t code = 0, std::uint32_t slot = 0) const {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    send({kind, slot, 0, value, code, 0, now.tv_sec * 1'000'000'000 + now.tv_nsec});
  }
  void print(std::string_view text, std::size_t slot = 0) const {
    REQUIRE(write(writers[slot].get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  [[nodiscard]] std::string path(std::size_t slot = 0) const { return home.at(".daemon-manager/logs/" + names[slot] + ".log"); }
  // The log's lines, each without its stamp, which is checked.
  [[nodiscard]] std::string text(std::size_t slot = 0) const { return strip(slurp(path(slot))); }
  static std::string strip(const std::string &log) {
    std::string out, line;
    std::istringstream lines(log);
    while (std::getline(lines, line)) {
      std::string shape = line.substr(0, 25);
      for (char &c : shape) c = c >= '0' && c <= '9' ? '0' : c;
      out += shape == "0000-00-00T00:00:00.000Z " ? line.substr(25) + "\n" : "UNSTAMPED " + line.substr(0, 60) + "\n";
    }
    return out;
  }
  int finish() {
    socket.reset();
    return end_of(std::exchange(pid, -1));
  }
};

const std::string in_logs = ".daemon-manager/logs";

}  // namespace

TEST_CASE("stamps are UTC to the millisecond, over leap days and centuries") {
  const auto stamp = [](std::int64_t seconds, std::int64_t ms = 0) {
    std::string out;
    put_stamp(out, (seconds * 1000 + ms) * 1'000'000);
    return out;
  };
  CHECK(stamp(0) == "1970-01-01T00:00:00.000Z ");
  CHECK(stamp(1795350896, 789) == "2026-11-22T12:34:56.789Z ");
  CHECK(stamp(951782399, 999) == "2000-02-28T23:59:59.999Z ");
  CHECK(stamp(951782400) == "2000-02-29T00:00:00.000Z ");
  for (std::int64_t t = 1; t < 9'000'000'000; t += 8'640'7123) {
    const time_t seconds = t;
    char expected[64];
    REQUIRE(strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.000Z ", gmtime(&seconds)) > 0);
    CHECK(stamp(t) == expected);
  }
}

TEST_CASE("lines come stamped, with starts and exits noted between them") {
  Log log;
  log.tell(LogKind::started, 123);
  log.print("one\ntwo\n\nunfinished");
  log.tell(LogKind::exited, 1, CLD_EXITED);
  log.tell(LogKind::started, 124);
  log.tell(LogKind::exited, SIGKILL, CLD_KILLED);
  log.tell(LogKind::exited, SIGSEGV, CLD_DUMPED);
  CHECK(log.finish() == 0);
  CHECK(log.text() == "--- started, pid 123 ---\none\ntwo\n\nunfinished\n--- exited with code 1 ---\n--- started, pid 124 ---\n"
                      "--- killed by SIGKILL ---\n--- killed by SIGSEGV, core dumped ---\n");
  struct stat info {};
  REQUIRE(stat(log.path().c_str(), &info) == 0);
  CHECK(info.st_mode == (S_IFREG | 0600));
  CHECK(info.st_uid == owner_uid);
  REQUIRE(stat(log.home.at(in_logs).c_str(), &info) == 0);
  CHECK(info.st_mode == (S_IFDIR | 0700));
}

TEST_CASE("a note stands behind all that was written before it, whatever waits in the FIFO") {
  Log log;
  REQUIRE(fcntl(log.writers[0].get(), F_SETPIPE_SZ, 1 << 20) > 0);
  std::string much;
  for (int i = 0; i < 8'000; i++) much += "line " + std::to_string(i) + "\n";
  for (int round = 0; round < 20; round++) {
    log.print(much);
    log.tell(LogKind::exited, round, CLD_EXITED);
    REQUIRE(eventually([&] { return slurp(log.path()).ends_with("code " + std::to_string(round) + " ---\n"); }));
  }
  CHECK(log.finish() == 0);
  std::string expected;
  for (int round = 0; round < 20; round++) expected += much + "--- exited with code " + std::to_string(round) + " ---\n";
  CHECK((log.text() == expected));
}

TEST_CASE("a line waits for its newline, and a very long one is split") {
  Log log;
  log.print("begin");
  log.print("ning\n" + std::string(40'000, 'x') + "\nend\n");
  REQUIRE(eventually([&] { return log.text().ends_with("end\n"); }));
  const std::string x(max_log_line, 'x');
  CHECK((log.text() == "beginning\n" + x + "\n" + x + "\n" + std::string(40'000 - 2 * max_log_line, 'x') + "\nend\n"));
}

TEST_CASE("any bytes pass, and only newlines part them") {
  Log log;
  const std::string bytes("\0\x1b[2J\r\xff\x80\n", 9);
  log.print(bytes);
  CHECK(log.finish() == 0);
  CHECK(log.text() == bytes);
}

TEST_CASE("a writer that comes back after all had gone is heard again") {
  Log log;
  log.writers[0].reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  for (int i = 0; i < 5; i++) {
    log.writers[0] = Fd(open(log.home.at("fifo0").c_str(), O_WRONLY | O_CLOEXEC));
    log.print("back " + std::to_string(i) + "\n");
    log.writers[0].reset();
    CHECK(eventually([&] { return log.text().ends_with("back " + std::to_string(i) + "\n"); }));
  }
}

TEST_CASE("it sleeps when there is nothing to do, also with a hung-up FIFO") {
  Log log;
  log.print("x\n");
  log.writers[0].reset();
  CHECK(eventually([&] { return log.text() == "x\n"; }));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const std::string status = "/proc/" + std::to_string(log.pid) + "/schedstat";
  const Fd fd(open(status.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(fd);
  char text[64] = {};
  REQUIRE(read(fd.get(), text, sizeof text - 1) > 0);
  CHECK(std::strtoll(text, nullptr, 10) < 300'000'000);  // ns on the processor, of more than a second
}

TEST_CASE("a flood in one FIFO does not silence another") {
  Log log({"flood", "quiet"});
  const pid_t flooder = fork();
  REQUIRE(flooder >= 0);
  if (flooder == 0) {
    log.socket.reset();
    alarm(5);  // it shall not fill the disk if the test dies
    const std::string lines(4095, 'x');
    for (;;)
      if (write(log.writers[0].get(), (lines + "\n").data(), lines.size() + 1) < 0) _exit(0);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  log.print("heard\n", 1);
  const bool heard = eventually([&] { return slurp(log.path(1)).ends_with("heard\n"); });
  log.tell(LogKind::exited, 0, CLD_EXITED, 0);
  log.tell(LogKind::exited, 7, CLD_EXITED, 1);
  const bool noted = eventually([&] { return slurp(log.path(1)).ends_with("code 7 ---\n"); });
  CHECK(log.finish() == 0);  // though the flood goes on
  kill(flooder, SIGKILL);
  end_of(flooder);
  CHECK(heard);
  CHECK(noted);
}

TEST_CASE("a log that is not a plain file of the owner's is never written, and the daemon is not blocked") {
  const auto with = [](const std::function<void(const Home &)> &prepare) {
    return std::make_unique<Log>(std::vector<std::string>{"web"}, [&](const Home &home) {
      home.directory(in_logs);
      home.file("target", "untouched");
      prepare(home);
    });
  };
  std::unique_ptr<Log> log;
  const std::string file = in_logs + "/web.log";
  SUBCASE("a link") {
    log = with([&](const Home &home) { REQUIRE(symlink("../../target", home.at(file).c_str()) == 0); });
  }
  SUBCASE("a dangling link") {
    log = with([&](const Home &home) { REQUIRE(symlink("../../made", home.at(file).c_str()) == 0); });
  }
  SUBCASE("a second name of another file") {
    log = with([&](const Home &home) { REQUIRE(link(home.at("target").c_str(), home.at(file).c_str()) == 0); });
  }
  SUBCASE("a FIFO") {
    log = with([&](const Home &home) {
      REQUIRE(mkfifo(home.at(file).c_str(), 0600) == 0);
      home.own(file, 0600, owner_uid);
    });
  }
  SUBCASE("a directory") {
    log = with([&](const Home &home) { home.directory(file); });
  }
  SUBCASE("somebody else's file that all may write") {
    log = with([&](const Home &home) { home.file(file, "", 0666, other_uid); });
  }
  SUBCASE("in a directory that is a link") {
    log = with([&](const Home &home) {
      REQUIRE(rmdir(home.at(in_logs).c_str()) == 0);
      REQUIRE(symlink("..", home.at(in_logs).c_str()) == 0);
    });
  }
  SUBCASE("in a directory that others may write") {
    log = with([&](const Home &home) { home.own(in_logs, 0777, owner_uid); });
  }
  for (int i = 0; i < 40; i++) log->print(std::string(8'192, 'x') + "\n");  // more than a FIFO holds
  log->tell(LogKind::exited, 0, CLD_EXITED);
  CHECK(log->finish() == 0);
  CHECK(slurp(log->home.at("target")) == "untouched");
  CHECK(slurp(log->home.at("web.log")).empty());
  CHECK(access(log->home.at("made").c_str(), F_OK) != 0);
  struct stat info {};
  if (stat(log->path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) CHECK(info.st_size <= 9);
}

TEST_CASE("a log that was refused is tried again at the next start") {
  Log log({"web"}, [](const Home &home) {
    home.directory(in_logs);
    home.directory(in_logs + "/web.log");
  });
  log.print("lost\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  REQUIRE(rmdir(log.path().c_str()) == 0);
  log.tell(LogKind::started, 5);
  log.print("kept\n");
  CHECK(eventually([&] { return log.text() == "--- started, pid 5 ---\nkept\n"; }));
}

TEST_CASE("a log that the owner moves away is begun anew") {
  Log log;
  log.print("old\n");
  REQUIRE(eventually([&] { return log.text() == "old\n"; }));
  REQUIRE(rename(log.path().c_str(), (log.path() + ".1").c_str()) == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(1'100));
  log.print("new\n");
  CHECK(eventually([&] { return log.text() == "new\n"; }));
  CHECK(Log::strip(slurp(log.path() + ".1")) == "old\n");
}

TEST_CASE("a full disk makes the daemon wait and loses nothing") {
  REQUIRE(unshare(CLONE_NEWNS) == 0);
  REQUIRE(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  std::string logs;
  {
    Log log({"web"}, [&](const Home &home) {
      home.directory(in_logs);
      logs = home.at(in_logs);
      REQUIRE(mount("dm-test", logs.c_str(), "tmpfs", 0, "size=256k,mode=700,uid=61001,gid=61001") == 0);
    });
    log.print("first\n");
    REQUIRE(eventually([&] { return log.text() == "first\n"; }));
    const Fd ballast(open((logs + "/ballast").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string page(4096, 'b');
    while (write(ballast.get(), page.data(), page.size()) > 0) {}
    std::string expected = "first\n";
    for (int i = 0; i < 3'000; i++) {
      const std::string line = "line " + std::to_string(i) + "\n";
      log.print(line);
      expected += line;
    }
    log.tell(LogKind::exited, 0, CLD_EXITED);
    expected += "--- exited with code 0 ---\n";
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    CHECK(slurp(log.path()).size() <= 4096);
    REQUIRE(ftruncate(ballast.get(), 0) == 0);
    CHECK(eventually([&] { return (log.text() == expected); }));
    CHECK(log.finish() == 0);
    REQUIRE(umount2(logs.c_str(), MNT_DETACH) == 0);
  }
}

TEST_CASE("orders of the wrong shape are ignored") {
  Log log;
  const Fd fifo = log.reader(0), file = memfd();
  LogOrder order{};
  log.send(order, {}, 1);
  log.send(order, {}, 500);
  log.send(order, {fifo.get(), log.book.get()}, sizeof order + 1);
  log.send(order, {fifo.get()});
  log.send(order, {fifo.get(), log.book.get(), file.get(), file.get()});
  log.send(order, {file.get(), log.book.get()});
  log.send(order, {fifo.get(), file.get()});
  order.entry = 7;
  log.send(order, {fifo.get(), log.book.get()});
  order = {};
  order.reserved = 1;
  log.send(order, {fifo.get(), log.book.get()});
  order = {};
  order.kind = static_cast<LogKind>(9);
  log.send(order);
  order.kind = LogKind::started;
  log.send(order, {fifo.get()});
  order.slot = 0xffffffff;
  log.send(order);
  log.print("alive\n");
  CHECK(eventually([&] { return log.text() == "alive\n"; }));
  const std::string fds = "/proc/" + std::to_string(log.pid) + "/fd";
  CHECK(std::system(("test $(ls " + fds + " | wc -l) = 9").c_str()) == 0);  // nothing that came along was kept
}

TEST_CASE("a slot may change its log, close and open again") {
  Log log({"one", "two"});
  log.print("a\n");
  const Fd fifo = log.reader(1);
  LogOrder order{};
  order.entry = 1;
  log.send(order, {fifo.get(), log.book.get()});  // slot 0 becomes `two`
  log.print("b\n", 1);
  REQUIRE(eventually([&] { return log.text(1) == "b\n"; }));
  CHECK(log.text(0) == "a\n");
  log.tell(LogKind::close, 0);
  log.tell(LogKind::close, 0, 0, 1);
  log.open(0);
  log.print("c\n");
  CHECK(eventually([&] { return log.text(0) == "a\nc\n"; }));
}

TEST_CASE("the helper cannot be traced and gains no privileges") {
  Log log;
  log.print("x\n");
  REQUIRE(eventually([&] { return !slurp(log.path()).empty(); }));
  struct stat info {};
  REQUIRE(stat(("/proc/" + std::to_string(log.pid) + "/fd").c_str(), &info) == 0);
  CHECK(info.st_uid == 0);  // what /proc shows of an undumpable process
  CHECK(std::system(("grep -q 'NoNewPrivs:.1' /proc/" + std::to_string(log.pid) + "/status").c_str()) == 0);
}
