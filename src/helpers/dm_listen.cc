// dm-listen: makes an owner's command socket in his home, or the listening sockets of a daemon of his (lib/helper.hh tells how it is
// called). Runs as the owner; for a daemon's sockets with the target's gid, so that they are born in its group.
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

#include "lib/book.hh"
#include "lib/conf.hh"
#include "lib/conf_expand.hh"
#include "lib/helper.hh"
#include "listen_place.hh"
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

enum Argument { arg_index = 2, arg_instance, arg_count, arg_owner, arg_home, arg_target, arguments };

RunReport bind_all(char **argv) {
  std::uint32_t index = 0, instance = 0, count = 0;
  if (!parse_decimal(argv[arg_index], max_entries, index) || !parse_decimal(argv[arg_instance], max_instances, instance) ||
      !parse_decimal(argv[arg_count], max_sockets, count))
    return {RunStage::listen_book, EINVAL, 0};
  const auto book_conf = read_book_conf(helper_fd2, index);
  if (!book_conf || book_conf->entry.problem != BookProblem::none) return {RunStage::listen_book, 0, 0};
  Conf conf = parse_conf(book_conf->text, false);
  expand(conf, {book_conf->entry.name, argv[arg_owner], argv[arg_home], instance});
  if (!conf.usable() || conf.listen.size() != count) return {RunStage::listen_book, 0, 0};
  // The group of the sockets is the target's, whom the worker chose, which is not trusted; the owner chose him too, here.
  if ((conf.user.empty() ? argv[arg_owner] : conf.user) != std::string_view(argv[arg_target])) return {RunStage::user, 0, 0};
  for (std::uint32_t line = 0; line < count; line++) {
    ListenAddress address;
    RunReport report{RunStage::listen_book, 0, line};
    if (parse_listen(conf.listen[line], address)) report = bind_place(helper_sockets_fd + static_cast<int>(line), address, conf, line);
    if (report.stage == RunStage::none) continue;
    while (line-- > 0) remove_place(helper_sockets_fd + static_cast<int>(line));  // all of them, or none
    return report;
  }
  return {};
}

int bind_daemon(char **argv) {
  const RunReport report = bind_all(argv);
  if (report.stage == RunStage::none) return 0;
  (void)!write(helper_fd, &report, sizeof report);
  return 1;
}

int remove_daemon() {
  for (std::uint32_t i = 0; i < max_sockets; i++) remove_place(helper_sockets_fd + static_cast<int>(i));
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  if (!undumpable() || !no_new_privileges()) return static_cast<int>(ListenExit::failed);
  if (argc == arguments && std::string_view(argv[1]) == "bind") return bind_daemon(argv);
  if (argc == 2 && std::string_view(argv[1]) == "remove") return remove_daemon();
  if (argc != 2 || !unix_stream(helper_fd)) return static_cast<int>(ListenExit::failed);
  umask(0177);
  return static_cast<int>(make_socket(argv[1]));
}
