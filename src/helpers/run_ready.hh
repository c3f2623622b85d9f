// How a daemon tells the manager that it is ready, set up before it is executed. Runs as the target.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/conf.hh"
#include "run_sockets.hh"

namespace dm {

// ready=notify, ready=fd:N, ready=connect and watchdog=: environment, descriptor, prober. `slot` names the notify socket.
// False with errno set.
bool set_up_ready(const Conf &conf, const OwnFds &own, std::uint32_t slot, std::vector<std::string> &environment);

}  // namespace dm
