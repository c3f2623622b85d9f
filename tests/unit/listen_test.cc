// dm-listen, the built program, as an unassigned user. Needs root.
#include "helper_process.hh"

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
