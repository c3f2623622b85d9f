// What a daemon wrote and is not known to stand in its log yet, with the journal that makes dm-log forget nothing when it is
// killed. A file on tmpfs that the monitor makes for each logged slot and hands over; it outlives both. Runs as the owner.
//
// The first page is the journal, all behind it the daemon's output as it came: never rewritten, only holes are punched where
// it is done with, so that an offset means the same bytes for ever. Bytes leave the FIFO only by splice(2) to the end of this
// file. The kernel takes from the pipe what it added to the file's size, also when SIGKILL comes in the middle: the size is
// the record of what was taken. What is to be written is planned first, in a record that says which bytes and notes, with
// which times, at which place of which file. The text follows from the record alone; after a kill the size of the log tells
// how much of it was written, and the rest is appended.
//
// Two records, and one word that says which of them counts: a kill between any two instructions leaves the old one or the
// new one. This holds against SIGKILL, not against loss of power, nor for logs on NFS or FUSE whose servers may finish a
// write after its process has been killed. Programs that append to the log at the same moment as a kill are not known of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lib/conf.hh"
#include "lib/fd.hh"
#include "lib/helper.hh"
#include "log_lines.hh"

namespace dm {

inline constexpr std::uint64_t stage_begin = 4096;   // the journal is before it
inline constexpr std::uint64_t stage_room = 262144;  // more than this is left in the FIFO, so that the daemon waits
inline constexpr std::size_t batch_size = 65536;     // of bytes that one record plans
inline constexpr std::uint64_t max_notes = 48;

// A start, exit or close that is to stand behind all bytes before offset `at`. Of kind `open` it is a close that is void, or, with
// `stays_down`, that the daemon is not started again for a fault at line `value`, column `code` of its conf (0: of the file as a whole).
struct StageNote {
  std::uint64_t at;
  std::int64_t time_ns;
  LogKind kind;
  std::int32_t value, code;
  std::uint32_t stays_down;
};

struct StageRecord {
  std::uint64_t from, to;          // the bytes planned; equal when nothing is
  std::uint64_t next;              // where the next plan begins: `to`, or later where lines were dropped
  std::uint64_t first_note, end_note;  // counted from the beginning of time; kept at their number modulo max_notes
  std::uint64_t device, inode;     // of the log
  std::int64_t origin;             // the offset in the log at which the planned text begins; may be negative in a new file;
                                   // for syslog (inode 0) so many bytes of the text were sent
  std::int64_t time_ns, since_ns;  // stamp of the planned lines; of the first, where it began earlier (0: it did not)
  std::uint64_t dropped, lost_notes;        // lines and notes to be told about
  std::uint64_t told_dropped, told_lost;    // those of them that the plan tells about
  std::uint32_t notes;             // that the plan puts behind its lines
  std::uint32_t writing;           // 1: there is a plan
  std::uint32_t error;             // errno for which lines were dropped
  std::int32_t offset;             // of the plan's stamps, in seconds east of UTC; no_stamp: there are none
};

class LogStage {
public:
  explicit LogStage(Fd fd) : fd_(std::move(fd)) {}
  ~LogStage();
  LogStage(const LogStage &) = delete;
  LogStage &operator=(const LogStage &) = delete;

  // Locks the file and maps its journal. False: not now; another dm-log, whose monitor was killed, is still at work on it,
  // and is told that it is wanted.
  // False with EINVAL: never, for nothing tells which log it is for.
  // What is in the journal is believed only where it is in range, else it is begun anew for the log `name`. Sets `name` to
  // that of the log whose journal it is.
  bool take(std::string &name);
  // Whether another dm-log wants to go on with it: that of the next monitor.
  [[nodiscard]] bool wanted() const;
  // That of the log whose journal it is. After take() only.
  [[nodiscard]] std::string name() const;
  // Where its log is and how it is kept; what a successor that was told nothing goes by. After take() only. `output` is never discard;
  // to set that, or a file that can be none, leaves the log where it is.
  [[nodiscard]] LogTerms terms() const;
  void set_terms(const LogTerms &terms);
  [[nodiscard]] bool taken() const { return journal_ != nullptr; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  [[nodiscard]] const StageRecord &record() const;
  void commit(const StageRecord &record);

  // Up to a batch from the FIFO. False with errno where nothing came: 0 for an empty FIFO.
  bool fill(int fifo);
  [[nodiscard]] bool has_room() const;
  [[nodiscard]] std::uint64_t size() const { return size_; }
  // The bytes from `from` to `to`, at most a batch. Valid until the next call.
  std::string_view read(std::uint64_t from, std::uint64_t to);
  // Gives back the memory of what is done with.
  void punch();
  // Nothing is to be read for now: an owner may have thousands of these.
  void rest();

  [[nodiscard]] const StageNote &note(std::uint64_t number) const;
  // Behind all others. One that finds no place is counted; a close always does.
  void add(const StageNote &note);
  // Where the last of the notes stands, or 0.
  [[nodiscard]] std::uint64_t last_at() const;
  // No more bytes are coming: notes wait for none beyond the end.
  void settle_notes();
  // Closes that were ordered are void.
  void forget_closes();

private:
  struct Journal;
  static void put_terms(Journal &journal, const LogTerms &terms);
  bool begin(const std::string &name);
  void ask();
  [[nodiscard]] bool sound() const;

  Fd fd_;
  Journal *journal_ = nullptr;
  std::uint64_t size_ = 0, punched_ = stage_begin, skipped_ = 0, buffer_from_ = 0;
  std::string buffer_;
};

}  // namespace dm
