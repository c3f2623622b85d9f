// dm-run, the built program, as an unassigned user. Needs root.
#include "helper_process.hh"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>

#include "lib/helper.hh"
#include "settings.hh"

using namespace dm;
using namespace dm::test;

namespace {

// What the monitor says beside the conf.
struct Setting {
  std::string what = "start";
  std::vector<int> sockets{};
  std::string instance = "0", pid = "0", code = "0", status = "0";
};

struct Run {
  bool before_ran = false, executes = false;
  int code = -1;
  std::string output;
  RunReport report{};
  bool reported = false;

  explicit Run(const std::string &conf, const std::string &name = "target", uid_t uid = owner_uid, std::uint32_t index = 0,
               const Setting &setting = {}) {
    const Fd book = make_book({{"d", conf}});
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const Fd out(ends[0]);
    Fd in(ends[1]);
    const Fd printed = memfd();
    const pid_t pid = start_helper("DM_RUN",
                                   {setting.what, std::to_string(index), setting.instance, "7", std::to_string(setting.sockets.size()), "target",
                                    "/srv/owner", name, "/home/target", "/bin/zsh", setting.pid, setting.code, setting.status},
                                   uid, in.get(), book.get(), printed.get(), setting.sockets);
    in.reset();
    ssize_t n = read(out.get(), &report, sizeof report);
    while (n == static_cast<ssize_t>(sizeof report) && !is_failure(report.stage)) {
      (report.stage == RunStage::executes ? executes : before_ran) = true;
      n = read(out.get(), &report, sizeof report);
    }
    reported = n == static_cast<ssize_t>(sizeof report);
    if (!reported) CHECK(n == 0);
    if (!reported) CHECK(executes);
    code = end_of(pid);
    output = contents(printed.get());
  }
};

std::string conf_of(const std::string &start, const std::string &dir = "/tmp", const std::string &more = "") {
  return "dir=" + dir + "\nstart=" + start + "\n" + more;
}

void check_report(const Run &run, RunStage stage, int error, std::size_t detail) {
  CHECK(run.code == 127);
  REQUIRE(run.reported);
  CHECK(run.report.stage == stage);
  CHECK(run.report.errno_value == error);
  CHECK(run.report.detail == detail);
}

}  // namespace

TEST_CASE("the environment is the target's and nothing else") {
  const Run run(conf_of("env"));
  CHECK(run.code == 0);
  CHECK(!run.reported);
  CHECK(run.output == "HOME=/home/target\nUSER=target\nLOGNAME=target\nSHELL=/bin/zsh\nPATH=/usr/local/bin:/usr/bin:/bin\n");
}

TEST_CASE("root's PATH has the sbin directories") {
  CHECK(Run(conf_of("env"), "target", 0).output.find("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n") !=
        std::string::npos);
}

TEST_CASE("exports are added, and override") {
  const Run run(conf_of("env", "/tmp", "export A=\"x y\"\nexport HOME=/elsewhere\nexport EMPTY=\n"));
  CHECK(run.output == "HOME=/elsewhere\nUSER=target\nLOGNAME=target\nSHELL=/bin/zsh\nPATH=/usr/local/bin:/usr/bin:/bin\n"
                      "A=x y\nEMPTY=\n");
}

TEST_CASE("the exported PATH is where the program is looked for") {
  const Home home;
  home.directory("bin");
  home.file("bin/own-program", "#!/bin/sh\nprintf found\n", 0755);
  CHECK(Run(conf_of("own-program", "/tmp", "export PATH=/nowhere:" + home.at("bin") + "\n")).output == "found");
}

TEST_CASE("it runs in dir, with the umask of the conf") {
  const Home home;
  CHECK(Run(conf_of("pwd -P; umask", home.path(), "umask=027\n")).output == home.path() + "\n0027\n");
  CHECK(Run(conf_of("umask; exit 3")).output == "0022\n");
  CHECK(Run(conf_of("umask; exit 3")).code == 3);
}

TEST_CASE("path= is where programs are looked for, unless an export says otherwise") {
  const Home home;
  home.directory("bin");
  home.file("bin/own-program", "#!/bin/sh\nprintf $PATH\n", 0755);
  CHECK(Run(conf_of("own-program", "/tmp", "path=" + home.at("bin") + ":/bin\n")).output == home.at("bin") + ":/bin");
  CHECK(Run(conf_of("echo $PATH", "/tmp", "path=/nowhere\nexport PATH=/bin\n")).output == "/bin\n");
}

TEST_CASE("%n, %u and %h are replaced in dir, start, path and exports, and nothing else is") {
  CHECK(Run(conf_of("echo %n %u %h %% %x %", "/tmp")).output == "d target /srv/owner % %x %\n");
  CHECK(Run(conf_of("echo $A $PATH", "/tmp", "path=%h/bin:/bin\nexport A=%n:%%n\n")).output == "d:%n /srv/owner/bin:/bin\n");
  CHECK(Run(conf_of("true", "%h/%n")).report.stage == RunStage::dir);
}

TEST_CASE("a program with a slash is relative to dir, and needs no shell") {
  const Home home;
  home.file("server", "#!/bin/sh\necho $PPID $0 $1 $#\n", 0755);
  CHECK(Run(conf_of("./server  a  b", home.path())).output == std::to_string(getpid()) + " ./server a 2\n");
  home.file("bare", "echo $0 $1\n", 0755);  // no #!: as any shell would run it
  CHECK(Run(conf_of("./bare x", home.path())).output == "./bare x\n");
}

TEST_CASE("nothing but 0, 1 and 2 is open in the daemon, and no signal is blocked or ignored") {
  CHECK(Run(conf_of("ls /proc/self/fd")).output == "0\n1\n2\n3\n");  // 3 is ls's own
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  auto *const old = std::signal(SIGPIPE, SIG_IGN);
  const Run run(conf_of("grep -E 'Sig(Blk|Ign)' /proc/self/status"));
  (void)std::signal(SIGPIPE, old);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  CHECK(run.output == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_CASE("a conf for another user is not run") {
  check_report(Run(conf_of("env", "/tmp", "user=www-data\n")), RunStage::user, 0, 0);
  check_report(Run(conf_of("env"), "www-data"), RunStage::user, 0, 0);
  CHECK(Run(conf_of("env", "/tmp", "user=www-data\n"), "www-data").code == 0);
}

TEST_CASE("an entry that is not there, or does not parse, is not run") {
  check_report(Run(conf_of("env"), "target", owner_uid, 1), RunStage::book, 0, 0);
  check_report(Run("dir=/tmp\n"), RunStage::book, 0, 0);
  check_report(Run("dir=tmp\nstart=env\n"), RunStage::book, 0, 0);
}

TEST_CASE("the very component of dir that cannot be entered is reported") {
  const Home home;
  home.directory("private", 0700, other_uid);
  home.directory("private/site", 0755, other_uid);
  home.file("file", "");
  const auto dir = [&](const std::string &tail) { return Run(conf_of("env", home.at(tail))); };
  check_report(dir("private/site/x"), RunStage::dir, EACCES, home.at("private").size());
  check_report(dir("missing/deep"), RunStage::dir, ENOENT, home.at("missing").size());
  check_report(dir("missing//"), RunStage::dir, ENOENT, home.at("missing").size());
  check_report(dir("file/x"), RunStage::dir, ENOTDIR, home.at("file").size());
  check_report(dir("private"), RunStage::dir, EACCES, home.at("private").size());
}

TEST_CASE("a program that cannot be executed is reported with the component to blame") {
  const Home home;
  home.directory("private", 0700, other_uid);
  home.file("private/server", "#!/bin/sh\n", 0755, other_uid);
  home.file("plain", "#!/bin/sh\n", 0644);
  home.file("broken", "#!/no/such/interpreter\n", 0755);
  const auto start = [&](const std::string &program) { return Run(conf_of(program + " x", home.path())); };
  check_report(start("no-such-program"), RunStage::exec, ENOENT, 0);
  check_report(start("./missing"), RunStage::exec, ENOENT, strlen("./missing"));
  check_report(start("./private/server"), RunStage::exec, EACCES, strlen("./private"));
  check_report(start(home.at("private/server")), RunStage::exec, EACCES, home.at("private").size());
  check_report(start("./plain"), RunStage::exec, EACCES, strlen("./plain"));
  check_report(start("./none/server"), RunStage::exec, ENOENT, strlen("./none"));
  check_report(start("./broken"), RunStage::exec, ELIBACC, strlen("./broken"));
  check_report(Run(conf_of("plain", "/tmp", "export PATH=" + home.path() + "\n")), RunStage::exec, EACCES, strlen("plain"));
}

TEST_CASE("an export that the kernel takes not is reported as such") {
  check_report(Run(conf_of("env", "/tmp", "export A=" + std::string(140'000, 'a') + "\n")), RunStage::environment, E2BIG, 0);
}

namespace {

// A listening socket on a free port.
Fd listener() {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
  REQUIRE(listen(fd.get(), 4) == 0);
  return fd;
}

// The line of a conf that means it.
std::string line_of(const Fd &fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr *>(&address), &size) == 0);
  return "listen=127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "\n";
}

std::string inode_of(const Fd &fd) {
  struct stat info {};
  REQUIRE(fstat(fd.get(), &info) == 0);
  return "socket:[" + std::to_string(info.st_ino) + "]";
}

}  // namespace

TEST_CASE("one listening socket is descriptor 0, and nothing else is there of it") {
  const Fd socket = listener();
  const Run run(conf_of("readlink /proc/self/fd/0; ls /proc/self/fd; env | grep -c LISTEN", "/tmp", line_of(socket)), "target", owner_uid, 0,
                {.sockets = {socket.get()}});
  CHECK(run.output == inode_of(socket) + "\n0\n1\n2\n3\n0\n");
}

TEST_CASE("several listening sockets are from 3 on, in their order, with LISTEN_FDS") {
  const Fd first = listener(), second = listener();
  const Run run(conf_of("readlink /proc/self/fd/0 /proc/self/fd/3 /proc/self/fd/4; test $$ = $LISTEN_PID && echo same; env | grep LISTEN_FD",
                        "/tmp", line_of(first) + line_of(second)),
                "target", owner_uid, 0, {.sockets = {first.get(), second.get()}});
  CHECK(run.output == "/dev/null\n" + inode_of(first) + "\n" + inode_of(second) + "\nsame\nLISTEN_FDS=2\nLISTEN_FDNAMES=listen0:listen1\n");
}

TEST_CASE("listen_pass=fds puts one at 3, too") {
  const Fd socket = listener();
  const Run run(conf_of("readlink /proc/self/fd/0 /proc/self/fd/3; echo $LISTEN_FDS", "/tmp", line_of(socket) + "listen_pass=fds\n"),
                "target", owner_uid, 0, {.sockets = {socket.get()}});
  CHECK(run.output == "/dev/null\n" + inode_of(socket) + "\n1\n");
}

TEST_CASE("sockets other than the conf says are not passed") {
  const Fd socket = listener(), other = listener();
  check_report(Run(conf_of("env", "/tmp", line_of(other)), "target", owner_uid, 0, {.sockets = {socket.get()}}), RunStage::book, 0, 0);
  check_report(Run(conf_of("env", "/tmp", line_of(other) + line_of(socket)), "target", owner_uid, 0,
                   {.sockets = {socket.get(), other.get()}}), RunStage::book, 0, 0);
  check_report(Run(conf_of("env", "/tmp", line_of(socket) + line_of(other)), "target", owner_uid, 0, {.sockets = {socket.get()}}), RunStage::book, 0, 0);
  check_report(Run(conf_of("env"), "target", owner_uid, 0, {.sockets = {socket.get()}}), RunStage::book, 0, 0);
}

TEST_CASE("%i is the instance") {
  CHECK(Run(conf_of("echo %n-%i", "/tmp", "instances=3\n"), "target", owner_uid, 0, {.instance = "2"}).output == "d-2\n");
}

TEST_CASE("before= runs first, in the same place and environment, without the sockets") {
  const Fd socket = listener();
  const Run run(conf_of("echo started $A", "/tmp", "before=pwd; echo before $A; ls /proc/self/fd\nexport A=x\n" + line_of(socket)), "target",
                owner_uid, 0, {.sockets = {socket.get()}});
  CHECK(run.before_ran);
  CHECK(run.output == "/tmp\nbefore x\n0\n1\n2\n3\nstarted x\n");
  CHECK(run.code == 0);
}

TEST_CASE("a before= that fails is a start that fails, with how it ended") {
  const Run run(conf_of("echo started", "/tmp", "before=echo no; exit 3\n"));
  check_report(run, RunStage::before, 0, 3U << 8);
  CHECK(run.output == "no\n");
  check_report(Run(conf_of("echo started", "/tmp", "before=kill -9 $$\n")), RunStage::before, 0, 9);
  check_report(Run(conf_of("echo started", "/tmp", "before=/no/such/program\n")), RunStage::before, ENOENT, 0);
}

TEST_CASE("stop= and reload= are told the main process, after_exit= how it ended") {
  const std::string conf = conf_of("echo start", "/tmp", "stop=echo stop $MAINPID\nreload=echo reload $MAINPID\n"
                                                         "after_exit=echo after $EXIT_CODE $EXIT_STATUS\n");
  const auto output = [&](const Setting &setting) { return Run(conf, "target", owner_uid, 0, setting).output; };
  CHECK(output({.what = "stop", .pid = "4711"}) == "stop 4711\n");
  CHECK(output({.what = "reload", .pid = "4711"}) == "reload 4711\n");
  CHECK(output({.what = "after_exit", .code = std::to_string(CLD_EXITED), .status = "3"}) == "after exited 3\n");
  CHECK(output({.what = "after_exit", .code = std::to_string(CLD_KILLED), .status = "9"}) == "after killed KILL\n");
  CHECK(output({.what = "after_exit", .code = std::to_string(CLD_DUMPED), .status = "11"}) == "after dumped SEGV\n");
  CHECK(output({.what = "after_exit"}) == "after failed 0\n");
}

TEST_CASE("a command that its conf does not have is not run, nor one that there is not") {
  for (const char *what : {"stop", "reload", "after_exit"})
    check_report(Run(conf_of("echo start"), "target", owner_uid, 0, {.what = what}), RunStage::book, 0, 0);
  CHECK(Run(conf_of("echo start"), "target", owner_uid, 0, {.what = "else"}).report.stage == RunStage::book);
  CHECK(Run(conf_of("echo start"), "target", owner_uid, 0, {.status = "-1"}).report.stage == RunStage::book);
  check_report(Run(conf_of("env", "/tmp", "user=www-data\nstop=env\n"), "target", owner_uid, 0, {.what = "stop"}), RunStage::user, 0, 0);
}

TEST_CASE("who shall tell that it is ready, or alive, is told where") {
  CHECK(Run(conf_of("echo $NOTIFY_SOCKET $WATCHDOG_USEC", "/tmp", "ready=notify\n")).output == DM_RUN_DIR "/notify/7\n");
  CHECK(Run(conf_of("test $$ = $WATCHDOG_PID && echo $NOTIFY_SOCKET $WATCHDOG_USEC", "/tmp", "ready=notify\nwatchdog=2s\n")).output ==
        DM_RUN_DIR "/notify/7 2000000\n");
  CHECK(Run(conf_of("env | grep -cE 'NOTIFY|WATCHDOG'")).output == "0\n");
}

TEST_CASE("ready=fd without a notify socket to write to is a start that fails") {
  CHECK(Run(conf_of("echo", "/tmp", "ready=fd:3\n")).report.stage == RunStage::environment);
}
