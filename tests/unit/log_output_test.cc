// Where dm-log puts lines when output= names a place: files, which are opened as carefully as the usual logs, and syslog. Needs root.
#include "log_process.hh"

#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <sys/mount.h>
#include <sys/sysmacros.h>

#include <memory>

using namespace dm;
using namespace dm::test;

namespace {

const std::function<void(const Home &)> make_own = [](const Home &home) { home.directory("own"); };

// Daemon web's log in a file, in a home where somebody has been before it.
std::unique_ptr<Log> log_into(const std::function<void(const Home &)> &prepare) {
  return std::make_unique<Log>(std::vector<std::string>{"web"}, [&](const Home &home) {
    home.directory("own");
    home.file("target", "untouched");
    prepare(home);
  }, Log::in_file);
}

// A syslogd in a /dev of this process's own. It takes what is there when it is asked.
class Syslogd {
public:
  Syslogd() {
    REQUIRE(unshare(CLONE_NEWNS) == 0);
    REQUIRE(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    REQUIRE(mount("dm-test", "/dev", "tmpfs", 0, "size=1m,mode=755") == 0);
    REQUIRE(mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
    REQUIRE(chmod("/dev/null", 0666) == 0);
  }
  ~Syslogd() {
    stop();
    umount2("/dev", MNT_DETACH);
  }
  Syslogd(const Syslogd &) = delete;
  Syslogd &operator=(const Syslogd &) = delete;
  void start() {
    socket_ = Fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_un at{AF_UNIX, "/dev/log"};
    REQUIRE(bind(socket_.get(), reinterpret_cast<const sockaddr *>(&at), sizeof at) == 0);
    REQUIRE(chmod("/dev/log", 0666) == 0);
  }
  void stop() {
    socket_.reset();
    unlink("/dev/log");
  }
  // All lines so far, without priority, time and tag, which are checked.
  const std::string &text(const std::string &tag = "owner/web") {
    static char datagram[65536];
    for (ssize_t size; (size = recv(socket_.get(), datagram, sizeof datagram, 0)) >= 0;) {
      const std::string line(datagram, static_cast<std::size_t>(size));
      // "<30>Nov  5 12:34:56 owner/web: "
      std::string shape = line.substr(0, 20);
      for (char &c : shape) c = c >= '0' && c <= '9' ? '0' : c;
      if (shape.size() == 20 && shape[8] == ' ') shape[8] = '0';
      const std::string month = shape.substr(4, 3), start = tag + ": ";
      const bool sound = shape == "<00>" + month + " 00 00:00:00 " && line.starts_with("<30>") && line.substr(20).starts_with(start) &&
                         std::string("JanFebMarAprMayJunJulAugSepOctNovDec").find(month) % 3 == 0;
      text_ += (sound ? line.substr(20 + start.size()) : "MISSHAPEN " + line) + "\n";
      longest_ = std::max(longest_, line.size());
    }
    return text_;
  }
  [[nodiscard]] std::size_t longest() const { return longest_; }

private:
  Fd socket_;
  std::string text_;
  std::size_t longest_ = 0;
};

constexpr const char *to_syslog = "output=syslog\n";

}  // namespace

TEST_CASE("output=syslog sends each line with the id as its tag, starts and exits between, and keeps no file") {
  Syslogd syslogd;
  syslogd.start();
  Log log({"web"}, nullptr, to_syslog);
  log.tell(LogKind::started, 7);
  log.print("one\n\ntwo\n");
  log.print(std::string("a\0b\x1b[2J\xff\n", 9));
  log.tell(LogKind::exited, 3, CLD_EXITED);
  CHECK(eventually([&] { return syslogd.text().ends_with("code 3 ---\n"); }));
  CHECK(syslogd.text() == "--- started, pid 7 ---\none\n\ntwo\na\\x00b\\x1b[2J\\xff\n--- exited with code 3 ---\n");
  CHECK(access(log.home.at(".daemon-manager/logs").c_str(), F_OK) != 0);
}

TEST_CASE("a line that is too long for a syslogd comes in pieces, and no character is cut") {
  Syslogd syslogd;
  syslogd.start();
  Log log({"web"}, nullptr, to_syslog);
  std::string text;
  while (text.size() < 12'000) text += "\xe2\x82\xac";
  log.print("x" + text + "\n");
  std::string bytes(3'000, '\x01');
  log.print(bytes + "\nend\n");
  REQUIRE(eventually([&] { return syslogd.text().ends_with("end\n"); }));
  std::string joined = syslogd.text(), expected = "x" + text;
  CHECK(joined.find("\\xe2") == joined.npos);
  std::erase(joined, '\n');
  for (std::size_t i = 0; i < bytes.size(); i++) expected += "\\x01";
  CHECK((joined == expected + "end"));
  CHECK(syslogd.longest() < 8'192);
  CHECK(syslogd.longest() > 7'000);
}

TEST_CASE("lines wait for a syslogd that is away or busy, and it may be another that takes them") {
  Syslogd syslogd;
  Log log({"web"}, nullptr, to_syslog);
  log.print("early\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  syslogd.start();
  REQUIRE(eventually([&] { return syslogd.text() == "early\n"; }));
  std::string expected = "early\n";
  for (int i = 0; i < 2'000; i++) {  // more than its socket holds
    const std::string line = "line " + std::to_string(i) + "\n";
    log.print(line);
    expected += line;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(eventually([&] { return syslogd.text() == expected; }));
  syslogd.stop();
  log.print("between\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  syslogd.start();
  CHECK(eventually([&] { return syslogd.text() == expected + "between\n"; }));
}

TEST_CASE("without a syslogd a daemon is not stopped: what finds no room is dropped, and counted when there is one") {
  Syslogd syslogd;
  Log log({"web"}, nullptr, to_syslog);
  constexpr unsigned count = 8'000;
  for (unsigned i = 0; i < count; i++) log.print("line " + std::to_string(i) + " " + std::string(100, '.') + "\n");
  syslogd.start();
  log.print("end\n");
  REQUIRE(eventually([&] { return syslogd.text().ends_with("end\n"); }));
  std::istringstream lines(syslogd.text());
  unsigned seen = 0, dropped = 0;
  for (std::string line; std::getline(lines, line);) {
    unsigned number = 0;
    if (sscanf(line.c_str(), "--- %u lines were dropped here: syslog did not take them ---", &number) == 1) dropped += number;
    else if (line.starts_with("line ")) seen++;
  }
  CHECK(dropped > 0);
  CHECK(seen + dropped == count);
}

TEST_CASE("killed again and again while it sends to syslog, it loses no line, and doubles one for a kill at most") {
  Syslogd syslogd;
  syslogd.start();
  Log log({"web"}, nullptr, to_syslog);
  constexpr unsigned kills = 100;
  unsigned printed = 0;
  for (unsigned i = 0; i < kills; i++) {
    for (unsigned more = random_below(60); more > 0; more--) log.print("line " + std::to_string(++printed) + "\n");
    std::this_thread::sleep_for(std::chrono::microseconds(random_below(3'000)));
    (void)syslogd.text();
    log.crash();
    log.relaunch();
  }
  log.print("end\n");
  REQUIRE(eventually([&] { return syslogd.text().ends_with("end\n"); }));
  std::istringstream lines(syslogd.text());
  unsigned last = 0, doubled = 0;
  for (std::string line; std::getline(lines, line) && line != "end";) {
    unsigned number = 0;
    REQUIRE(sscanf(line.c_str(), "line %u", &number) == 1);
    if (number == last) doubled++;
    else CHECK(number == last + 1);
    last = number;
  }
  CHECK(last == printed);
  CHECK(doubled <= kills);
  MESSAGE(printed << " lines, " << doubled << " doubled");
}

TEST_CASE("output=file:PATH has the lines in that file, made as the owner, and nothing in logs/") {
  Log log({"shop", "web"}, make_own, Log::in_file);
  log.tell(LogKind::started, 5);
  log.print("one\ntwo\n");
  log.print("other\n", 1);
  CHECK(log.finish() == 0);
  CHECK(log.text() == "--- started, pid 5 ---\none\ntwo\n");
  CHECK(log.text(1) == "other\n");
  struct stat info {};
  REQUIRE(stat(log.path().c_str(), &info) == 0);
  CHECK(info.st_mode == (S_IFREG | 0600));
  CHECK(info.st_uid == owner_uid);
  CHECK(access(log.home.at(".daemon-manager/logs").c_str(), F_OK) != 0);
}

TEST_CASE("a file of output= that is not a plain one of the owner's is never written, and the daemon is not blocked") {
  const std::string file = "own/web.out";
  const std::vector<std::pair<const char *, std::function<void(const Home &)>>> attacks = {
      {"a link", [&](const Home &home) { REQUIRE(symlink("../target", home.at(file).c_str()) == 0); }},
      {"a dangling link", [&](const Home &home) { REQUIRE(symlink("../made", home.at(file).c_str()) == 0); }},
      {"a second name of another file", [&](const Home &home) { REQUIRE(link(home.at("target").c_str(), home.at(file).c_str()) == 0); }},
      {"a FIFO",
       [&](const Home &home) {
         REQUIRE(mkfifo(home.at(file).c_str(), 0600) == 0);
         home.own(file, 0600, owner_uid);
       }},
      {"a device",
       [&](const Home &home) {
         REQUIRE(mknod(home.at(file).c_str(), S_IFCHR | 0600, 0x0103) == 0);  // as /dev/null
         home.own(file, 0600, owner_uid);
       }},
      {"a socket",
       [&](const Home &home) {
         const Fd bound(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
         sockaddr_un at{};
         at.sun_family = AF_UNIX;
         home.at(file).copy(at.sun_path, sizeof at.sun_path - 1);
         REQUIRE(bind(bound.get(), reinterpret_cast<const sockaddr *>(&at), sizeof at) == 0);
         home.own(file, 0600, owner_uid);
       }},
      {"a directory", [&](const Home &home) { home.directory(file); }},
      {"somebody else's file that all may write", [&](const Home &home) { home.file(file, "", 0666, other_uid); }},
      {"in a directory that is a link",
       [&](const Home &home) {
         REQUIRE(rmdir(home.at("own").c_str()) == 0);
         home.directory("real");
         REQUIRE(symlink("real", home.at("own").c_str()) == 0);
       }},
      {"in a directory that others may write", [&](const Home &home) { home.own("own", 0777, owner_uid); }},
      {"in a directory of somebody else's", [&](const Home &home) { home.own("own", 0755, other_uid); }},
      {"in no directory", [&](const Home &home) { REQUIRE(rmdir(home.at("own").c_str()) == 0); }},
  };
  for (const auto &attack : attacks) {
    INFO(attack.first);
    const auto log = log_into(attack.second);
    for (int i = 0; i < 40; i++) log->print(std::string(8'192, 'x') + "\n");  // more than a FIFO holds
    log->tell(LogKind::exited, 0, CLD_EXITED);
    CHECK(log->finish() == 0);
    CHECK(slurp(log->home.at("target")) == "untouched");
    CHECK(access(log->home.at("made").c_str(), F_OK) != 0);
    struct stat info {};
    if (stat(log->path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) CHECK(info.st_size <= 9);
    CHECK(access(log->home.at("real/web.out").c_str(), F_OK) != 0);
  }
}

TEST_CASE("a sticky directory of root's is as good as one's own") {
  const auto log = log_into([](const Home &home) { home.own("own", 01777, 0); });
  log->print("here\n");
  CHECK(eventually([&] { return log->text() == "here\n"; }));
}

TEST_CASE("one who comes after a takeover, and has no conf any more, goes on in the file") {
  Log log({"web"}, make_own, std::string(Log::in_file) + "log_stamp=utc\n");
  log.print("a\n");
  REQUIRE(eventually([&] { return log.text() == "a\n"; }));
  log.crash();
  log.book = make_book({});
  log.relaunch();
  log.print("b\n");
  CHECK(eventually([&] { return log.text() == "a\nb\n"; }));
  CHECK(access(log.home.at(".daemon-manager/logs").c_str(), F_OK) != 0);
}

TEST_CASE("another place in the conf counts from the next start, without a line lost between") {
  Log log({"web"}, make_own);
  const std::string usual = log.path();
  log.print("usual\n");
  REQUIRE(eventually([&] { return Log::strip(slurp(usual)) == "usual\n"; }));
  log.more = Log::in_file;
  log.read_confs();
  log.open(0);
  log.print("file\n");
  CHECK(eventually([&] { return log.text() == "file\n"; }));
  // To discard it is for the next run alone: this one goes on where it is.
  log.more = "output=discard\n";
  log.read_confs();
  log.open(0);
  log.more = Log::in_file;
  log.print("still\n");
  CHECK(eventually([&] { return log.text() == "file\nstill\n"; }));
  CHECK(Log::strip(slurp(usual)) == "usual\n");
}

TEST_CASE("of one that is down, and opened again with a conf that has a fault, it says that it is not started again, and why") {
  Log log({"other", "web"});
  log.tell(LogKind::started, 7, 0, 1);
  log.print("one\n", 1);
  log.more = "log_keep=many\n";
  log.read_confs();
  log.open(1);  // it runs: its owner wants the file opened anew
  log.tell(LogKind::exited, 3, CLD_EXITED, 1);
  log.print("two\n", 1);  // of what is left of its tree
  REQUIRE(eventually([&] { return log.text(1) == "--- started, pid 7 ---\none\ntwo\n--- exited with code 3 ---\n"; }));
  log.crash();
  log.relaunch();
  log.tell(LogKind::exited, 3, CLD_EXITED, 1);
  const std::string so_far = "--- started, pid 7 ---\none\ntwo\n--- exited with code 3 ---\n--- exited with code 3 ---\n";
  REQUIRE(eventually([&] { return log.text(1) == so_far; }));
  log.open(1);
  const std::string fault = "--- not started again: web.conf:3:10 has a fault, which dmctl check web tells; mend it, then dmctl start web ---\n";
  CHECK(eventually([&] { return log.text(1) == so_far + fault; }));
  // Where the conf stands elsewhere in the book by now it is found all the same, and is no reason to go by the other's.
  log.book = make_book({{"early", "dir=/\nstart=x\n"}, {"other", "dir=/\nstart=x\noutput=discard\n"}, {"web", "dir=/\nstart=x\noutput=nowhere\n"}});
  log.open(1);
  CHECK(eventually([&] { return log.text(1).find("web.conf:3:8 has a fault") != std::string::npos; }));
  log.crash();
  log.relaunch();
  log.more.clear();
  log.read_confs();
  log.open(1);
  log.tell(LogKind::started, 8, 0, 1);
  CHECK(eventually([&] { return log.text(1).ends_with(" ---\n--- started, pid 8 ---\n"); }));
  CHECK(log.text(0).empty());
}

TEST_CASE("two daemons that name one file do not mix: the second waits, and is dropped and counted at last") {
  Log log({"shop", "web"}, make_own, "output=file:%h/own/one.out\n");
  const std::string one = log.home.at("own/one.out");
  log.print("first\n");
  REQUIRE(eventually([&] { return Log::strip(slurp(one)) == "first\n"; }));
  for (int i = 0; i < 4'000; i++) log.print("second " + std::string(100, '.') + "\n", 1);  // more than pipe and stage hold
  log.print("more\n");
  REQUIRE(eventually([&] { return Log::strip(slurp(one)) == "first\nmore\n"; }));
  log.tell(LogKind::close, 0, 0, 0);
  CHECK(eventually([&] {
    const std::string text = Log::strip(slurp(one));
    return text.find("lines were dropped here: another daemon writes to this file ---\n") != text.npos;
  }));
}

TEST_CASE("killed again and again while it writes and rotates a file of output=, it loses no line and doubles none") {
  constexpr unsigned most = 1000;
  Log log({"web"}, make_own, std::string(Log::in_file) + "log_size=64K\nlog_keep=1000\n");
  count_under_fire(log);
  CHECK(log.finish() == 0);
  std::string whole = slurp(log.path());
  unsigned number = 1;
  for (; number <= most && access((log.path() + "." + std::to_string(number)).c_str(), F_OK) == 0; number++)
    whole.insert(0, slurp(log.path() + "." + std::to_string(number)));
  CHECK(number > 5);
  CHECK(check_counted(Log::strip(whole)) > 1'000);
  CHECK(access(log.home.at(".daemon-manager/logs").c_str(), F_OK) != 0);
}
