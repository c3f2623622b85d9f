// The verbs log and tail. dmctl reads the log itself, with the caller's rights; as root it becomes the log's owner first.
#include "dmctl/oldlogs.hh"
#include "dmctl/talk.hh"
#include "dmctl/verbs.hh"
#include "lib/text.hh"

#include <cerrno>
#include <cstring>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::uint64_t tail_lines = 20;

// The log of one daemon, and whose it is.
struct Wanted {
  std::string id, path, owner;
  uid_t uid = 0;
  gid_t gid = 0;
};

Exit refuse(const Wanted &wanted, Exit code, std::string_view why, Printer &printer) {
  printer.complain(fmt::format("{}: {}\n", escape(wanted.id), why));
  return code;
}

// Asks the manager where the log is.
Exit find_log(const Command &command, Printer &printer, Wanted &wanted) {
  Question question;
  question.verb = "status";
  question.arguments.assign(command.words.begin(), command.words.end());
  question.user = command.user;
  const Answer answer = ask_manager(question, printer);
  if (answer.rows.size() != 1 || !answer.complete) {
    if (answer.rows.size() <= 1) return graver(answer.code, Exit::failed);
    printer.complain(own_words(fmt::format("{} shows one daemon at a time; name one, like {}", command.verb->name,
                                           escape(answer.rows[0][row_id]))));
    return Exit::usage;
  }
  const Row &row = answer.rows[0];
  wanted.id = row[row_id];
  wanted.path = row[row_log];
  if (wanted.path.empty())
    return refuse(wanted, Exit::failed, "it has no log; put output=log into its conf and restart it", printer);
  wanted.owner = wanted.id.substr(0, wanted.id.rfind('/'));
  const passwd *owner = ::getpwnam(wanted.owner.c_str());
  if (owner == nullptr) return refuse(wanted, Exit::failed, "its owner is not in the user database", printer);
  wanted.uid = owner->pw_uid;
  wanted.gid = owner->pw_gid;
  return Exit::done;
}

// Root reads a user's files as that user: no path of his can then lead to anything that is not his, and homes that refuse
// root (NFS, FUSE) work. Irrevocable; nothing but the log is left to do.
bool become_owner(const Wanted &wanted) {
  if (::geteuid() != 0 || wanted.uid == 0) return true;
  if (::initgroups(wanted.owner.c_str(), wanted.gid) != 0 || ::setresgid(wanted.gid, wanted.gid, wanted.gid) != 0 ||
      ::setresuid(wanted.uid, wanted.uid, wanted.uid) != 0)
    return false;
  ::prctl(PR_SET_DUMPABLE, 0);  // root's terminal is still open here: the owner may not trace his way to it
  return ::setresuid(0, 0, 0) != 0;
}

Exit explain(const Wanted &wanted, const OpenedLog &log, Printer &printer) {
  const std::string path = escape(wanted.path), owner = escape(wanted.owner);
  switch (log.fault) {
  case LogFault::none: break;
  case LogFault::missing: return refuse(wanted, Exit::failed, fmt::format("it has no log yet at {}", path), printer);
  case LogFault::forbidden:
    return refuse(wanted, Exit::not_permitted,
                  fmt::format("its log is {}'s, and only {} and root may read it: {}", owner, owner, path), printer);
  case LogFault::not_a_log:
    return refuse(wanted, Exit::failed,
                  fmt::format("not read: {} is no regular file of {}'s, or a symbolic link leads there", path, owner), printer);
  case LogFault::failed:
    return refuse(wanted, Exit::failed, fmt::format("cannot open {}: {}", path, std::strerror(log.errno_value)), printer);
  }
  return Exit::failed;
}

}  // namespace

Exit run_log(const Command &command, Printer &printer) {
  Wanted wanted;
  if (const Exit code = find_log(command, printer, wanted); code != Exit::done) return code;
  if (!become_owner(wanted)) return refuse(wanted, Exit::failed, "cannot become its owner to read its log", printer);
  OpenedLog log = open_log(wanted.path, wanted.uid);
  if (log.fault != LogFault::none) return explain(wanted, log, printer);
  struct stat st;
  if (::fstat(log.file.get(), &st) != 0) return explain(wanted, {Fd(), LogFault::failed, errno}, printer);

  const bool terminal = ::isatty(printer.out()) != 0, tail = command.verb->name == "tail";
  std::optional<std::uint64_t> lines = command.lines;
  if (tail && !lines) lines = tail_lines;
  off_t at = lines ? start_of_last(log.file.get(), st.st_size, *lines) : 0;
  LogCopy copy(printer, terminal);
  // What the log has not any more, those before it have.
  if (at == 0 && lines && !copy_old(wanted.path, wanted.uid, log.file.get(), *lines, copy))
    return printer.good() ? explain(wanted, {Fd(), LogFault::failed, errno}, printer) : Exit::failed;
  if (at < 0 || !copy.copy(log.file.get(), at, st.st_size))
    return printer.good() ? explain(wanted, {Fd(), LogFault::failed, errno}, printer) : Exit::failed;
  if (command.follow.value_or(tail && terminal && !command.quiet))
    follow_log(wanted.path, wanted.uid, std::move(log.file), at, copy, printer);
  copy.finish();
  return printer.flush() ? Exit::done : Exit::failed;
}

}  // namespace dm::dmctl
