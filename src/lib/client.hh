// What dmctl and the worker say to each other over a command socket (SOCK_STREAM). Either side is hostile to the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dm {

// A request and an answer are made of frames: an 8-byte header (little endian) and a payload of NUL-terminated fields.
// One connection, one request frame, then any number of answer frames of which exactly the last is `end`: a list without
// its `end` is an error, never a short list.
enum class FrameKind : std::uint32_t {
  request = 0x31434d44,  // "DMC1": fields: verb, flags ("no-wait", "with-dependants", "long", flag_asked, with a comma between; or ""), user
                         // (dmctl -u, or ""), then the ids / arguments
  row = 1,               // one daemon, fields as RowField
  outcome = 2,           // fields: exit code (decimal), id or "", text for a person (may hold newlines); then perhaps outcome_held or outcome_unknown
  text = 3,              // fields: text for a person, on stdout
  end = 4,               // fields: exit code (decimal)
  event = 5,             // what happened to a daemon, fields as EventField
  reason = 6,            // why somebody may do something or not, fields as ReasonField
};

// The flag of a request that is made again because the one before it had no answer, with the time of the first in ms of CLOCK_BOOTTIME
// behind it: a start does not run again what has begun to run since.
inline constexpr std::string_view flag_asked = "asked=";
// It was not stopped because others require it; with the flag with-dependants it and those are.
inline constexpr std::string_view outcome_held = "held";
// There is no such verb here.
inline constexpr std::string_view outcome_unknown = "unknown-verb";

struct FrameHeader {
  FrameKind kind;
  std::uint32_t size;  // of the payload, bytes
};

inline constexpr std::size_t max_request = 64 * 1024;        // payload of a request
inline constexpr std::size_t max_answer_frame = 256 * 1024;  // payload of one answer frame
inline constexpr unsigned max_fields = 8192;                 // in one request

// Instead of a path, where a daemon's output goes to syslog.
inline constexpr std::string_view in_syslog = "syslog";

// Fields of a `row`. Times in ms; absent numbers are "". The worker promises no escaping: whoever prints, escapes.
enum RowField : unsigned {
  row_id,           // owner/name
  row_state,        // stopped starting running listening waiting stopping cooldown done failed
  row_pid,
  row_respawns,
  row_cooldown_ms,  // left of the cooldown; "0" where there is none
  row_uptime_ms,    // of this run; "0" where it does not run
  row_total_ms,     // of all runs together
  row_target,       // user it runs as
  row_note,         // why it is not well and what to do; "" where it is
  row_log,          // path of its log, in_syslog, or "" where it has none
  row_fields,
  // With the flag "long" of status these too.
  row_conf = row_fields,  // path of its conf
  row_start,         // start= of its conf, for its owner and root; "" for all others, and where its conf does not tell
  row_read_ns,       // when the conf that was last read had been written (st_mtim, ns since 1970)
  row_stale,         // "changed" or "gone": it runs as an older conf said; "" where it does not
  row_autostart,     // "yes" or "no"; "" where its conf cannot be read
  row_end,           // how its last run ended: "exited", "killed"; "" where that is not known, or it runs again
  row_end_status,    // the exit code, or the signal's number
  row_end_ago_ms,    // since it ended
  row_end_ran_ms,    // for so long it had run
  row_shown,         // "yes" to whom start= of its conf is shown, "no" to others
  row_long_fields,
};

// Fields of an `event`; those that it has not are "".
enum EventField : unsigned {
  event_id,        // of the daemon
  event_seconds,   // since 1970
  event_deed,      // started start-failed exited killed vanished stopped called-off signalled reloaded not-ready silent given-up reset
                   // conf-changed taken-over
  event_by,        // whose word it was: a user, or in words; "" where it came by itself
  event_pid,
  event_code,      // exit code
  event_signal,    // SIGTERM
  event_lasted_s,  // how long the run was that has ended
  event_text,      // all that, for a person
  event_fields,
};

// Fields of a `reason`.
enum ReasonField : unsigned {
  reason_id,       // of the daemon
  reason_right,    // what it is about: root own manages runs_as
  reason_allowed,  // 1 or 0
  reason_file,     // the master config, and the line of it that says so; "" where none does
  reason_line,
  reason_rule,     // as it is written there
  reason_text,     // all that, for a person
  reason_fields,
};

// The verbs on the wire: status list pid start stop restart try-restart reload reset-failed kill rescan reopen lend version scale history explain metrics. For `kill` the first
// argument is the signal's number, for `scale` how many there shall be; `start stop restart try-restart reload reset-failed kill pid
// scale reopen lend history` need at least one id, `explain` a user and a verb before it; `all` is every daemon one may control, and a pattern (lib/glob.hh) those of them that it matches. The id of
// a family (instances=) is each of its daemons, which have the ids NAME:1, NAME:2 …

// Exit codes of dmctl, the same in every verb.
enum class Exit : int {
  done = 0, failed = 1, usage = 2, not_running = 3, not_permitted = 4, no_such_daemon = 5, no_manager = 7,
  interrupted = 130,  // as shells have it; of dmctl alone
};

// Appends one frame.
void put_frame(std::string &out, FrameKind kind, const std::vector<std::string_view> &fields);
// Splits a payload into its NUL-terminated fields; false when the last one is not terminated or there are over `most`.
bool split_fields(std::string_view payload, std::vector<std::string_view> &fields, std::size_t most = max_fields);

}  // namespace dm
