// Puts a daemon's listening sockets where it looks for them. Runs as the target.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/conf.hh"
#include "lib/helper.hh"

namespace dm {

// Descriptors of dm-run's own, out of the way of a daemon's; all CLOEXEC.
struct OwnFds {
  int report = -1, book = -1;
  std::vector<int> sockets;
};

// Moves the report pipe, the book and `count` sockets out of the way, and closes all that is not known. False with errno set.
bool move_own(std::uint32_t count, OwnFds &out);

// True when its sockets are those that its conf names, in their order: the worker, which is not trusted, could have had those of
// another daemon of the owner's made for it.
bool sockets_as_written(const Conf &conf, const OwnFds &own);

// Gives the daemon its sockets: one as descriptor 0, or all from 3 on with LISTEN_FDS (sd_listen_fds(3)) in the environment.
// False with errno set.
bool pass_sockets(const Conf &conf, const OwnFds &own, std::vector<std::string> &environment);

}  // namespace dm
