// dm-listen, the built program, as an unassigned user. Needs root.
#include "helper_process.hh"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "lib/helper.hh"

using namespace dm;
using namespace dm::test;

namespace {

const std::string socket_file = ".daemon-manager/command.sock";

struct Listen {
  Fd socket = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ListenExit code;
  explicit Listen(const std::string &home)
      : code(static_cast<ListenExit>(end_of(start_helper("DM_LISTEN", {home}, owner_uid, socket.get())))) {}
};

bool connects(const std::string &path) {
  const Fd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  memcpy(address.sun_path, path.c_str(), path.size());
  return connect(client.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
}

mode_t mode_of(const std::string &path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 ? info.st_mode : 0;
}

// A daemon's sockets, made as the monitor makes them: the owner's uid, another's gid. `listen` is all that the conf says of them.
struct Place {
  std::vector<Fd> sockets;
  RunReport report{};
  int code = -1;
  Place(const std::string &listen, const std::vector<int> &families, const std::string &target = "david") {
    for (const int family : families) sockets.emplace_back(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    go({"bind", "0", "2", std::to_string(families.size()), "david", "/home/david", target}, listen);
  }
  void remove() { go({"remove"}, ""); }
  [[nodiscard]] bool holds() const { return code == 0; }

private:
  void go(std::vector<std::string> arguments, const std::string &listen) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const Fd mine(ends[0]), its(ends[1]);
    const Fd book = make_book({{"web", "dir=/\nstart=true\n" + listen}});
    std::vector<int> descriptors;
    for (const Fd &one : sockets) descriptors.push_back(one.get());
    code = end_of(start_helper("DM_LISTEN", std::move(arguments), owner_uid, its.get(), book.get(), -1, descriptors, target_gid));
    pollfd ready{mine.get(), POLLIN, 0};
    if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0) REQUIRE(read(mine.get(), &report, sizeof report) == sizeof report);
  }
};

bool listens(const Fd &fd) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

// A port that nobody has.
std::uint16_t free_port() {
  const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  socklen_t size = sizeof address;
  REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr *>(&address), size) == 0);
  REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr *>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

}  // namespace

TEST_CASE("the socket is the owner's, 0600, and takes connections") {
  const Home home;
  home.directory(".daemon-manager");
  const Listen listen(home.path());
  CHECK(listen.code == ListenExit::done);
  struct stat info {};
  REQUIRE(lstat(home.at(socket_file).c_str(), &info) == 0);
  CHECK(info.st_mode == (S_IFSOCK | 0600));
  CHECK(info.st_uid == owner_uid);
  CHECK(connects(home.at(socket_file)));
}

TEST_CASE("a home without the directory is dormant, and nothing is made there") {
  const Home home;
  CHECK(Listen(home.path()).code == ListenExit::dormant);
  CHECK(mode_of(home.at(".daemon-manager")) == 0);
  CHECK(Listen("/nowhere").code == ListenExit::dormant);
}

TEST_CASE("a socket that an earlier manager left is replaced") {
  const Home home;
  home.directory(".daemon-manager");
  { CHECK(Listen(home.path()).code == ListenExit::done); }
  CHECK(!connects(home.at(socket_file)));
  const Listen again(home.path());
  CHECK(again.code == ListenExit::done);
  CHECK(connects(home.at(socket_file)));
}

TEST_CASE("whatever else stands in its place is refused and left there") {
  const Home home;
  home.directory(".daemon-manager");
  const std::string path = home.at(socket_file);
  SUBCASE("a file") { home.file(socket_file, "mine"); }
  SUBCASE("a directory") { home.directory(socket_file); }
  SUBCASE("a link") { REQUIRE(symlink("/tmp/nowhere", path.c_str()) == 0); }
  SUBCASE("a FIFO") { REQUIRE(mkfifo(path.c_str(), 0600) == 0); }
  SUBCASE("somebody else's socket") { REQUIRE(mknod(path.c_str(), S_IFSOCK | 0600, 0) == 0); }
  const mode_t before = mode_of(path);
  CHECK(Listen(home.path()).code == ListenExit::refused);
  CHECK(mode_of(path) == before);
}

TEST_CASE("a directory that is not the owner's own and closed is refused") {
  const Home home;
  SUBCASE("of somebody else's") { home.directory(".daemon-manager", 0755, other_uid); }
  SUBCASE("writable by the group") { home.directory(".daemon-manager", 0720); }
  SUBCASE("writable by all") { home.directory(".daemon-manager", 0702); }
  SUBCASE("a link") { REQUIRE(symlink("/tmp", home.at(".daemon-manager").c_str()) == 0); }
  SUBCASE("a file") { home.file(".daemon-manager", ""); }
  CHECK(Listen(home.path()).code == ListenExit::refused);
}

TEST_CASE("a path that fits a socket address to the byte works, one more does not") {
  const Home home;
  const std::size_t tail = strlen("/.daemon-manager/command.sock");
  for (const std::size_t size : {std::size_t{107}, std::size_t{108}}) {
    const std::string name(size - tail - home.path().size() - 1, 'h');
    home.directory(name);
    home.directory(name + "/.daemon-manager");
    const Listen listen(home.at(name));
    CHECK(listen.code == (size == 107 ? ListenExit::done : ListenExit::path_too_long));
    CHECK((mode_of(home.at(name + "/" + socket_file)) != 0) == (size == 107));
  }
}

TEST_CASE("what is no unbound Unix stream socket is refused") {
  const Home home;
  home.directory(".daemon-manager");
  const Fd file = memfd();
  const Fd datagram(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const int fd : {file.get(), datagram.get()})
    CHECK(static_cast<ListenExit>(end_of(start_helper("DM_LISTEN", {home.path()}, owner_uid, fd))) == ListenExit::failed);
  CHECK(mode_of(home.at(socket_file)) == 0);
}

TEST_CASE("a home on a FUSE file system is left alone") {
  REQUIRE(unshare(CLONE_NEWNS) == 0);
  REQUIRE(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  const Home home;
  home.directory("fuse");
  const std::string device = home.at("device");  // a machine's own may be missing in a container
  REQUIRE(mknod(device.c_str(), S_IFCHR | 0600, makedev(10, 229)) == 0);
  const Fd server(open(device.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE_MESSAGE(server, "the kernel has no FUSE: modprobe fuse");
  // Another user's mount, so that the kernel answers statfs(2) itself: nobody serves this one.
  const std::string options = "fd=" + std::to_string(server.get()) + ",rootmode=40755,user_id=61002,group_id=61002";
  REQUIRE(mount("dm-test", home.at("fuse").c_str(), "fuse", 0, options.c_str()) == 0);
  const Listen listen(home.at("fuse"));
  REQUIRE(umount2(home.at("fuse").c_str(), MNT_DETACH) == 0);
  CHECK(listen.code == ListenExit::network_home);
}

TEST_CASE("a daemon's socket is the owner's, in the target's group, of exactly the mode that the conf says") {
  const Home home;
  for (const mode_t mode : {0660, 0600, 0666, 0777, 0}) {
    char text[8];
    (void)snprintf(text, sizeof text, "0%o", mode);
    Place place("listen=" + home.at("web.sock") + "\nlisten_mode=" + text + "\n", {AF_UNIX});
    REQUIRE(place.holds());
    struct stat info {};
    REQUIRE(lstat(home.at("web.sock").c_str(), &info) == 0);
    CHECK(info.st_mode == (S_IFSOCK | mode));
    CHECK(info.st_uid == owner_uid);
    CHECK(info.st_gid == target_gid);
    CHECK(listens(place.sockets[0]));
    place.remove();
    CHECK(mode_of(home.at("web.sock")) == 0);
  }
}

TEST_CASE("a directory with the setgid bit does not change the group of a daemon's socket") {
  const Home home;
  home.directory("run", 0755);
  REQUIRE(chmod(home.at("run").c_str(), 02755) == 0);
  const Place place("listen=" + home.at("run/web.sock") + "\n", {AF_UNIX});
  struct stat info {};
  REQUIRE(lstat(home.at("run/web.sock").c_str(), &info) == 0);
  CHECK(info.st_gid == target_gid);
}

TEST_CASE("a daemon's stale socket is replaced, a live one refused with the pid of who listens") {
  const Home home;
  const std::string line = "listen=" + home.at("web.sock") + "\n";
  { CHECK(Place(line, {AF_UNIX}).holds()); }
  CHECK_FALSE(connects(home.at("web.sock")));
  const Place live(line, {AF_UNIX});
  CHECK(live.holds());
  CHECK(connects(home.at("web.sock")));
  const Place again(line, {AF_UNIX});
  CHECK(again.code == 1);
  CHECK(again.report.stage == RunStage::listen_live);
  CHECK((again.report.detail & 0xff) == 0);
  CHECK((again.report.detail >> 8) > 1);
  CHECK(connects(home.at("web.sock")));
}

TEST_CASE("whatever else stands in the place of a daemon's socket is refused and left there") {
  const Home home;
  const std::string path = home.at("web.sock");
  SUBCASE("a file") { home.file("web.sock", "mine"); }
  SUBCASE("a directory") { home.directory("web.sock"); }
  SUBCASE("a link") { REQUIRE(symlink("/tmp/nowhere", path.c_str()) == 0); }
  SUBCASE("a FIFO") { REQUIRE(mkfifo(path.c_str(), 0600) == 0); }
  SUBCASE("somebody else's socket") { REQUIRE(mknod(path.c_str(), S_IFSOCK | 0600, 0) == 0); }
  const mode_t before = mode_of(path);
  const Place place("listen=" + path + "\n", {AF_UNIX});
  CHECK(place.report.stage == RunStage::listen_taken);
  CHECK(mode_of(path) == before);
}

TEST_CASE("all sockets of a daemon are bound, or none") {
  const Home home;
  home.file("second.sock", "mine");
  const Place place("listen=" + home.at("first.sock") + "\nlisten=" + home.at("second.sock") + "\n", {AF_UNIX, AF_UNIX});
  CHECK(place.report.stage == RunStage::listen_taken);
  CHECK(place.report.detail == 1);
  CHECK(mode_of(home.at("first.sock")) == 0);
}

TEST_CASE("a directory that is not there, or closed to the owner, is told as that") {
  const Home home;
  home.directory("closed", 0700, other_uid);
  CHECK(Place("listen=" + home.at("none/web.sock") + "\n", {AF_UNIX}).report.stage == RunStage::listen_dir);
  const Place closed("listen=" + home.at("closed/web.sock") + "\n", {AF_UNIX});
  CHECK(closed.report.stage != RunStage::none);
  CHECK(closed.report.errno_value == EACCES);
}

TEST_CASE("a port is bound where nobody listens, and refused where somebody does") {
  const std::string line = "listen=127.0.0.1:" + std::to_string(free_port()) + "\n";
  const Place place(line, {AF_INET});
  REQUIRE(place.holds());
  CHECK(listens(place.sockets[0]));
  const Place again(line, {AF_INET});
  CHECK(again.report.stage == RunStage::listen_live);
  CHECK(again.report.errno_value == EADDRINUSE);
}

TEST_CASE("neither sockets of another family or number, nor another target, nor an entry without listen= bind anything") {
  const Home home;
  const std::string line = "listen=" + home.at("web.sock") + "\n";
  CHECK(Place(line, {AF_INET}).report.stage == RunStage::listen_book);
  CHECK(Place(line, {AF_UNIX, AF_UNIX}).report.stage == RunStage::listen_book);
  CHECK(Place("", {AF_UNIX}).report.stage == RunStage::listen_book);
  CHECK(Place(line, {AF_UNIX}, "www-data").report.stage == RunStage::user);
  CHECK(Place("user=www-data\n" + line, {AF_UNIX}).report.stage == RunStage::user);
  CHECK(mode_of(home.at("web.sock")) == 0);
}

TEST_CASE("%i in a listen= line is the instance") {
  const Home home;
  const Place place("instances=3\nlisten=" + home.at("web-%i.sock") + "\n", {AF_UNIX});
  CHECK(place.holds());
  CHECK(S_ISSOCK(mode_of(home.at("web-2.sock"))));
}

TEST_CASE("what has taken the place of a daemon's socket is not removed with it") {
  const Home home;
  const std::string path = home.at("web.sock");
  Place place("listen=" + path + "\n", {AF_UNIX});
  REQUIRE(unlink(path.c_str()) == 0);
  SUBCASE("a file") { home.file("web.sock", "mine"); }
  SUBCASE("another socket of the owner's") {
    REQUIRE(mknod(path.c_str(), S_IFSOCK | 0600, 0) == 0);
    REQUIRE(chown(path.c_str(), owner_uid, owner_uid) == 0);
  }
  const mode_t before = mode_of(path);
  place.remove();
  CHECK(mode_of(path) == before);
}
