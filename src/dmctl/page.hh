// All that there is to know of one daemon, as a page for people. The caller's privilege; no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dmctl/last_lines.hh"
#include "dmctl/processes.hh"
#include "dmctl/talk.hh"

namespace dm::dmctl {

struct Page {
  const Row &row;              // with its long fields
  Usage usage;                 // of one that runs
  std::optional<unsigned> descriptors;
  std::optional<std::uint64_t> most_descriptors;
  bool edited = false;         // the conf on disk is newer than what the manager has read
  LastLines last;
  std::vector<Event> ends;     // the last times that it ended, or did not come to run; the latest first
};

// Asks the system what the page needs beside the row (gather.cc).
// `events`: of any daemons, in the order of time.
Page gather_page(const Row &row, Processes &processes, const std::vector<Event> &events = {});

inline constexpr std::size_t lines_of_page = 5, processes_of_page = 20;  // of the log; of its tree

// Whole lines, each of at most `columns` where that can be.
std::string draw_page(const Page &page, std::size_t columns, bool colours);

}  // namespace dm::dmctl
