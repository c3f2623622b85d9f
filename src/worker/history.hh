// What has happened to a daemon, kept in a file for the workers to come. Sandboxed; what stands there is hostile.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/history.hh"
#include "worker/daemon.hh"

namespace dm::worker {

struct Worker;

struct Recorded {
  std::uint32_t slot;
  HistoryEvent event;
};

// Keeps an event of one that has a place; `at_ms` of CLOCK_BOOTTIME, 0: now. Where that fails it is as if it had not happened.
void record(Worker &worker, Daemon &daemon, Deed deed, std::uint32_t uid, std::uint8_t detail = 0, std::uint32_t value = 0,
            std::int64_t at_ms = 0);
// It was executed; and its run has ended, or did not come about (once for each run, however often it is called).
void record_start(Worker &worker, Daemon &daemon);
void record_end(Worker &worker, Daemon &daemon);

// Of one that was taken over: what a predecessor wrote last and did not come to remember is not written once more, should this one
// come to it again.
void recall_history(const Worker &worker, Daemon &daemon);

// The last events, the oldest first: each with a deed there is, all of this very daemon. Everything else may be a lie.
std::vector<HistoryEvent> history_of(const Worker &worker, const Daemon &daemon);

}  // namespace dm::worker
