// dm-log, the built program, as an unassigned user, with FIFOs and orders as the monitor gives them. Needs root.
#include "log_process.hh"

#include <sched.h>
#include <sys/mount.h>

#include <memory>

#include "helpers/log_lines.hh"

using namespace dm;
using namespace dm::test;

namespace {

const std::string in_logs = ".daemon-manager/logs";

}  // namespace

TEST_CASE("stamps are UTC to the millisecond, over leap days and centuries") {
  const auto stamp = [](std::int64_t seconds, std::int64_t ms = 0, std::int32_t offset = 0) {
    std::string out;
    put_stamp(out, (seconds * 1000 + ms) * 1'000'000, offset);
    return out;
  };
  CHECK(stamp(0) == "1970-01-01T00:00:00.000Z ");
  CHECK(stamp(1795350896, 789) == "2026-11-22T12:34:56.789Z ");
  CHECK(stamp(1795350896, 789, 3600) == "2026-11-22T13:34:56.789+01:00 ");
  CHECK(stamp(1795350896, 789, -12600) == "2026-11-22T09:04:56.789-03:30 ");
  CHECK(stamp(1795350896, 789, no_stamp).empty());
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

TEST_CASE("the note of a start stands before what the daemon has written by then") {
  Log log;
  const Fd fifo = log.reader(0), stage = log.stage(0);
  for (int i = 1; i < 4; i++) {
    log.send({LogKind::open, 0, 0, 0, 0, 0, 0}, {fifo.get(), log.book.get(), stage.get()});
    log.print("hello\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    log.tell(LogKind::started, i);
    log.tell(LogKind::exited, i, CLD_EXITED);
    CHECK(eventually([&] { return log.text().ends_with("code " + std::to_string(i) + " ---\n"); }));
  }
  CHECK(log.finish() == 0);
  std::string expected;
  for (int i = 1; i < 4; i++)
    expected += "--- started, pid " + std::to_string(i) + " ---\nhello\n--- exited with code " + std::to_string(i) + " ---\n";
  CHECK(log.text() == expected);
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

TEST_CASE("at SIGHUP, and when it is told to open what it has, it begins moved logs anew at once") {
  Log log({"shop", "web"});
  const auto move = [&] {
    for (const std::size_t slot : {std::size_t{0}, std::size_t{1}}) {
      log.print("old\n", slot);
      REQUIRE(eventually([&] { return log.text(slot) == "old\n"; }));
      REQUIRE(rename(log.path(slot).c_str(), (log.path(slot) + ".1").c_str()) == 0);
    }
  };
  const auto there = [&](std::size_t slot) { return access(log.path(slot).c_str(), F_OK) == 0; };
  // No line comes: only the order makes the new file.
  move();
  REQUIRE(kill(log.pid, SIGHUP) == 0);
  CHECK(eventually([&] { return there(0) && there(1); }));
  move();
  log.open(0);
  CHECK(eventually([&] { return there(0); }));
  CHECK(!there(1));
  for (const std::size_t slot : {std::size_t{0}, std::size_t{1}}) log.print("new\n", slot);
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
  const Fd fifo = log.reader(0), stage = log.stage(0), file = memfd();
  LogOrder order{};
  log.send(order, {}, 1);
  log.send(order, {}, 500);
  log.send(order, {fifo.get(), log.book.get(), stage.get()}, sizeof order + 1);
  log.send(order, {fifo.get()});
  log.send(order, {fifo.get(), log.book.get()});
  log.send(order, {fifo.get(), log.book.get(), file.get(), file.get()});
  log.send(order, {file.get(), log.book.get(), stage.get()});
  log.send(order, {fifo.get(), log.book.get(), fifo.get()});
  const Fd readable(open(log.home.at("stage0").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd appending(open(log.home.at("stage0").c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  log.send(order, {fifo.get(), log.book.get(), readable.get()});
  log.send(order, {fifo.get(), log.book.get(), appending.get()});
  order.slot = 1;
  log.send(order, {fifo.get(), file.get(), log.stage(7).get()});
  order.entry = 7;
  log.send(order, {fifo.get(), log.book.get(), log.stage(8).get()});
  order = {};
  order.instance = max_instances + 1;
  log.send(order, {fifo.get(), log.book.get(), stage.get()});
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
  // Nothing that came along was kept.
  CHECK(eventually([&] { return std::system(("test $(ls " + fds + " | wc -l) = 11").c_str()) == 0; }));
}

TEST_CASE("a slot may change its log, close and open again") {
  Log log({"one", "two"});
  log.print("a\n");
  REQUIRE(eventually([&] { return log.text(0) == "a\n"; }));
  const Fd fifo = log.reader(1), stage = log.stage(2);
  LogOrder order{};
  order.entry = 1;
  log.send(order, {fifo.get(), log.book.get(), stage.get()});  // slot 0 becomes `two`
  log.print("b\n", 1);
  REQUIRE(eventually([&] { return log.text(1) == "b\n"; }));
  CHECK(log.text(0) == "a\n");
  log.tell(LogKind::close, 0);
  log.tell(LogKind::close, 0, 0, 1);
  log.open(0);
  log.print("c\n");
  CHECK(eventually([&] { return log.text(0) == "a\nc\n"; }));
}

TEST_CASE("killed again and again while a daemon writes, it loses no line and doubles none") {
  Log log({"first", "second"}, nullptr, "log_size=0\n");
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const Fd stop(ends[0]), teller(ends[1]);
  const pid_t one = start_counting(log, 0, stop.get()), two = start_counting(log, 1, stop.get());
  constexpr int kills = 400;
  for (int i = 0; i < kills; i++) {
    // Often before it has come far, so that recoveries are killed too.
    std::this_thread::sleep_for(std::chrono::microseconds(random_below(i % 3 == 0 ? 2'000 : 25'000)));
    if (i % 10 == 5) log.tell(LogKind::exited, i, CLD_EXITED);
    if (i % 10 == 5) std::this_thread::sleep_for(std::chrono::microseconds(random_below(2'000)));
    log.crash();
    log.relaunch();
  }
  REQUIRE(write(teller.get(), "xx", 2) == 2);
  CHECK(end_of(one) == 0);
  CHECK(end_of(two) == 0);
  log.tell(LogKind::exited, 0, CLD_EXITED, 0);
  log.tell(LogKind::exited, 0, CLD_EXITED, 1);
  CHECK(log.finish() == 0);
  const unsigned first = check_counted(log.text(0)), second = check_counted(log.text(1));
  MESSAGE(kills << " kills, " << first + second << " lines");
  CHECK(first > 1'000);
  CHECK(second > 1'000);
  // No note twice.
  std::istringstream lines(log.text(0));
  std::map<std::string, int> notes;
  for (std::string line; std::getline(lines, line);)
    if (line.rfind("---", 0) == 0) CHECK(++notes[line] == 1);
  struct stat info {};
  REQUIRE(stat(log.home.at("stage0").c_str(), &info) == 0);
  CHECK(info.st_blocks * 512 < 1'000'000);  // what is done with takes no memory
}

TEST_CASE("what it took before it was killed is written by the next, notes and half lines too") {
  Log log;
  log.print("one\n");
  REQUIRE(eventually([&] { return log.text() == "one\n"; }));
  log.print("two, first half");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  log.crash();
  log.print(", second half\n");
  log.relaunch();
  REQUIRE(eventually([&] { return log.text() == "one\ntwo, first half, second half\n"; }));
  log.print("end");
  log.crash();
  log.relaunch();
  log.tell(LogKind::exited, 3, CLD_EXITED);
  CHECK(eventually([&] { return log.text() == "one\ntwo, first half, second half\nend\n--- exited with code 3 ---\n"; }));
}

TEST_CASE("the stage tells which log it is for, though the book was read anew since") {
  Log log({"web"});
  log.print("a\n");
  REQUIRE(eventually([&] { return log.text() == "a\n"; }));
  log.crash();
  log.book = make_book({{"other", "dir=/\nstart=x\n"}, {"web", "dir=/\nstart=x\n"}});
  log.relaunch();
  log.print("b\n");
  CHECK(eventually([&] { return log.text() == "a\nb\n"; }));
  CHECK(access(log.home.at(in_logs + "/other.log").c_str(), F_OK) != 0);
}

TEST_CASE("two at once: the second waits until the first, whose monitor has died, is done") {
  Log log;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const Fd stop(ends[0]), teller(ends[1]);
  const pid_t counting = start_counting(log, 0, stop.get());
  for (int i = 0; i < 30; i++) {
    struct stat info {};
    const auto size = [&] { return stat(log.path().c_str(), &info) == 0 ? info.st_size : 0; };
    const off_t had = size();
    CHECK(eventually([&] { return size() > had; }));  // this one has the lock
    const pid_t before = log.pid;
    log.socket.reset();
    log.relaunch();
    CHECK(end_of(before) == 0);
  }
  REQUIRE(write(teller.get(), "x", 1) == 1);
  CHECK(end_of(counting) == 0);
  CHECK(log.finish() == 0);
  CHECK(check_counted(log.text()) > 1'000);
}

TEST_CASE("a journal of any content neither stops nor crashes it") {
  const Log proper;
  proper.print("x\nhalf");
  REQUIRE(eventually([&] { return proper.text() == "x\n"; }));
  const std::string good = slurp(proper.home.at("stage0"));
  REQUIRE(good.size() > 4096);
  for (int round = 0; round < 150; round++) {
    Log log;
    REQUIRE(eventually([&] { return slurp(log.home.at("stage0")).size() >= 4096; }));
    log.crash();
    std::string bytes = good;
    if (round % 3 == 0) bytes.resize(random_below(5'000));
    const unsigned wrong = 1 + random_below(round % 2 == 0 ? 4 : 400);
    for (unsigned i = 0; i < wrong && !bytes.empty(); i++)
      bytes[random_below(static_cast<unsigned>(std::min<std::size_t>(bytes.size(), round % 5 == 0 ? 4'096 : 400)))] =
          static_cast<char>(round % 7 == 0 ? 0xff : random_below(256));
    const Fd stage = log.stage(0);
    REQUIRE(ftruncate(stage.get(), 0) == 0);
    REQUIRE(pwrite(stage.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    log.relaunch();
    log.print("alive\n");
    const bool alive = eventually([&] {
      // A name may have been changed into another that is valid.
      return std::system(("grep -qs 'alive$' " + log.home.at(in_logs) + "/*.log").c_str()) == 0;
    });
    CHECK_MESSAGE(alive, "round " << round);
    CHECK(log.finish() == 0);
  }
}

TEST_CASE("a full disk: when stage and pipe are full lines are dropped and counted, even over a kill") {
  REQUIRE(unshare(CLONE_NEWNS) == 0);
  REQUIRE(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  std::string logs;
  Log log({"web"}, [&](const Home &home) {
    home.directory(in_logs);
    logs = home.at(in_logs);
    REQUIRE(mount("dm-test", logs.c_str(), "tmpfs", 0, "size=16m,mode=700,uid=61001,gid=61001") == 0);
  });
  log.print("first\n");
  REQUIRE(eventually([&] { return log.text() == "first\n"; }));
  const Fd ballast(open((logs + "/ballast").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const std::string page(4096, 'b');
  while (write(ballast.get(), page.data(), page.size()) > 0) {}
  unsigned written = 0;
  const auto more = [&](unsigned count) {  // each a little longer than 100 bytes
    for (unsigned i = 0; i < count; i++) log.print("line " + std::to_string(++written) + " " + std::string(100, '.') + "\n");
  };
  more(4'000);  // more than stage and pipe hold: this returns only because lines are dropped
  log.crash();
  log.relaunch();
  more(6'000);
  log.tell(LogKind::exited, 0, CLD_EXITED);
  REQUIRE(ftruncate(ballast.get(), 0) == 0);
  CHECK(log.finish() == 0);
  std::istringstream lines(log.text());
  std::string line;
  REQUIRE(std::getline(lines, line));
  unsigned next = 1, gaps = 0;
  bool ended = false;
  while (std::getline(lines, line)) {
    unsigned number = 0;
    if (sscanf(line.c_str(), "--- %u lines were dropped here: no space left ---", &number) == 1) {
      next += number;
      gaps++;
    } else if (sscanf(line.c_str(), "line %u ", &number) == 1) {
      CHECK(number == next);
      CHECK(line.size() >= 100);
      next = number + 1;
    } else ended = line == "--- exited with code 0 ---";
  }
  CHECK(next == written + 1);
  CHECK(gaps == 1);
  CHECK(ended);
  REQUIRE(umount2(logs.c_str(), MNT_DETACH) == 0);
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
