// What has happened to each daemon: a file on tmpfs, root's alone (0600), that outlives worker and monitor. The monitor makes it, in
// one size for ever, writes there what the worker asks it to (AskRecord), unread, and hands it to each worker for reading alone: one who
// could write might hand that on, and fill the file system. What a worker left there is hostile to the next: it is looked at event by
// event, and counts for nothing but what people are shown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lib/message.hh"

namespace dm {

// What happened. Kept from changing meaning; new ones go to the end.
enum class Deed : std::uint8_t {
  none,          // no event is there
  started,       // value: pid
  start_failed,  // detail: RunStage, or failed_need; value: errno
  exited,        // by itself. detail: exit code; value: it ran so many seconds
  killed,        // likewise, by a signal. detail: the signal
  vanished,      // it ended while no manager looked, so that nobody knows how; value as above
  stopped,       // it was ended on somebody's word. detail: the signal, or 128 and the lower bits of the exit code; value as above
  called_off,    // it was not running, but meant to, and was told not to
  signalled,     // detail: the signal
  reloaded,
  not_ready,     // value: start_timeout, in seconds
  silent,        // value: watchdog, in seconds
  given_up,      // value: it had ended so often
  reset,         // its failures were forgotten
  changed,       // its conf is another one since it was started
  taken_over,    // it ran on while the manager was started anew
};
inline constexpr unsigned deeds = 16;

// Of start_failed, which is no RunStage: it did not come so far, for one that it requires does not run.
inline constexpr std::uint8_t failed_need = 0xff;

// Who an event is owed to, where it is no uid. (Nobody has these: Linux has no uid -1, and none near it is given to people.)
inline constexpr std::uint32_t by_itself = 0xffffffff;   // the daemon, or its conf
inline constexpr std::uint32_t by_autostart = 0xfffffffe;
inline constexpr std::uint32_t by_shutdown = 0xfffffffd;  // the manager was told to end
inline constexpr std::uint32_t by_conf = 0xfffffffc;      // its conf is gone, or root's config means it no more
inline constexpr std::uint32_t by_need = 0xfffffffb;      // a daemon that requires it was started

struct HistoryEvent {
  std::uint32_t seconds;     // of CLOCK_REALTIME
  std::uint32_t uid;         // whose word it was
  std::uint32_t value;
  std::uint32_t generation;  // of the slot: those of another daemon that had the place are none of this one's
  std::uint16_t number;      // counts a place's events, 0 … history_numbers - 1 and then from 0 again
  Deed deed;
  std::uint8_t detail;
};
static_assert(sizeof(HistoryEvent) == sizeof(Event) && std::has_unique_object_representations_v<HistoryEvent>);

// The file is history_kept times HistoryEvent[max_slots]: event `number` of a slot is in array number % history_kept. So daemons that
// have only been started touch a twentieth of it, and what is not touched takes no memory.
inline constexpr std::uint32_t history_kept = events_kept;
inline constexpr std::uint32_t history_numbers = 3000 * history_kept;
inline constexpr std::size_t history_size = std::size_t{history_kept} * max_slots * sizeof(HistoryEvent);

constexpr std::uint64_t history_at(std::uint32_t slot, std::uint32_t number) {
  return (std::uint64_t{number % history_kept} * max_slots + slot) * sizeof(HistoryEvent);
}

}  // namespace dm
