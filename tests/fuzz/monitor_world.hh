// What is around the monitor in the fuzz target: a kernel with children that only seem to be there, a clock that goes when it is
// told to, and the worker's end of the socket. Everything else is the monitor's own code, from `run` on.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "input.hh"
#include "lib/fd.hh"
#include "monitor/monitor.hh"

namespace dm::fuzz {

// A child as the monitor knows it: there until it is reaped.
struct Kid {
  std::string program;  // of dm-listen for a place and dm-run for a command with what it shall do
  std::uint32_t uid = 0, slot = max_slots;
  Fd first, second;     // what it was given as descriptors 3 and 4
  bool killed = false;  // by SIGKILL
};

struct World {
  explicit World(Input bytes);
  ~World();
  World(const World &) = delete;
  World &operator=(const World &) = delete;

  Input input;
  monitor::Monitor &it;
  std::map<pid_t, Kid> kids;
  std::set<pid_t> groups;         // process groups of daemons that have a member left
  std::optional<siginfo_t> ended; // what waitid says next
  pid_t last_pid;
  std::int64_t now_ms = 1'000'000;
  bool no_forks = false;          // the next fork fails
  Fd signals, worker;             // the other ends
  unsigned policy = 0;            // which one the monitor has; policy_count: one that the fuzzer wrote
  unsigned daemon_acts = 0;       // starts of daemons, and signals to them
  std::uint32_t most_slots = 0;   // table.high at its highest

  // The first child of this kind, of dm-run one at that slot, or 0.
  [[nodiscard]] pid_t find(std::string_view program, std::uint32_t slot = max_slots) const;
  void signal(int number);
  // The child is gone: reaped by the monitor with this end.
  void end(pid_t pid, int code, int status);
};

// One step of the fuzzer's; false: there is none left. Called whenever the monitor waits.
bool step(World &world);

}  // namespace dm::fuzz
