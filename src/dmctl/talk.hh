// One question to the manager and what its answer means: rows kept, outcomes printed, one exit code. The caller's privilege.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dmctl/command.hh"
#include "dmctl/connection.hh"
#include "dmctl/printer.hh"
#include "lib/client.hh"

namespace dm::dmctl {

// Fields that the manager did not send are "".
using Row = std::array<std::string, row_long_fields>;
using Event = std::array<std::string, event_fields>;
using Reason = std::array<std::string, reason_fields>;

struct Question {
  std::string_view verb;
  std::vector<std::string_view> arguments{};
  std::string_view user{};
  bool no_wait = false;
  bool with_dependants = false;
  bool long_rows = false;  // of status: RowField from row_conf on too
  bool waits = false;      // the answer takes as long as the daemons take
  std::int64_t first_ms = 0;  // when it was asked first, where it had no answer (flag_asked); 0: this is the first time
  bool keep_text = false;  // texts are kept for whoever asks instead of printed
  bool may_be_down = false;  // where nobody is there, why goes into the answer's text alone
  bool bare = false;       // outcomes that are done are printed without their id (pid)
};

// What a verb asks that is one question of its own name.
Question question_of(const Command &command);

struct Answer {
  std::vector<Row> rows;
  std::vector<Event> events;
  std::vector<Reason> reasons;
  std::string text;       // with keep_text: whole lines, made safe
  bool complete = false;  // `end` came: without it the rows are no list
  bool spoke = false;     // an outcome or a text was printed
  bool senseless = false;  // it was no answer, or the manager does not know the verb: versions may differ
  bool lost = false;      // the other end went away before its first word: nothing else here counts
  Exit code = Exit::done;
  std::vector<std::string> unknown;  // ids that are no daemon's
  std::vector<std::string> held;  // ids that were not stopped because others require them
  Exit other = Exit::done;        // the code without those
};

// It runs, or listens for who starts it; and the exit code that tells whether they all do.
bool is_active(const Row &row);
Exit activity(std::span<const Row> rows);

// Of two exit codes the one that dmctl ends with: no manager, usage, not permitted, no such daemon, failed, not running, done.
Exit graver(Exit a, Exit b);

// Asks over a connection and prints outcomes as they come: done ones and texts on stdout, failed ones on stderr.
// With `may_repeat` one who goes away before his first word is no error yet: the answer says `lost`.
Answer ask(Connection &connection, const Question &question, Printer &printer, Patience patience, bool may_repeat = false);
// Connects first; where nobody is there, says what was tried and how to start the manager.
Answer ask_manager(const Question &question, Printer &printer);
// Beside what goes on already: one try, a second long, and nothing is printed.
Answer ask_quickly(const Question &question);
// The manager's version; "" where it does not tell.
std::string manager_version();

}  // namespace dm::dmctl
