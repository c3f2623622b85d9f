// What the monitor orders dm-log to do: one datagram an order, checked. Runs as the owner.
#pragma once

#include "lib/fd.hh"
#include "lib/helper.hh"

namespace dm {

struct ReceivedOrder {
  LogOrder order{};
  Fd fifo, book, stage;  // with `open`; with `lend` a socket, and the book
};

enum class Receive { order, nothing, bad, ended };

// One datagram. All descriptors that came are closed again unless they are just those that its kind brings. Bad: it is to be
// left alone. Ended: there is no monitor any more.
Receive receive_order(int socket, ReceivedOrder &out);

// A FIFO, and a file to splice it into; both for reading and writing. The FIFO does not block from here on.
bool usable(const Fd &fifo, const Fd &stage);

}  // namespace dm
