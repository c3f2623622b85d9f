// What status prints for people. The caller's privilege.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "dmctl/status_view.hh"
#include "dmctl/talk.hh"

namespace dm::dmctl {

// True where pages are wanted, for which the rows need their long fields: of daemons that were named, on a terminal or with -l.
bool wants_pages(const Command &command, bool terminal);
// A table or pages, whole lines. Without a terminal, colours and -l it is the plain table. `columns`: 0 for as many as it takes.
std::string status_text(const Command &command, std::vector<Row> rows, const std::vector<Event> &events, bool terminal, std::size_t columns, bool colours);

}  // namespace dm::dmctl
