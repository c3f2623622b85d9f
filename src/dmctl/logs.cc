// The verbs log and tail. dmctl reads a log itself, with the caller's rights; the files of another's it borrows from his dm-log.
#include "dmctl/colour.hh"
#include "dmctl/findlogs.hh"
#include "dmctl/json.hh"
#include "dmctl/oldlogs.hh"
#include "dmctl/pager.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"
#include "lib/text.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <deque>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::uint64_t tail_lines = 20;

// One's own one opens by oneself. Root too borrows those of others: no path of a user's can then lead root to anything that is not his, and
// homes that refuse root (NFS, FUSE) work.
LogSource source_of(const WantedLog &wanted) {
  if (::geteuid() == wanted.uid) return {wanted.path, wanted.uid};
  return {wanted.path, wanted.uid, wanted.id};
}

Exit explain(const WantedLog &wanted, const LogSource &source, const OpenedLog &log, Printer &printer) {
  const std::string path = escape(wanted.path), owner = escape(wanted.owner);
  switch (log.fault) {
  case LogFault::none: break;
  case LogFault::missing: return refuse_log(wanted, Exit::failed, fmt::format("it has no log yet at {}", path), printer);
  case LogFault::forbidden:
    return refuse_log(wanted, Exit::not_permitted,
                  fmt::format("its log is {}'s, and only {} and root may read it: {}", owner, owner, path), printer);
  case LogFault::not_a_log:
    return refuse_log(wanted, Exit::failed,
                  fmt::format("not read: {} is no regular file of {}'s, or a symbolic link leads there", path, owner), printer);
  case LogFault::failed:
    return refuse_log(wanted, Exit::failed, fmt::format("cannot open {}: {}", path, source.why().empty() ? std::strerror(log.errno_value) : source.why()), printer);
  }
  return Exit::failed;
}

// What stands before each line where several logs were asked for, all of one width; on a terminal in a colour of its own.
std::string prefix_of(const std::vector<WantedLog> &all, std::size_t index, bool colours) {
  std::size_t longest = 0;
  for (const WantedLog &wanted : all) longest = std::max(longest, escape(wanted.id).size());
  const std::string text = fmt::format("{:<{}} | ", escape(all[index].id), longest);
  return colours ? fmt::format("\x1b[{}m{}\x1b[0m", 31 + index % 6, text) : text;
}

// One line of a log as a record of its own: the stamp that stands before it, and what the daemon wrote.
void put_record(const Command &command, const std::string &id, std::string_view line, Printer &printer) {
  std::int64_t time_ns = 0;
  const std::size_t blank = read_stamp(line, time_ns) ? line.find(' ') : line.npos;
  Json record = Json::object();
  record["id"] = id;
  record["time"] = blank == line.npos ? Json() : Json(std::string(line.substr(0, blank)));
  record["text"] = std::string(line.substr(blank == line.npos ? 0 : blank + 1));
  put_json_line(command, printer, std::move(record));
}

// The log; where it has just been renamed, the next one in a moment.
OpenedLog open_now(LogSource &source) {
  OpenedLog log = source.open();
  for (int i = 0; i < 50 && log.fault == LogFault::missing && source.open(1).file; i++) {
    ::usleep(20'000);
    log = source.open();
  }
  return log;
}

// Shows what there is of a log by now. `at` is then where it goes on.
Exit show(const WantedLog &wanted, LogSource &source, OpenedLog &log, std::optional<std::uint64_t> lines, const LogFilter &filter, LogCopy &copy, off_t &at, Printer &printer) {
  struct stat st;
  if (log.fault != LogFault::none) return explain(wanted, source, log, printer);
  if (::fstat(log.file.get(), &st) != 0) return explain(wanted, source, {Fd(), LogFault::failed, errno}, printer);
  at = lines             ? start_of_last(log.file.get(), end_until(log.file.get(), st.st_size, filter.until_ns()), *lines)
       : filter.begins() ? start_since(log.file.get(), st.st_size, filter.since_ns())
                         : 0;
  // What the log has not any more, those before it have.
  const bool older = at == 0 && (lines || filter.timed());
  if ((older && !copy_old(source, log.file.get(), lines.value_or(all_lines), filter, copy)) || at < 0 ||
      !copy.copy(log.file.get(), at, st.st_size))
    return printer.good() ? explain(wanted, source, {Fd(), LogFault::failed, errno}, printer) : Exit::failed;
  if (copy.timeless() && filter.timed())
    return refuse_log(wanted, Exit::failed,
                      fmt::format("its lines bear no time (log_stamp=none): leave out {}", filter.begins() ? "--since" : "--until"), printer);
  return Exit::done;
}

// Never another's log as root: a pager has more ways to the machine than a reader of logs needs.
bool shown_in_pager(const Command &command, const std::vector<WantedLog> &all) {
  const bool own = ::geteuid() != 0 || std::all_of(all.begin(), all.end(), [](const WantedLog &wanted) { return wanted.uid == 0; });
  return own && !command.no_pager && !command.raw && !command.quiet && !command.follow.value_or(false);
}

}  // namespace

Exit run_log(const Command &command, Printer &printer) {
  LogFilter filter;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t now_ns = now.tv_sec * 1'000'000'000 + now.tv_nsec;
  std::string wrong = command.since.empty() ? "" : filter.set_since(command.since, now_ns);
  std::string_view what = "--since", value = command.since;
  if (wrong.empty() && !command.until.empty()) wrong = filter.set_until(command.until, now_ns), what = "--until", value = command.until;
  if (wrong.empty() && !command.grep.empty()) wrong = filter.set_grep(command.grep), what = "--grep", value = command.grep;
  if (!wrong.empty()) return printer.complain(own_words(fmt::format("{} '{}' {}", what, escape(value), wrong))), Exit::usage;

  std::vector<WantedLog> all;
  bool several = false;
  Exit code = find_logs(command, printer, all, several);
  if (all.empty() || code == Exit::usage) return code;

  const bool terminal = ::isatty(printer.out()) != 0, tail = command.verb->name == "tail";
  const bool colours = !command.raw && use_colour(command.colour, printer.out());
  std::optional<std::uint64_t> lines = command.lines;
  if (tail && !lines && command.since.empty()) lines = tail_lines;
  Pager pager(printer);
  if (!tail && terminal && !printer.collects() && shown_in_pager(command, all)) pager.start();
  std::deque<LogCopy> copies;
  std::deque<LogSource> sources;
  std::vector<LogFollower> followers;
  for (std::size_t i = 0; i < all.size(); i++) {
    LogSource &source = sources.emplace_back(source_of(all[i]));
    OpenedLog log = open_now(source);
    LogCopy::Taker taker;
    if (command.json) taker = [&command, &printer, id = all[i].id](std::string_view line) { put_record(command, id, line, printer); };
    LogCopy &copy = copies.emplace_back(printer, terminal && !command.raw, several ? prefix_of(all, i, colours) : "", filter.wanted() ? &filter : nullptr, std::move(taker));
    off_t at = 0;
    const Exit shown = show(all[i], source, log, lines, filter, copy, at, printer);
    code = graver(code, shown);
    if (shown == Exit::done) followers.emplace_back(source, std::move(log.file), at, copy);
  }
  if (command.follow.value_or(tail && terminal && !command.quiet && !filter.ends()) && !followers.empty()) follow_logs(followers, printer);
  for (LogCopy &copy : copies) copy.finish();
  if (!printer.flush()) code = pager.left() ? Exit::done : graver(code, Exit::failed);
  const std::string fault = pager.finish();
  if (fault.empty()) return code;
  printer.complain(own_words(fault));
  return graver(code, Exit::failed);
}

}  // namespace dm::dmctl
