// Clients of the command sockets: who they are, what they send, what they are sent. Sandboxed; every client is hostile.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr std::int64_t ask_ms = 10'000;   // to have sent a request
constexpr std::int64_t read_ms = 30'000;  // to have taken some more of the answer
constexpr std::int64_t wait_ms = 30'000;  // beside a daemon's own stop_timeout
constexpr std::int64_t accept_pause_ms = 100;
constexpr int most_at_once = 1024;        // accepted in one turn: the whole backlog
constexpr unsigned root_connections = 256;
constexpr unsigned stranger_connections = 2;  // of one who is not listed

// Of several outcomes the exit code tells the gravest, in the order of dmctl(1).
int rank(Exit code) {
  switch (code) {
    case Exit::done: return 0;
    case Exit::not_running: return 1;
    case Exit::failed: return 2;
    case Exit::no_such_daemon: return 3;
    case Exit::not_permitted: return 4;
    case Exit::usage: return 5;
    case Exit::no_manager:
    case Exit::interrupted: return 6;
  }
  return 2;
}

void refuse(Client &client, Exit code, std::string_view text) {
  client.asked = true;
  say_outcome(client, code, "", text);
}

unsigned most_connections(const Worker &worker, const Client &client) {
  if (client.uid == 0) return root_connections;
  return client.user == no_user ? stranger_connections : worker.policy.users[client.user].limits.connections;
}

void open_client(Worker &worker, Fd socket, std::uint32_t listener) {
  ucred peer;
  socklen_t size = sizeof peer;
  // The peer's effective uid as it connected; nothing he does later changes it.
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return;
  auto owned = std::make_unique<Client>();
  Client &client = *owned;
  client.socket = std::move(socket);
  client.id = worker.next_client++;
  client.uid = peer.uid;
  client.until = now_ms() + ask_ms;
  const std::uint32_t user = worker.policy.find_uid(peer.uid);
  if (user != no_user && (worker.policy.users[user].flags & (user_runs | user_manages)) != 0) client.user = user;
  const unsigned open = ++worker.connections[client.uid];
  worker.clients[client.id] = std::move(owned);
  if (!watch(worker, client.socket.get(), EPOLLIN, tag_client | client.id)) client.closing = true;
  // (That of one who was struck off the list stays in his home: at it he is told so.)
  const bool his = listener == listener_shared || client.uid == 0 || (user != no_user && user == listener);
  if (!his) {
    note(worker, fmt::format("uid {} at another's command socket: not permitted", client.uid));
    refuse(client, Exit::not_permitted, "not permitted: this is another user's command socket");
  } else if (open > most_connections(worker, client)) {
    refuse(client, Exit::failed, fmt::format("you have {} connections open already; close some and try again", open - 1));
  }
  if (client.asked) advance(worker, client);
}

void read_request(Worker &worker, Client &client) {
  // One of a user's in each turn: however many he sends, others wait for one of them at most.
  if (!worker.served.insert(client.uid).second) return;
  char bytes[8192];
  while (!client.asked) {
    const ssize_t size = ::recv(client.socket.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (size < 0 && passing(errno)) return;
    if (size <= 0) {
      client.closing = true;
      return;
    }
    client.in.append(bytes, static_cast<std::size_t>(size));
    FrameHeader header;
    if (client.in.size() < sizeof header) continue;
    std::memcpy(&header, client.in.data(), sizeof header);
    if (header.kind != FrameKind::request || header.size > max_request) {
      refuse(client, Exit::usage, "this is no request of dmctl's, or one of another version");
      return advance(worker, client);
    }
    if (client.in.size() < sizeof header + header.size) continue;
    client.asked = true;
    const std::string payload = client.in.substr(sizeof header, header.size);
    client.in = {};
    if (now_ms() < worker.first_until) {
      // In its first moment the manager has read nobody's confs yet: nobody is to hear that there is no such daemon.
      client.deferred = payload;
      client.pending++;
      return serve_deferred(worker, now_ms());
    }
    serve(worker, client, payload);
    advance(worker, client);
  }
}

// After the request a client has nothing more to say: what comes is thrown away, and its end ends the waiting.
void discard(Client &client) {
  char bytes[4096];
  const ssize_t size = ::recv(client.socket.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (size == 0 || (size < 0 && !passing(errno))) client.closing = true;
}

void send_answer(Worker &worker, Client &client) {
  bool full = false;
  while (client.sent < client.out.size() && !full) {
    const ssize_t size = ::send(client.socket.get(), client.out.data() + client.sent, client.out.size() - client.sent,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size > 0) {
      client.sent += static_cast<std::size_t>(size);
      client.until = now_ms() + read_ms;
    } else if (errno != EINTR && passing(errno)) full = true;
    else if (errno != EINTR) {
      client.closing = true;
      return;
    }
  }
  if (!full) client.out.clear(), client.sent = 0;
  if (full == client.writable_wanted) return;
  client.writable_wanted = full;
  watch(worker, client.socket.get(), full ? EPOLLIN | EPOLLOUT : EPOLLIN, tag_client | client.id);
}

// Longer than until then nothing takes that ends well: stop_timeout, then SIGKILL, a reading of the confs, an exec.
std::int64_t patience(const Daemon &daemon, Wait wait) {
  std::int64_t until = now_ms() + daemon.stop_timeout_ms + wait_ms;
  if (daemon.terms.after_exit) until += daemon.stop_timeout_ms;
  if (wait == Wait::running && (daemon.terms.ready != Ready::started || daemon.terms.before)) until += daemon.terms.start_timeout_ms;
  return until;
}

void tell_waiters(Worker &worker, Daemon &daemon, Wait wait, Exit code, const std::string &text) {
  if (daemon.waiters.empty()) return;
  std::vector<Waiter> rest, answered;
  for (const Waiter &waiter : daemon.waiters) (waiter.wait == wait ? answered : rest).push_back(waiter);
  daemon.waiters = std::move(rest);
  for (const Waiter &waiter : answered)
    if (Client *client = find_client(worker, waiter.client)) {
      say_outcome(*client, code, id_of(worker, daemon), text);
      client->pending--;
      advance(worker, *client);
    }
}

// Those who wait too long are told how things stand.
void check_waiters(Worker &worker, std::int64_t now) {
  worker.waiters_until = 0;
  for (Owner &owner : worker.owners)
    for (auto &[name, daemon] : owner.daemons) {
      for (const Wait wait : {Wait::running, Wait::stopped, Wait::reloaded}) {
        bool late = false;
        for (const Waiter &waiter : daemon->waiters) late = late || (waiter.wait == wait && waiter.until <= now);
        if (late)
          tell_waiters(worker, *daemon, wait, Exit::failed,
                       fmt::format("still {}; it goes on, dmctl status tells how", state_name(*daemon)));
      }
      for (const Waiter &waiter : daemon->waiters)
        if (worker.waiters_until == 0 || waiter.until < worker.waiters_until) worker.waiters_until = waiter.until;
    }
}

// He is gone before his answer: a loop of such clients must not fill the worker.
void forget_waiter(Worker &worker, ClientId id) {
  for (Owner &owner : worker.owners)
    for (auto &[name, daemon] : owner.daemons)
      std::erase_if(daemon->waiters, [id](const Waiter &waiter) { return waiter.client == id; });
  forget_roller(worker, id);
}

void end_wait(Worker &worker, ClientId id) {
  Client *client = find_client(worker, id);
  if (client != nullptr) client->pending--, advance(worker, *client);
}

}  // namespace

void listen_to_clients(Worker &worker, bool on) {
  // Short of something for a moment: who connects waits in the sockets, and we do not turn round and round for him.
  worker.accept_at = on ? 0 : now_ms() + accept_pause_ms;
  for (auto &[owner, listener] : worker.listeners) watch(worker, listener.socket.get(), on ? std::uint32_t{EPOLLIN} : 0U, tag_listener | owner);
}

void accept_client(Worker &worker, std::uint32_t listener) {
  const auto found = worker.listeners.find(listener);
  for (int i = 0; i < most_at_once && found != worker.listeners.end(); i++) {
    Fd socket(::accept4(found->second.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) return listen_to_clients(worker, false);
    if (!socket) return;
    open_client(worker, std::move(socket), listener);
  }
}

void client_ready(Worker &worker, ClientId id, std::uint32_t events) {
  Client *client = find_client(worker, id);
  if (client == nullptr) return;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0 && client->asked) client->closing = true;
  else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) client->asked ? discard(*client) : read_request(worker, *client);
  if ((events & EPOLLOUT) != 0 && !client->closing) send_answer(worker, *client);
}

Client *find_client(Worker &worker, ClientId id) {
  const auto found = worker.clients.find(id);
  return found == worker.clients.end() || found->second->closing ? nullptr : found->second.get();
}

void say_outcome(Client &client, Exit code, std::string_view id, std::string_view text) {
  put_frame(client.out, FrameKind::outcome, {std::to_string(static_cast<int>(code)), id, text});
  if (rank(code) > rank(client.code)) client.code = code;
}

void say_text(Client &client, std::string_view text) { put_frame(client.out, FrameKind::text, {text}); }

void take_kept(Worker &worker, std::uint32_t cookie) {
  const auto last = std::ranges::find(worker.unkept, cookie, &Unkept::cookie);
  if (last == worker.unkept.end()) return;
  const std::vector<Unkept> kept(worker.unkept.begin(), last + 1);
  worker.unkept.erase(worker.unkept.begin(), last + 1);
  for (const Unkept &it : kept) end_wait(worker, it.client);
}

void keep_answers(Worker &worker) {
  std::vector<ClientId> keeping;
  keeping.swap(worker.keeping);
  for (const ClientId id : keeping)
    if (!ask_kept(worker, id)) end_wait(worker, id);
}

void ask_kept_elsewhere(Worker &worker, std::uint32_t slot) {
  for (const Unkept &it : worker.unkept)
    if (it.slot == slot) worker.keeping.push_back(it.client);
  std::erase_if(worker.unkept, [slot](const Unkept &it) { return it.slot == slot; });
}

void advance(Worker &worker, Client &client) {
  if (client.closing) return;
  // Whoever reads that it is done may rely on it, though the monitor be killed the moment after. (What is to be kept of it may not be
  // asked for yet, where he is told in the midst of a daemon's change.)
  if (client.asked && client.pending == 0 && std::exchange(client.changes, false)) worker.keeping.push_back(client.id), client.pending++;
  if (client.asked && client.pending == 0 && !client.ended) {
    put_frame(client.out, FrameKind::end, {std::to_string(static_cast<int>(client.code))});
    client.until = now_ms() + read_ms;
    client.ended = true;
  }
  send_answer(worker, client);
}

void check_clients(Worker &worker, std::int64_t now) {
  serve_deferred(worker, now);
  if (worker.waiters_until != 0 && now >= worker.waiters_until) check_waiters(worker, now);
  std::erase_if(worker.clients, [&](auto &entry) {
    Client &client = *entry.second;
    const bool waits = client.asked && !client.ended && client.out.empty();
    if (client.ended && client.out.empty()) client.closing = true;
    if (!client.closing && (waits || now < client.until)) return false;
    if (client.pending != 0) forget_waiter(worker, client.id);
    if (auto count = worker.connections.find(client.uid); count != worker.connections.end() && --count->second == 0)
      worker.connections.erase(count);
    return true;
  });
}

void add_waiter(Worker &worker, Daemon &daemon, Client &client, Wait wait) {
  if (client.no_wait) return say_outcome(client, Exit::done, id_of(worker, daemon), "asked for; dmctl status tells how it goes");
  const std::int64_t until = patience(daemon, wait);
  daemon.waiters.push_back({client.id, wait, until});
  client.pending++;
  if (worker.waiters_until == 0 || until < worker.waiters_until) worker.waiters_until = until;
}

void renew_waiters(Daemon &daemon, Wait wait, std::int64_t more_ms) {
  for (Waiter &waiter : daemon.waiters)
    if (waiter.wait == wait) waiter.until = std::max(waiter.until, patience(daemon, wait) + more_ms);
}

void say_held(Client &client, std::string_view id, std::string_view text) {
  put_frame(client.out, FrameKind::outcome, {std::to_string(static_cast<int>(Exit::failed)), id, text, outcome_held});
  if (rank(Exit::failed) > rank(client.code)) client.code = Exit::failed;
}

void say_unknown(Client &client, std::string_view text) {
  put_frame(client.out, FrameKind::outcome, {std::to_string(static_cast<int>(Exit::usage)), "", text, outcome_unknown});
  if (rank(Exit::usage) > rank(client.code)) client.code = Exit::usage;
}

void answer_waiters(Worker &worker, Daemon &daemon, Wait wait, Exit code, const std::string &text) {
  if (wait == Wait::running) hear(worker, daemon, code == Exit::done, text);
  tell_waiters(worker, daemon, wait, code, text);
}

}  // namespace dm::worker
