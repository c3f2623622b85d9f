// What the reading verbs say to programs: one JSON document for a verb, as contrib/dmctl.schema.json has it. The caller's
// privilege; no I/O.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "dmctl/command.hh"
#include "dmctl/printer.hh"

namespace dm::dmctl {

// Members keep the order in which they were set.
using Json = nlohmann::ordered_json;

// Counts up when a member changes its meaning or goes away; new members may come at any time.
inline constexpr int json_schema = 1;

// Bytes as a string that JSON can hold: UTF-8 as it is, each byte that is none as the four characters \xNN.
std::string json_text(std::string_view bytes);
// A field as a string; null where it is "".
Json json_or_null(const std::string &field);
// The number that is all of a field; null where it is none.
Json json_number(std::string_view field);

// Ends a verb under --json: prints the document {"schema", "verb", the members of `body`, "notes", "errors", "exit"}. What was
// said until then, by the manager or with complain(), is in notes and errors. Strings in `body` may hold any bytes. Returns the
// exit code, which is `failed` at least where stdout does not take it.
Exit put_json(const Command &command, Printer &printer, Json body, Exit code);
// Likewise, where the verb has no more to say.
Exit put_json(const Command &command, Printer &printer, Exit code);
// One line of a verb that prints its records one a line (log): {"schema", "verb", the members of `record`}; put_json with an
// empty body follows the last.
void put_json_line(const Command &command, Printer &printer, Json record);

}  // namespace dm::dmctl
