// A worker between two ends that the test holds: the monitor's, and a client's. No privilege.
#pragma once

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "worker/policy/writer.hh"
#include "worker/worker.hh"

namespace dm::worker {

using Confs = std::map<std::string, std::string>;  // name, text

// A sound book of these confs.
inline Fd book_of(const Confs &confs) {
  std::string entries, texts;
  const std::size_t texts_at = sizeof(BookHeader) + confs.size() * sizeof(BookEntry);
  for (const auto &[name, text] : confs) {
    BookEntry entry{};
    std::memcpy(entry.name, name.data(), name.size());
    entry.text_at = static_cast<std::uint32_t>(texts_at + texts.size());
    entry.text_size = static_cast<std::uint32_t>(text.size());
    texts += text;
    entries.append(reinterpret_cast<const char *>(&entry), sizeof entry);
  }
  const BookHeader header{book_magic, BookProblem::none, 0, 0, static_cast<std::uint32_t>(confs.size()),
                          static_cast<std::uint32_t>(texts_at + texts.size())};
  const std::string bytes = std::string(reinterpret_cast<const char *>(&header), sizeof header) + entries + texts;
  Fd file(::memfd_create("book", MFD_CLOEXEC));
  REQUIRE(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return file;
}

inline std::string request(const std::vector<std::string> &fields) {
  std::string payload;
  for (const std::string &field : fields) payload.append(field).push_back('\0');
  return payload;
}

// david, uid 1000, in row 0, and who else there is from uid 1001 on; each may run daemons as himself.
inline master::Rows rows_of(const std::vector<std::string> &names, unsigned flags) {
  master::Rows rows;
  for (std::uint32_t i = 0; i < names.size(); i++) {
    const uid_t uid = 1000 + i;
    rows.users.push_back({{names[i], uid, uid, "/home/" + names[i], "/bin/sh", {uid}}, flags, default_limits});
    rows.pairs.push_back({i, i});
  }
  return rows;
}

struct BareWorker {
  std::string policy;
  std::unique_ptr<Worker> worker;
  Fd monitor, peer, null{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Client *client = nullptr;

  explicit BareWorker(const master::Rows &rows) : policy(write_policy({}, rows)) { begin(); }

  // A worker that knows nothing yet but the policy.
  void begin() {
    worker = std::make_unique<Worker>();
    REQUIRE(check_policy(policy.data(), policy.size(), worker->policy));
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    worker->log = Log(null.get(), LogSink::stream);
    worker->monitor = Fd(ends[0]);
    monitor = Fd(ends[1]);
    worker->epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
    worker->owners.resize(worker->policy.count());
    worker->by_slot.resize(max_slots);
  }

  // A client of this uid takes the place of the last.
  Client &come(std::uint32_t uid) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    auto owned = std::make_unique<Client>();
    client = owned.get();
    client->socket = Fd(ends[0]);
    peer = Fd(ends[1]);
    client->id = worker->next_client++;
    client->uid = uid;
    client->user = worker->policy.find_uid(uid);
    client->asked = true;
    worker->clients[client->id] = std::move(owned);
    return *client;
  }

  // The next thing that is asked of the monitor, as it came; false where there is none.
  bool next(std::uint8_t (&bytes)[max_message]) { return ::recv(monitor.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0; }
};

}  // namespace dm::worker
