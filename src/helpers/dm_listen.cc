// dm-listen: makes an owner's command socket in his home (lib/helper.hh tells how it is called). Runs as the owner.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string_view>

#include "lib/helper.hh"
#include "own.hh"

namespace {

using namespace dm;

constexpr const char *socket_name = "command.sock";
constexpr std::string_view socket_tail = "/.daemon-manager/command.sock";
constexpr int backlog = 128;

// File systems where a socket does not work for everybody who sees it, or where a server may hang whoever touches it.
// The numbers are statfs(2)'s f_type; some have no name in <linux/magic.h>.
constexpr std::array<std::uint32_t, 18> remote_types = {
    0x6969,      // NFS
    0xff534d42,  // CIFS
    0xfe534d42,  // SMB2
    0x517b,      // SMB
    0x65735546,  // FUSE: sshfs, gocryptfs, s3fs …
    0x5346414f,  // AFS (OpenAFS)
    0x6b414653,  // kAFS
    0x00c36400,  // Ceph
    0x01021997,  // 9p
    0x73757245,  // Coda
    0x564c,      // NCP
    0x0bd00bd0,  // Lustre
    0x47504653,  // GPFS
    0x01161970,  // GFS2
    0x7461636f,  // OCFS2
    0x20030528,  // OrangeFS
    0x19830326,  // FhGFS, BeeGFS
    0x786f4256,  // VirtualBox's shared folders
};

bool remote(int directory) {
  struct statfs info {};
  if (fstatfs(directory, &info) != 0) return true;  // not to be relied on, whatever it is
  const auto type = static_cast<std::uint32_t>(info.f_type);
  return std::find(remote_types.begin(), remote_types.end(), type) != remote_types.end();
}

bool unix_stream(int fd) {
  int domain = 0, type = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX) return false;
  size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

// Takes away what an earlier manager left. Only a socket of the owner's own goes: all else is his to remove.
ListenExit clear_place() {
  struct stat info {};
  if (lstat(socket_name, &info) != 0) return errno == ENOENT ? ListenExit::done : ListenExit::failed;
  if (!S_ISSOCK(info.st_mode) || info.st_uid != geteuid()) return ListenExit::refused;
  return unlink(socket_name) == 0 ? ListenExit::done : ListenExit::failed;
}

ListenExit make_socket(const char *home_path) {
  sockaddr_un address{};
  // dmctl connects by the whole path, though the name bound here is short.
  if (strlen(home_path) + socket_tail.size() > sizeof address.sun_path - 1) return ListenExit::path_too_long;
  const Fd home = open_home(home_path);
  if (!home) return errno == ENOENT || errno == ENOTDIR ? ListenExit::dormant : ListenExit::failed;
  if (remote(home.get())) return ListenExit::network_home;
  const OwnDirectory manager = open_own_directory(home.get(), manager_directory, false);
  if (manager.problem == BookProblem::missing) return ListenExit::dormant;
  if (manager.problem == BookProblem::unreadable) return ListenExit::failed;
  if (manager.problem != BookProblem::none) return ListenExit::refused;
  if (remote(manager.fd.get())) return ListenExit::network_home;
  // A relative name in the directory that was checked: no other directory can take its place in between.
  if (fchdir(manager.fd.get()) != 0) return ListenExit::failed;
  if (const ListenExit cleared = clear_place(); cleared != ListenExit::done) return cleared;
  address.sun_family = AF_UNIX;
  std::copy_n(socket_name, strlen(socket_name), std::begin(address.sun_path));
  if (bind(helper_fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0)
    return errno == EADDRINUSE ? ListenExit::refused : ListenExit::failed;
  return listen(helper_fd, backlog) == 0 ? ListenExit::done : ListenExit::failed;
}

}  // namespace

int main(int argc, char **argv) {
  if (!undumpable() || !no_new_privileges()) return static_cast<int>(ListenExit::failed);
  if (argc != 2 || !unix_stream(helper_fd)) return static_cast<int>(ListenExit::failed);
  umask(0177);
  return static_cast<int>(make_socket(argv[1]));
}
