// The sockets of a daemon: bound to what its conf says, and their files removed. Run as the owner, with the target's gid.
#pragma once

#include "lib/conf.hh"
#include "lib/helper.hh"

namespace dm {

// Binds socket `fd` to the address and makes it listen. It must be of the address's family; one that has a port already (root's word)
// must have that very address. What fails is reported with `line`, the index of the listen= line.
[[nodiscard]] RunReport bind_place(int fd, const ListenAddress &address, const Conf &conf, std::uint32_t line);

// Removes the file of a bound Unix socket, where it is still that socket's and the caller's own.
void remove_place(int fd);

}  // namespace dm
