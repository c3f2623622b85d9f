// Rows of `status` as a table for people. The caller's privilege; no I/O.
#pragma once

#include <span>
#include <string>

#include "dmctl/talk.hh"

namespace dm::dmctl {

// The header, a line a row, columns aligned; below them an indented line for each row that has a note.
std::string status_table(std::span<const Row> rows);

}  // namespace dm::dmctl
