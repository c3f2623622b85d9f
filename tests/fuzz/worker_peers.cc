// The clients of the worker in the fuzz targets: what each is answered must be whole, and no more than he may know.
#include <sys/socket.h>

#include <charconv>

#include "worker_world.hh"

namespace dm::fuzz {
namespace {

constexpr std::pair<std::string_view, std::uint32_t> owners[] = {
    {"root", uid_root}, {"david", uid_david}, {"amy", uid_amy}, {"carl", uid_carl}, {"www-data", uid_www}};

// Whether one may hear what is said of `owner/…`; a text that begins with no owner's name is for all.
bool may_hear(const World &w, const Peer &peer, std::string_view id) {
  for (const auto &[name, uid] : owners)
    if (id.size() > name.size() && id.starts_with(name) && id[name.size()] == '/') return policy_manages(w.policy, peer.uid, uid);
  return true;
}

int number(std::string_view text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : -1;
}

void judge_frame(const World &w, Peer &peer, FrameKind kind, std::string_view payload) {
  std::vector<std::string_view> fields;
  must(split_fields(payload, fields), "an answer is made of fields");
  must(!peer.ended, "nothing comes after the end of an answer");
  switch (kind) {
    case FrameKind::row:
      must(fields.size() == row_fields || fields.size() == row_long_fields, "a row has its fields");
      must(may_hear(w, peer, fields[row_id]) && fields[row_id].find('/') != std::string_view::npos, "one sees one's own daemons");
      return;
    case FrameKind::outcome:
      must((fields.size() == 3 || (fields.size() == 4 && (fields[3] == outcome_held || fields[3] == outcome_unknown))) && number(fields[0]) >= 0 && number(fields[0]) <= 5, "an outcome has its fields");
      must(may_hear(w, peer, fields[1]) || number(fields[0]) == static_cast<int>(Exit::not_permitted) ||
               number(fields[0]) == static_cast<int>(Exit::no_such_daemon),
           "nobody is told of daemons that he does not manage");
      return;
    case FrameKind::text: {
      must(fields.size() == 1, "a text is one field");
      must(may_hear(w, peer, fields[0]), "nobody is told of daemons that he does not manage");
      return;
    }
    case FrameKind::end:
      must(fields.size() == 1 && number(fields[0]) >= 0 && number(fields[0]) <= 5, "an answer ends with its exit code");
      peer.ended = true;
      return;
    case FrameKind::event:
      must(fields.size() == event_fields, "an event has its fields");
      must(may_hear(w, peer, fields[event_id]), "nobody is told what happened to daemons that he does not manage");
      return;
    case FrameKind::reason:
      must(fields.size() == reason_fields, "a reason has its fields");
      must(may_hear(w, peer, fields[reason_id]), "nobody is told who may what with daemons that he does not manage");
      return;
    case FrameKind::request: break;
  }
  must(false, "an answer is made of frames that there are");
}

void judge_heard(const World &w, Peer &peer) {
  FrameHeader header{};
  while (peer.heard.size() >= sizeof header) {
    std::memcpy(&header, peer.heard.data(), sizeof header);
    must(header.size <= max_answer_frame, "a frame is no longer than dmctl takes");
    if (peer.heard.size() < sizeof header + header.size) return;
    judge_frame(w, peer, header.kind, std::string_view(peer.heard).substr(sizeof header, header.size));
    peer.heard.erase(0, sizeof header + header.size);
  }
}

}  // namespace

void connect(World &w, std::uint32_t uid, std::uint32_t listener) {
  const auto to = w.listeners.find(listener);
  if (to == w.listeners.end() || w.peers.size() > 200) return;
  int ends[2];
  must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0, "there are sockets");
  Peer peer;
  peer.socket = Fd(ends[0]);
  peer.accepted = Fd(ends[1]);
  peer.uid = uid;
  const auto index = static_cast<std::uint8_t>(w.peers.size());
  w.peers.push_back(std::move(peer));
  (void)!::write(to->second.get(), &index, 1);
}

void send(World &w, Peer &peer, std::string_view bytes) {
  for (const auto &[name, uid] : owners)
    if (policy_manages(w.policy, peer.uid, uid)) w.may_stop.insert(uid);
  if (peer.socket) (void)!::send(peer.socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void hear_peers(World &w) {
  char bytes[16384];
  for (Peer &peer : w.peers) {
    ssize_t size = 1;
    while (peer.reads && peer.socket && !peer.closed && size > 0) {
      size = ::recv(peer.socket.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (size > 0) peer.heard.append(bytes, static_cast<std::size_t>(size));
      peer.closed = size == 0;
    }
    judge_heard(w, peer);
  }
}

}  // namespace dm::fuzz
