// The worker under hostile clients, owners and predecessors: requests of any bytes, in pieces, from any uid; books of any text;
// memories of daemons that lie; daemons that end as they like.
#include <sys/mman.h>
#include <sys/wait.h>

#include <csignal>

#include "helpers/book_write.hh"
#include "worker_world.hh"

namespace dm::fuzz {
namespace {

constexpr std::uint32_t uids[] = {uid_david, uid_amy, uid_bob, uid_carl, uid_www, uid_root, 4711, 65534};

// `stop  david web` is the verb, no flags, the user david and the id web: blanks stand for the ends of fields.
std::string frame_of(std::string_view words) {
  std::string payload(words);
  for (char &c : payload) c = c == ' ' ? '\0' : c;
  payload.push_back('\0');
  FrameHeader header{FrameKind::request, static_cast<std::uint32_t>(payload.size())};
  return std::string(reinterpret_cast<const char *>(&header), sizeof header) + payload;
}

// The book that dm-scan would make of such confs; names that are none are files that are misnamed.
std::string book_of(Input &input) {
  std::map<std::string, std::string> confs;
  for (unsigned i = input.byte() % 4; i > 0; i--) {
    const std::string name(input.text().substr(0, max_name));
    confs[name.substr(0, name.find('\0'))] = input.text();
  }
  Shelf shelf;
  for (const auto &[name, text] : confs) {
    BookEntry entry{};
    std::memcpy(entry.name, name.data(), name.size());
    entry.modified_ns = static_cast<std::int64_t>(text.size());
    const bool nul = text.find('\0') != std::string::npos;
    entry.problem = !valid_daemon_name(name) ? BookProblem::bad_name : nul ? BookProblem::nul_byte : BookProblem::none;
    shelf.entries.push_back(entry);
    shelf.texts.push_back(text);
  }
  const Fd file(::memfd_create("book", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  must(write_book(file.get(), shelf, true), "a book can be written");
  std::string bytes(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
  must(::pread(file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "a book can be read");
  return bytes;
}

// The successor of a worker that is gone; what it left may be lies.
void restart(World &w) {
  const std::uint8_t how = w.input.byte();
  w.next_policy = how % policy_count;
  for (unsigned lies = how >> 4; lies > 0; lies--) {
    const std::uint8_t at = w.input.byte(), byte = w.input.byte();
    const std::string_view value = w.input.bytes(1);
    if (at < w.places.size() && byte < sizeof(Memo) && !value.empty()) w.places[at].told.memo.bytes[byte] = static_cast<std::uint8_t>(value[0]);
  }
  if (how != 0) w.may_stop = {uid_root, uid_www, uid_david, uid_amy, uid_bob, uid_carl, 65534};
  w.worker->done = true;
}

void end_daemon(World &w) {
  const std::uint8_t place = w.input.byte(), how = w.input.byte();
  const RunReport report{static_cast<RunStage>(how >> 2), static_cast<std::uint16_t>(w.input.byte()), w.input.byte()};
  daemon_ends(w, place, (how & 1) != 0 ? CLD_KILLED : CLD_EXITED, how >> 1, (how & 2) != 0 ? report : RunReport{});
}

void turn_a_knob(World &w, std::uint8_t which) {
  Input &input = w.input;
  if (which < 128) {
    (which & 1) != 0 ? w.deaf = !w.deaf : w.obedient = !w.obedient;
    return;
  }
  const std::uint8_t place = input.byte();
  switch (which % 5) {
    case 0: return daemon_says(w, place, input.text());
    case 1: return somebody_connects(w, place);
    case 2: return sockets_are_lost(w, place);
    case 3: w.command_code = place % 4, w.command_status = input.byte(); return;
    default:
      if (place < w.places.size())
        w.places[place].bind = {static_cast<RunStage>(input.byte() % run_stages), static_cast<std::uint16_t>(input.byte()), input.byte()};
  }
}

Peer *peer_of(World &w) {
  const std::uint8_t which = w.input.byte();
  return which < w.peers.size() ? &w.peers[which] : nullptr;
}

bool step(World &w) {
  constexpr std::int64_t pauses[] = {1, 100, 1'000, 3'001, 10'001, 31'000, 61'000, 3'600'000};
  constexpr Refusal refusals[] = {Refusal::throttled, Refusal::stale_book, Refusal::busy, Refusal::none};
  Input &input = w.input;
  if (input.empty()) return false;
  switch (input.byte() % 16) {
    case 0: {
      const std::uint8_t who = input.byte(), where = input.byte() % 10;
      connect(w, uids[who % std::size(uids)], where < 8 ? where : where == 8 ? listener_root : listener_shared);
      break;
    }
    case 1:
      if (Peer *peer = peer_of(w)) send(w, *peer, input.text());
      break;
    case 2:
    case 3:
      if (Peer *peer = peer_of(w)) send(w, *peer, frame_of(input.text()));
      break;
    case 4:
      if (Peer *peer = peer_of(w)) peer->socket.reset();
      break;
    case 5:
      if (Peer *peer = peer_of(w)) peer->reads = !peer->reads;
      break;
    case 6: {
      const std::uint32_t row = input.byte() % 8;
      const std::string book = book_of(input);
      if (row < w.worker->policy.count()) w.books[w.worker->policy.users[row].uid] = book;
      tell_book(w, row, BookResult::ok, book);
      break;
    }
    case 7: {
      const std::uint32_t row = input.byte() % 8;
      const auto result = static_cast<BookResult>(input.byte() % 4);
      tell_book(w, row, result, input.bytes(input.number<std::uint16_t>()));
      break;
    }
    case 8: daemon_runs(w, input.byte()); break;
    case 9: end_daemon(w); break;
    case 10: daemon_empties(w, input.byte()); break;
    case 11: w.now_ms += pauses[input.byte() % std::size(pauses)]; break;
    case 12: w.refuse = refusals[input.byte() % std::size(refusals)]; break;
    case 13: turn_a_knob(w, input.byte()); break;
    case 14:
      if (w.replayed) restart(w);
      break;
    case 15:
      if (w.replayed && !w.stopping && (input.byte() & 15) == 15) tell_shutdown(w);
      break;
  }
  return true;
}

}  // namespace
}  // namespace dm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  dm::fuzz::World world(dm::fuzz::Input(data, size));
  world.obedient = (world.input.byte() & 1) != 0;
  dm::fuzz::run_workers(world, dm::fuzz::step);
  return 0;
}
