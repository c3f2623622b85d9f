// What is around the worker in the fuzz targets: a monitor that does what the worker asks as long as it may ask it, clients with
// the uids that they are given, and a clock that goes when it is told to. The worker's own code runs as it is, from `run` on.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "input.hh"
#include "lib/client.hh"
#include "lib/fd.hh"
#include "policies.hh"
#include "worker/worker.hh"

namespace dm::fuzz {

inline constexpr std::uint32_t most_places = 24;

// A daemon's place as the monitor holds it.
struct Place {
  std::uint32_t owner_uid = 0, target_uid = 0;
  TellSlot told{};  // owner and target are filled in when it is told
  bool dirty = false;
  Fd notify, notify_end;  // the end that the worker gets, and the one that its daemon has
  bool notify_dirty = false;
  RunReport bind{};       // why its next sockets cannot be had; stage none: they can
};

// One at the other end of a command socket.
struct Peer {
  Fd socket, accepted;  // `accepted`: not yet taken by the worker
  std::uint32_t uid = 0;
  std::string heard;
  bool reads = true, ended = false, closed = false;  // closed: by the worker
};

struct World {
  explicit World(Input bytes) : input(bytes) {}
  Input input;
  std::int64_t now_ms = 1'000'000;
  unsigned policy = 0, next_policy = 0;
  worker::Worker *worker = nullptr;

  // The monitor. It reads what the worker says only while it is not `deaf`; `obedient`: daemons start and end as they are told.
  Fd monitor;
  bool deaf = false, obedient = false, ready = false, replayed = false, stopping = false, finished = false;
  std::vector<Place> places;
  std::map<std::uint32_t, std::string> books, read;       // by owner's uid: what the next reading brings, and the last brought
  std::map<std::uint32_t, std::uint64_t> generations;
  std::set<std::uint32_t> scans;                          // rows whose reading is on its way
  std::set<std::uint32_t> scanned;                        // uids whose confs were ever read: news of them may come late
  std::map<std::uint32_t, AskSlot> slot_asks;             // by row
  std::map<std::uint32_t, Fd> listeners;                  // the ends that make them readable
  Refusal refuse = Refusal::none;                         // of the next start, bind or command
  std::int32_t command_code = 1, command_status = 0;      // how the next command ends
  std::int32_t last_pid = 100;
  std::uint64_t last_generation = 0;
  std::set<std::uint32_t> may_stop;                       // owners whose daemons somebody may have told to stop

  std::vector<Peer> peers;
  std::uint32_t accepted_uid = 0;
};

extern World *world;

// worker_monitor.cc: the monitor. A worker begins, or begins anew; what it asks is done; what it does not know yet is told.
void begin_worker(World &w);
void hear_worker(World &w);
void tell_worker(World &w);
// The row of a uid, or no_user; one whom the name service does not know keeps what is his.
std::uint32_t row_of(const World &w, std::uint32_t uid);
// Nothing is told where the worker has never asked for it.
void tell_book(World &w, std::uint32_t row, BookResult result, std::string_view bytes);
void tell_shutdown(World &w);
// The daemon of a place is executed (from starting), ends, or has nothing left of its tree.
void daemon_runs(World &w, std::uint32_t place);
void daemon_ends(World &w, std::uint32_t place, std::int32_t code, std::int32_t status, const RunReport &report);
void daemon_empties(World &w, std::uint32_t place);
// It says something, or somebody who may; a connection waits for it; its sockets are lost; a command of it ends like this.
void daemon_says(World &w, std::uint32_t place, std::string_view bytes);
void somebody_connects(World &w, std::uint32_t place);
void sockets_are_lost(World &w, std::uint32_t place);

// worker_peers.cc: the clients' side
void connect(World &w, std::uint32_t uid, std::uint32_t listener);
void send(World &w, Peer &peer, std::string_view bytes);
// What the worker answers, judged; each hears what he may hear.
void hear_peers(World &w);

// worker_checks.cc: what holds between two turns of the worker's loop, and when all has come to rest.
void check_worker(const World &w);
bool all_said(const World &w);
void check_rest(const World &w);

// Runs worker after worker. `step` is called whenever one waits, until it says that there is no more to come; then all is
// given time to come to rest.
void run_workers(World &w, bool (*step)(World &));

}  // namespace dm::fuzz
