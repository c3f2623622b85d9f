// The staging file of one log and its journal. Runs as the owner; nothing in the file is believed before it was checked.
#include "log_stage.hh"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "lib/names.hh"

namespace dm {
namespace {

constexpr std::uint64_t magic = 0x33676174736d6474;  // of this layout
constexpr std::uint64_t punch_size = 65536;
constexpr std::int32_t most_offset = 86'400;  // seconds

bool sound_record(const StageRecord &it, std::uint64_t size) {
  return it.from >= stage_begin && it.from <= it.to && it.to <= it.next && it.next <= size &&
         size - it.next <= stage_room &&
         it.to - it.from <= batch_size && it.first_note <= it.end_note && it.end_note - it.first_note <= max_notes &&
         it.notes <= it.end_note - it.first_note && it.writing <= 1 && (it.writing == 1 || it.next == it.from) &&
         (it.offset == no_stamp || (it.offset >= -most_offset && it.offset <= most_offset)) && it.told_dropped <= it.dropped && it.told_lost <= it.lost_notes &&
         it.origin > std::numeric_limits<std::int64_t>::min() / 2 && it.origin < std::numeric_limits<std::int64_t>::max() / 2;
}

// Where a log is.
struct Place {
  Output output;
  char file[max_log_path + 1];
};

bool sound_place(const Place &place) {
  if (memchr(place.file, '\0', sizeof place.file) == nullptr) return false;
  return place.output == Output::log || place.output == Output::syslog || (place.output == Output::file && log_path(place.file));
}

}  // namespace

struct LogStage::Journal {
  std::uint64_t magic;
  std::uint32_t active;  // the record that counts
  std::uint32_t wanted;  // 1: whoever waits for the lock asks for the file
  char name[72];
  std::uint64_t log_size;  // LogTerms: numbers that count for the next plan or rotation, each by itself
  std::uint32_t log_keep;
  Stamp log_stamp;
  std::uint32_t log_compress;
  std::uint32_t place;  // the one that counts
  Place places[2];
  StageRecord records[2];
  StageNote notes[max_notes];
};

void LogStage::put_terms(Journal &journal, const LogTerms &terms) {
  journal.log_size = terms.size;
  journal.log_keep = terms.keep;
  journal.log_stamp = terms.stamp;
  journal.log_compress = terms.compress;
  const Place &now = journal.places[journal.place];
  if (terms.output == now.output && terms.file == now.file) return;
  Place next{terms.output, {}};
  terms.file.copy(next.file, max_log_path);
  if (!sound_place(next)) return;
  journal.places[1 - journal.place] = next;
  std::atomic_ref(journal.place).store(1 - journal.place, std::memory_order_release);
}

void LogStage::set_terms(const LogTerms &terms) { put_terms(*journal_, terms); }

std::string LogStage::name() const { return journal_->name; }

LogTerms LogStage::terms() const {
  const Place &place = journal_->places[journal_->place];
  return {place.output, place.file, journal_->log_size, journal_->log_keep, journal_->log_stamp, journal_->log_compress != 0};
}

LogStage::~LogStage() {
  if (journal_ != nullptr) munmap(journal_, stage_begin);
}

// The one thing that is written without the lock: a word, and whoever has the lock only ever reads it.
void LogStage::ask() {
  struct stat info {};
  if (fstat(fd_.get(), &info) != 0 || info.st_size < static_cast<off_t>(stage_begin)) return;
  void *map = mmap(nullptr, stage_begin, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (map == MAP_FAILED) return;
  std::atomic_ref(static_cast<Journal *>(map)->wanted).store(1, std::memory_order_relaxed);
  munmap(map, stage_begin);
}

bool LogStage::wanted() const {
  return journal_ != nullptr && std::atomic_ref(journal_->wanted).load(std::memory_order_relaxed) != 0;
}

bool LogStage::take(std::string &name) {
  static_assert(sizeof(Journal) <= stage_begin);
  struct stat info {};
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    ask();
    errno = EWOULDBLOCK;
    return false;
  }
  if (fstat(fd_.get(), &info) != 0) return false;
  size_ = static_cast<std::uint64_t>(info.st_size);
  // Too short for a journal: one that was killed while it made it, or a new file.
  if (size_ < stage_begin && !begin(name)) return false;
  void *map = mmap(nullptr, stage_begin, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (map == MAP_FAILED) return false;
  journal_ = static_cast<Journal *>(map);
  if (!sound() && !begin(name)) {
    const int error = errno;
    munmap(std::exchange(journal_, nullptr), stage_begin);
    errno = error;
    return false;
  }
  journal_->wanted = 0;
  // The monitor names the log by a place in a book that may have been read anew since the daemon was started.
  name = journal_->name;
  return true;
}

// One write of one page: it is there as a whole or not at all.
bool LogStage::begin(const std::string &name) {
  errno = EINVAL;
  if (!valid_member_name(name)) return false;
  union {
    Journal journal;
    char page[stage_begin];
  } fresh;
  memset(&fresh, 0, sizeof fresh);
  size_ = std::max(size_, stage_begin);
  fresh.journal.magic = magic;
  name.copy(fresh.journal.name, sizeof fresh.journal.name - 1);
  LogTerms usual;
  usual.output = Output::log;
  put_terms(fresh.journal, usual);
  StageRecord &record = fresh.journal.records[0];
  record.from = record.to = record.next = size_;
  return pwrite(fd_.get(), fresh.page, sizeof fresh, 0) == sizeof fresh;
}

bool LogStage::sound() const {
  if (journal_->magic != magic || journal_->active > 1) return false;
  if (memchr(journal_->name, '\0', sizeof journal_->name) == nullptr || !valid_member_name(journal_->name)) return false;
  if (!sound_record(record(), size_) || journal_->log_size > greatest_log_size || journal_->log_keep > most_logs_kept ||
      journal_->log_stamp > Stamp::none || journal_->place > 1 || !sound_place(journal_->places[journal_->place]))
    return false;
  for (std::uint64_t i = record().first_note; i < record().end_note; i++)
    if (note(i).kind > LogKind::close) return false;
  return true;
}

const StageRecord &LogStage::record() const { return journal_->records[journal_->active]; }

void LogStage::commit(const StageRecord &record) {
  const std::uint32_t other = 1 - journal_->active;
  journal_->records[other] = record;
  std::atomic_ref(journal_->active).store(other, std::memory_order_release);
}

bool LogStage::has_room() const {
  const StageRecord &it = record();
  return it.to - it.from + size_ - it.next < stage_room;
}

bool LogStage::fill(int fifo) {
  const StageRecord &it = record();
  const std::uint64_t most = std::min<std::uint64_t>(batch_size, stage_room - (it.to - it.from + size_ - it.next));
  auto offset = static_cast<off64_t>(size_);
  const ssize_t n = splice(fifo, nullptr, fd_.get(), &offset, most, SPLICE_F_NONBLOCK);
  if (n > 0) {
    size_ += static_cast<std::uint64_t>(n);
    return true;
  }
  if (n == 0 || errno == EAGAIN) errno = 0;
  return false;
}

std::string_view LogStage::read(std::uint64_t from, std::uint64_t to) {
  to = std::min(to, from + batch_size);
  // What once stands at an offset is never another.
  if (from < buffer_from_ || to > buffer_from_ + buffer_.size()) {
    buffer_.resize(to - from);
    const ssize_t n = pread(fd_.get(), buffer_.data(), buffer_.size(), static_cast<off_t>(from));
    buffer_.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    buffer_from_ = from;
  }
  if (from >= buffer_from_ + buffer_.size()) return {};
  return std::string_view(buffer_).substr(from - buffer_from_, to - from);
}

void LogStage::rest() {
  std::string().swap(buffer_);
  // (the page stays in the file, and comes back when it is looked at)
  if (journal_ != nullptr) madvise(journal_, stage_begin, MADV_DONTNEED);
}

void LogStage::punch() {
  const auto hole = [this](std::uint64_t from, std::uint64_t to) {
    (void)fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                    static_cast<off_t>(to - from));
  };
  const StageRecord &it = record();
  if (it.from - punched_ >= punch_size) hole(punched_, it.from & ~(stage_begin - 1));
  if (it.from - punched_ >= punch_size) punched_ = it.from & ~(stage_begin - 1);
  // What was dropped behind a plan that waits for its file.
  skipped_ = std::max(skipped_, it.to);
  if (it.next - skipped_ >= punch_size) hole((skipped_ + stage_begin - 1) & ~(stage_begin - 1), it.next & ~(stage_begin - 1));
  if (it.next - skipped_ >= punch_size) skipped_ = it.next;
}

const StageNote &LogStage::note(std::uint64_t number) const { return journal_->notes[number % max_notes]; }

// The place is filled before the record that counts it is made to count.
void LogStage::add(const StageNote &note) {
  StageRecord next = record();
  const std::uint64_t places = note.kind == LogKind::close ? max_notes : max_notes - 1;
  if (next.end_note - next.first_note >= places) {
    // Only a close fills the last place: it may have been made void since.
    if (note.kind == LogKind::close) {
      journal_->notes[(next.end_note - 1) % max_notes] = note;
      return;
    }
    next.lost_notes++;
    commit(next);
    return;
  }
  journal_->notes[next.end_note % max_notes] = note;
  next.end_note++;
  commit(next);
}

std::uint64_t LogStage::last_at() const {
  const StageRecord &it = record();
  return it.first_note == it.end_note ? 0 : note(it.end_note - 1).at;
}

void LogStage::settle_notes() {
  for (std::uint64_t i = record().first_note; i < record().end_note; i++)
    journal_->notes[i % max_notes].at = std::min(note(i).at, size_);
}

void LogStage::forget_closes() {
  for (std::uint64_t i = record().first_note; i < record().end_note; i++)
    if (note(i).kind == LogKind::close) journal_->notes[i % max_notes].kind = LogKind::open;
}

}  // namespace dm
