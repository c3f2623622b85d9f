// dm-policy CONFIG-PATH: reads the master config from descriptor 3, resolves its names and writes the policy into the memfd at
// descriptor 4. Runs as the worker's uid, once for each (re)load. Says what is wrong on stderr; exit 1 where it refuses.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/helper.hh"
#include "worker/policy/config.hh"
#include "worker/policy/nss.hh"
#include "worker/policy/resolve.hh"
#include "worker/policy/stop_time.hh"
#include "worker/policy/writer.hh"

namespace {

using namespace dm;

// 16384 users with ten names each stay below it; a larger file is a mistake, not a config.
constexpr off_t most_config = off_t{16} << 20;

void say(const std::string &line) {
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t wrote = write(STDERR_FILENO, rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

bool refuse(const std::string &file, const std::string &why) {
  say(fmt::format("{}: {}\n", file, why));
  return false;
}

// The descriptor is judged, not the path: what was checked is what is read.
bool may_be_trusted(const std::string &file, struct stat &info) {
  if (fstat(helper_fd, &info) != 0) return refuse(file, fmt::format("cannot look at it: {}", std::strerror(errno)));
  if (!S_ISREG(info.st_mode)) return refuse(file, "found something else, expected a regular file; put the config itself there");
  if (info.st_uid != 0)
    return refuse(file, fmt::format("found uid {} as its owner, expected root; run: chown root {}", info.st_uid, file));
  if ((info.st_mode & 022) != 0)
    return refuse(file, fmt::format("found mode {:04o}, expected one without write permission for group and others; "
                                    "run: chmod go-w {}", info.st_mode & 07777, file));
  if (info.st_size > most_config)
    return refuse(file, fmt::format("found {} bytes, expected at most {}; make it shorter", info.st_size, most_config));
  return true;
}

bool read_config(const std::string &file, std::string &text) {
  char buffer[65536];
  for (;;) {
    const ssize_t got = pread(helper_fd, buffer, sizeof buffer, static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse(file, fmt::format("cannot read it: {}", std::strerror(errno)));
    if (got == 0) return true;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > static_cast<std::size_t>(most_config)) return refuse(file, "it grows while it is read; try again");
  }
}

// False where there is an error among the faults; all of them are said, in the order of the lines.
bool report(const std::string &file, std::vector<master::Fault> &faults) {
  std::stable_sort(faults.begin(), faults.end(), [](const master::Fault &a, const master::Fault &b) {
    return a.place.line != b.place.line ? a.place.line < b.place.line : a.place.column < b.place.column;
  });
  bool good = true;
  for (const master::Fault &fault : faults) {
    const std::string place = fault.place.line == 0 ? "" : fmt::format(":{}:{}", fault.place.line, fault.place.column);
    say(fmt::format("{}{}: {}{}\n", file, place, fault.warning ? "warning: " : "", fault.text));
    good = good && fault.warning;
  }
  return good;
}

bool seal_policy(const std::string &file, const std::string &bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = pwrite(helper_fd2, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return refuse(file, fmt::format("cannot hand the policy over: {}", std::strerror(errno)));
    done += static_cast<std::size_t>(wrote);
  }
  if (fcntl(helper_fd2, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return refuse(file, fmt::format("cannot seal the policy: {}", std::strerror(errno)));
  return true;
}

bool run(const std::string &file) {
  struct stat info{};
  std::string text;
  if (!may_be_trusted(file, info) || !read_config(file, text)) return false;
  master::Config config = master::parse_config(text);
  config.file = file;
  master::SystemNames names;
  const master::Rows rows = master::resolve(config, names);
  master::judge_stop_time(config, master::find_stop_time());
  if (!report(file, config.faults)) return false;
  if (std::none_of(rows.users.begin(), rows.users.end(), [](const auto &user) { return (user.flags & user_runs) != 0; }))
    say(fmt::format("{}: warning: found nobody on the left of a line in [runs_as]: nobody may run daemons\n", file));
  const std::string bytes = master::write_policy(config, rows);
  if (bytes.empty())
    return refuse(file, fmt::format("found {} users, expected at most {} with their groups; name fewer", rows.users.size(),
                                    max_users));
  return seal_policy(file, bytes);
}

}  // namespace

int main(int argc, char **argv) {
  // Nobody may attach to it: what it writes, the monitor believes.
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return 1;
  if (argc != 2) {
    say("dm-policy: run by daemon-manager only\n");
    return 1;
  }
  return run(argv[1]) ? 0 : 1;
}
