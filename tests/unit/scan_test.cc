// dm-scan, the built program, as an unassigned user on real files. Needs root.
#include "helper_process.hh"

#include <sys/sysmacros.h>

#include <cerrno>
#include <chrono>
#include <map>

#include "lib/conf.hh"

using namespace dm;
using namespace dm::test;

namespace {

const std::string good = "dir=/x\nstart=y\nexport PASSWORD=hunter2\n";

struct Scan {
  Fd book = memfd(), full = memfd();
  int code = -1;
  BookHeader header{};
  std::map<std::string, BookConf> confs, full_confs;

  explicit Scan(const Home &home, const char *how = "look", const std::string &limit = "1048576", uid_t uid = owner_uid) {
    code = end_of(start_helper("DM_SCAN", {home.path(), "owner", how, limit}, uid, book.get(), full.get()));
    if (code != 0) return;
    REQUIRE(read_book_header(book.get()));
    REQUIRE(read_book_header(full.get()));
    header = *read_book_header(book.get());
    for (std::uint32_t i = 0; i < header.entries; i++) {
      const auto conf = read_book_conf(book.get(), i), full_conf = read_book_conf(full.get(), i);
      REQUIRE(conf);
      REQUIRE(full_conf);
      CHECK(std::string(conf->entry.name) == full_conf->entry.name);
      confs[conf->entry.name] = *conf;
      full_confs[full_conf->entry.name] = *full_conf;
    }
  }
  [[nodiscard]] BookProblem problem(const std::string &name) const {
    REQUIRE_MESSAGE(confs.contains(name), name);
    return confs.at(name).entry.problem;
  }
  [[nodiscard]] std::uint32_t detail(const std::string &name) const { return confs.at(name).entry.detail; }
  [[nodiscard]] bool holds(std::string_view text) const {
    return contents(book.get()).find(text) != std::string::npos || contents(full.get()).find(text) != std::string::npos;
  }
};

}  // namespace

TEST_CASE("confs come sorted into both books, and the worker's holds no export's value") {
  const Home home;
  home.daemons();
  home.conf("b.conf", good);
  home.conf("a.conf", "dir=/a\n");
  home.conf("notes.txt", "no conf");
  home.conf(".hidden.conf", "no conf");
  home.conf(".conf", "no conf");
  const Scan scan(home);
  REQUIRE(scan.code == 0);
  CHECK(scan.header.problem == BookProblem::none);
  REQUIRE(scan.confs.size() == 2);
  CHECK(scan.full_confs.at("b").text == good);
  CHECK(scan.confs.at("b").text == "dir=/x\nstart=y\nexport PASSWORD=\n");
  CHECK(scan.confs.at("b").entry.modified_ns > 1'600'000'000'000'000'000);
  CHECK(scan.confs.at("b").entry.inode != 0);
  CHECK(contents(scan.book.get()).find("hunter2") == std::string::npos);
}

TEST_CASE("the variables of an env_file are exports of the full book, and their values are not in the worker's") {
  const Home home;
  home.daemons();
  home.file("env", "\xef\xbb\xbf# a comment\n\nA=hunter2\r\nexport B = \"x y\"\nA=hunter3\nPASSWORD=hunter4\n", 0600);
  home.conf("web.conf", good + "env_file=" + home.at("env"));
  home.conf("same.conf", good + "env_file=%h/env\n");
  const Scan scan(home);
  REQUIRE(scan.code == 0);
  const std::string added = "\nexport A=hunter3\nexport B=\"x y\"";
  CHECK(scan.full_confs.at("web").text == good + "env_file=" + home.at("env") + added);  // the conf's own PASSWORD wins
  CHECK(scan.full_confs.at("same").text == good + "env_file=%h/env\n" + added);
  CHECK(contents(scan.book.get()).find("hunter") == std::string::npos);
  CHECK(parse_conf(scan.full_confs.at("web").text, false).usable());
  const std::int64_t before = scan.confs.at("web").entry.modified_ns;
  home.file("env", "A=1\n", 0600);
  CHECK(Scan(home).confs.at("web").entry.modified_ns != before);
}

TEST_CASE("each refused env_file has its own reason, costs its own daemon only, and shows no byte") {
  const Home home;
  home.daemons();
  const std::string secret = "SECRET=of-a-refused-file\n";
  home.file("other", secret, 0644, other_uid);
  home.file("group", secret, 0664);
  home.file("locked", secret, 0000);
  home.file("nul", secret + std::string(1, '\0'), 0600);
  home.file("line", secret + "\nnot a variable\n", 0600);
  home.file("name", secret + "not-a-name=x\n", 0600);
  home.file("big", std::string(2'000, '#'), 0600);
  home.file("grows", [] {
    std::string lines;
    for (int i = 0; i < 150; i++) lines += "A" + std::to_string(i) + "=\n";
    return lines;
  }(), 0600);
  REQUIRE(symlink(home.at("line").c_str(), home.at("link").c_str()) == 0);
  REQUIRE(mkfifo(home.at("fifo").c_str(), 0600) == 0);
  REQUIRE(chown(home.at("fifo").c_str(), owner_uid, owner_uid) == 0);
  const std::map<std::string, std::pair<BookProblem, std::uint32_t>> expected = {
      {"other", {BookProblem::env_not_owner, other_uid}}, {"group", {BookProblem::env_writable, 0664}},
      {"locked", {BookProblem::env_unreadable, EACCES}},  {"nul", {BookProblem::env_nul_byte, 2}},
      {"line", {BookProblem::env_bad_line, 3}},           {"name", {BookProblem::env_bad_line, 2}},
      {"big", {BookProblem::env_too_big, 1'500}},         {"grows", {BookProblem::env_too_big, 1'500}},
      {"link", {BookProblem::env_symlink, 0}},            {"fifo", {BookProblem::env_not_regular, 0}},
      {"none", {BookProblem::env_unreadable, ENOENT}},    {".", {BookProblem::env_not_regular, 0}}};
  for (const auto &[file, problem] : expected) {
    home.conf("web.conf", "dir=/\nstart=x\nenv_file=%h/" + file + "\n");
    home.conf("alive.conf", "dir=/\nstart=y\n");
    const Scan scan(home, "look", "1500");
    REQUIRE(scan.code == 0);
    CHECK_MESSAGE(scan.problem("web") == problem.first, file);
    CHECK_MESSAGE(scan.detail("web") == problem.second, file);
    CHECK(scan.problem("alive") == BookProblem::none);
    CHECK_MESSAGE(!scan.holds("of-a-refused-file"), file);
  }
}

TEST_CASE("both books are sealed against every change") {
  const Home home;
  home.daemons();
  const Scan scan(home);
  REQUIRE(scan.code == 0);
  const int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  CHECK(fcntl(scan.book.get(), F_GET_SEALS) == all);
  CHECK(fcntl(scan.full.get(), F_GET_SEALS) == all);
  CHECK(write(scan.full.get(), "x", 1) == -1);
}

TEST_CASE("look makes nothing, create makes three closed directories of the owner's") {
  const Home home;
  const Scan look(home);
  CHECK(look.header.problem == BookProblem::missing);
  CHECK(look.header.where == 1);
  CHECK(access(home.at(".daemon-manager").c_str(), F_OK) != 0);
  const Scan create(home, "create");
  CHECK(create.header.problem == BookProblem::none);
  for (const char *name : {".daemon-manager", ".daemon-manager/daemons", ".daemon-manager/logs"}) {
    struct stat info {};
    REQUIRE(stat(home.at(name).c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0700);
    CHECK(info.st_uid == owner_uid);
  }
  CHECK(Scan(home, "create").header.problem == BookProblem::none);
}

TEST_CASE("each refused conf has its own reason, and the others live on") {
  const Home home;
  home.daemons();
  const std::string secret = "SECRET-OF-A-REFUSED-FILE";
  const std::string in = ".daemon-manager/daemons/";
  home.conf("good.conf", good);
  home.file(in + "other.conf", secret, 0644, other_uid);
  home.file(in + "group.conf", secret, 0664);
  home.file(in + "world.conf", secret, 0602);
  home.file(in + "locked.conf", secret, 0000);
  home.file("elsewhere", secret);
  REQUIRE(symlink("../../elsewhere", home.at(in + "link.conf").c_str()) == 0);
  REQUIRE(symlink("/etc/passwd", home.at(in + "passwd.conf").c_str()) == 0);
  REQUIRE(symlink("nowhere", home.at(in + "dangling.conf").c_str()) == 0);
  home.directory(in + "directory.conf");
  REQUIRE(mkfifo(home.at(in + "fifo.conf").c_str(), 0600) == 0);
  home.own(in + "fifo.conf", 0600, owner_uid);
  REQUIRE(mknod(home.at(in + "device.conf").c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0);
  home.own(in + "device.conf", 0600, owner_uid);
  REQUIRE(mknod(home.at(in + "socket.conf").c_str(), S_IFSOCK | 0600, 0) == 0);
  home.own(in + "socket.conf", 0600, owner_uid);
  home.conf("nul.conf", "dir=/x\n" + std::string(1, '\0') + secret);
  home.conf("a b.conf", secret);
  home.conf("esc\x1b[2J.conf", secret);
  home.conf(std::string(70, 'n') + ".conf", secret);
  home.conf("-dash.conf", secret);
  const Scan scan(home);
  REQUIRE(scan.code == 0);
  CHECK(scan.problem("good") == BookProblem::none);
  CHECK(scan.problem("other") == BookProblem::not_owner);
  CHECK(scan.detail("other") == other_uid);
  CHECK(scan.problem("group") == BookProblem::writable);
  CHECK(scan.detail("group") == 0664);
  CHECK(scan.problem("world") == BookProblem::writable);
  CHECK(scan.problem("locked") == BookProblem::unreadable);
  CHECK(scan.detail("locked") == EACCES);
  CHECK(scan.problem("link") == BookProblem::symlink);
  CHECK(scan.problem("passwd") == BookProblem::symlink);
  CHECK(scan.problem("dangling") == BookProblem::symlink);
  CHECK(scan.problem("directory") == BookProblem::not_regular);
  CHECK(scan.problem("fifo") == BookProblem::not_regular);
  CHECK(scan.problem("device") == BookProblem::not_regular);
  CHECK(scan.problem("socket") == BookProblem::not_regular);
  CHECK(scan.problem("nul") == BookProblem::nul_byte);
  CHECK(scan.problem("a b") == BookProblem::bad_name);
  CHECK(scan.problem("esc?[2J") == BookProblem::bad_name);
  CHECK(scan.problem(std::string(70, 'n')) == BookProblem::bad_name);
  CHECK(scan.problem("-dash") == BookProblem::bad_name);
  CHECK(!scan.holds(secret));
  CHECK(!scan.holds("root:"));
}

TEST_CASE("two bad names that look alike are one entry") {
  const Home home;
  home.daemons();
  home.conf("a\x01.conf", "");
  home.conf("a\x02.conf", "");
  const Scan scan(home);
  CHECK(scan.code == 0);
  CHECK(scan.header.entries == 1);
}

TEST_CASE("directories that are not the owner's own, and closed to others, are refused as a whole") {
  const auto refused = [](const Home &home, BookProblem problem, std::uint32_t where) {
    const Scan scan(home, "create");
    CHECK(scan.code == 0);
    CHECK(scan.header.problem == problem);
    CHECK(scan.header.where == where);
    CHECK(scan.header.entries == 0);
  };
  SUBCASE("a manager directory that is a link") {
    const Home home, target;
    target.directory("daemons");
    REQUIRE(symlink(target.path().c_str(), home.at(".daemon-manager").c_str()) == 0);
    refused(home, BookProblem::symlink, 1);
  }
  SUBCASE("a manager directory of somebody else's") {
    const Home home;
    home.directory(".daemon-manager", 0755, other_uid);
    refused(home, BookProblem::not_owner, 1);
  }
  SUBCASE("a manager directory that the group may write") {
    const Home home;
    home.directory(".daemon-manager", 0770);
    refused(home, BookProblem::writable, 1);
  }
  SUBCASE("a manager directory that is a file") {
    const Home home;
    home.file(".daemon-manager", "");
    refused(home, BookProblem::not_regular, 1);
  }
  SUBCASE("daemons that is a link") {
    const Home home;
    home.directory(".daemon-manager");
    REQUIRE(symlink("/etc", home.at(".daemon-manager/daemons").c_str()) == 0);
    refused(home, BookProblem::symlink, 2);
  }
  SUBCASE("daemons that all may write") {
    const Home home;
    home.directory(".daemon-manager");
    home.directory(".daemon-manager/daemons", 0707);
    refused(home, BookProblem::writable, 2);
  }
}

TEST_CASE("a home that may not be entered is said to be so") {
  const Home home;
  home.own(".", 0700, other_uid);
  const Scan scan(home);
  CHECK(scan.header.problem != BookProblem::none);
  const Fd book = memfd(), full = memfd();
  CHECK(end_of(start_helper("DM_SCAN", {"/nowhere", "owner", "look", "1000"}, owner_uid, book.get(), full.get())) == 0);
  CHECK(read_book_header(book.get())->problem == BookProblem::home_unreachable);
  CHECK(read_book_header(book.get())->detail == ENOENT);
}

TEST_CASE("a home that root made a link is followed") {
  const Home home, link;
  home.daemons();
  home.conf("a.conf", good);
  REQUIRE(symlink(home.path().c_str(), link.at("home").c_str()) == 0);
  const Fd book = memfd(), full = memfd();
  CHECK(end_of(start_helper("DM_SCAN", {link.at("home"), "owner", "look", "1000"}, owner_uid, book.get(), full.get())) == 0);
  CHECK(read_book_header(book.get())->entries == 1);
}

TEST_CASE("the limit counts all texts together, and what is over it is named") {
  const Home home;
  home.daemons();
  home.conf("a.conf", std::string(600, 'a'));
  home.conf("b.conf", std::string(600, 'b'));
  home.conf("c.conf", std::string(400, 'c'));
  const Scan scan(home, "look", "1000");
  CHECK(scan.problem("a") == BookProblem::none);
  CHECK(scan.problem("b") == BookProblem::too_big);
  CHECK(scan.detail("b") == 1000);
  CHECK(scan.problem("c") == BookProblem::none);
  CHECK(!scan.holds("bbb"));
}

TEST_CASE("a sparse file of a terabyte costs nothing") {
  const Home home;
  home.daemons();
  home.conf("a.conf", "");
  REQUIRE(truncate(home.at(".daemon-manager/daemons/a.conf").c_str(), 1LL << 40) == 0);
  CHECK(Scan(home).problem("a") == BookProblem::too_big);
}

TEST_CASE("a hundred thousand confs are counted and refused within seconds") {
  const Home home;
  home.daemons();
  const Fd directory(open(home.at(".daemon-manager/daemons").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  home.conf("d.conf", good);
  // Hard links, 60,000 to a file (ext4 allows 65,000): fast to make.
  std::string source = "d.conf";
  for (int i = 1; i < 100'000; i++) {
    const std::string name = std::to_string(i) + ".conf";
    if (i == 50'000) {
      home.conf(name, good);
      source = name;
      continue;
    }
    REQUIRE(linkat(directory.get(), source.c_str(), directory.get(), name.c_str(), 0) == 0);
  }
  const auto start = std::chrono::steady_clock::now();
  const Scan scan(home);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  CHECK(scan.code == 0);
  CHECK(scan.header.problem == BookProblem::too_many);
  CHECK(scan.header.detail == 100'000);
  CHECK(scan.header.entries == 0);
}

TEST_CASE("wrong arguments are refused") {
  const Home home;
  CHECK(Scan(home, "peek").code == 1);
  CHECK(Scan(home, "look", "-1").code == 1);
  CHECK(Scan(home, "look", "").code == 1);
  CHECK(Scan(home, "look", "99999999999").code == 1);
}
