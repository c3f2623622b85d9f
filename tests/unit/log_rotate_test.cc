// How dm-log rotates logs: nothing is lost, not even by kills, and old ones are compressed. Needs root.
#include "log_process.hh"

#include <zlib.h>

using namespace dm;
using namespace dm::test;

namespace {

std::string old_log(const Log &log, unsigned number) { return log.path() + "." + std::to_string(number); }

std::string unpacked(const std::string &path) {
  std::string out;
  const gzFile file = gzopen(path.c_str(), "rb");
  REQUIRE(file != nullptr);
  char block[4096];
  for (int size; (size = gzread(file, block, sizeof block)) > 0;) out.append(block, static_cast<std::size_t>(size));
  CHECK(gzclose(file) == Z_OK);
  return out;
}

bool there(const std::string &path) { return access(path.c_str(), F_OK) == 0; }

// All of the log, old ones first.
std::string whole(const Log &log, unsigned most) {
  std::string out;
  for (unsigned number = most; number > 0; number--) {
    const std::string plain = old_log(log, number), packed = plain + ".gz";
    if (there(packed)) out += unpacked(packed);
    else if (there(plain)) out += slurp(plain);
  }
  return Log::strip(out + slurp(log.path()));
}

// So many lines of 100 bytes, numbered from `first` on.
void print_lines(const Log &log, unsigned first, unsigned count) {
  for (unsigned i = first; i < first + count; i++) {
    std::string line = "line " + std::to_string(i) + " ";
    line.resize(99, '.');
    log.print(line + "\n");
  }
}

}  // namespace

TEST_CASE("a log that has reached log_size is renamed, log_keep old ones stay, and no line is lost before") {
  Log log({"web"}, nullptr, "log_size=4K\nlog_keep=3\n");
  for (unsigned i = 0; i < 5; i++) {
    print_lines(log, i * 100, 100);
    CHECK(eventually([&] { return whole(log, 4).find("line " + std::to_string(i * 100 + 99) + " ") != std::string::npos; }));
  }
  CHECK(log.finish() == 0);
  for (unsigned number = 1; number <= 3; number++) CHECK(there(old_log(log, number)));
  CHECK(!there(old_log(log, 4)));
  struct stat info {};
  REQUIRE(stat(old_log(log, 1).c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  CHECK(info.st_uid == owner_uid);
  // The lines that are left are the last ones, and follow one another.
  std::istringstream lines(whole(log, 3));
  std::string line;
  unsigned next = 0;
  for (bool first = true; std::getline(lines, line); first = false) {
    const auto number = static_cast<unsigned>(std::stoul(line.substr(5)));
    if (!first) CHECK(number == next);
    next = number + 1;
  }
  CHECK(next == 500);
}

TEST_CASE("with log_keep=0 it begins anew, and with log_size=0 it has no end") {
  Log none({"web"}, nullptr, "log_size=4K\nlog_keep=0\n");
  print_lines(none, 0, 100);
  // (What comes together with what was too much goes with it.)
  CHECK(eventually([&] {
    none.print("later\n");
    return none.text().starts_with("later\n");
  }));
  CHECK(!there(old_log(none, 1)));
  Log endless({"web"}, nullptr, "log_size=0\n");
  print_lines(endless, 0, 600);
  CHECK(eventually([&] { return endless.text().find("line 599 ") != std::string::npos; }));
  CHECK(!there(old_log(endless, 1)));
}

TEST_CASE("old logs are compressed with log_compress=yes, and nothing else is left of that") {
  Log log({"web"}, nullptr, "log_size=4K\nlog_keep=5\nlog_compress=yes\n");
  print_lines(log, 0, 50);
  CHECK(eventually([&] { return there(old_log(log, 1) + ".gz") && !there(old_log(log, 1)); }));
  CHECK(!there(log.path() + ".gz.part"));
  print_lines(log, 50, 50);
  CHECK(eventually([&] { return there(old_log(log, 2) + ".gz") && there(old_log(log, 1) + ".gz") && !there(old_log(log, 1)); }));
  std::istringstream lines(whole(log, 3));
  unsigned number = 0;
  for (std::string line; std::getline(lines, line); number++) CHECK(line.starts_with("line " + std::to_string(number) + " "));
  CHECK(number == 100);
  struct stat info {};
  REQUIRE(stat((old_log(log, 1) + ".gz").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
}

TEST_CASE("what a kill left of compressing and renaming is put in order") {
  Log log({"web"}, nullptr, "log_size=4K\nlog_keep=5\nlog_compress=yes\n");
  print_lines(log, 0, 50);
  CHECK(eventually([&] { return there(old_log(log, 1) + ".gz") && !there(old_log(log, 1)); }));
  log.crash();
  const std::string packed = slurp(old_log(log, 1) + ".gz");
  const auto put = [&](const std::string &path, const std::string &text) {
    const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    REQUIRE(write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    REQUIRE(fchown(file.get(), owner_uid, owner_uid) == 0);
  };
  put(old_log(log, 1), "the same, from before it was compressed\n");
  put(log.path() + ".gz.part", "half");
  put(old_log(log, 2), "not compressed yet\n");
  log.relaunch();
  CHECK(eventually([&] { return !there(old_log(log, 1)) && !there(old_log(log, 2)) && there(old_log(log, 2) + ".gz"); }));
  CHECK(slurp(old_log(log, 1) + ".gz") == packed);
  CHECK(unpacked(old_log(log, 2) + ".gz") == "not compressed yet\n");
  CHECK(eventually([&] { return !there(log.path() + ".gz.part"); }));
}

TEST_CASE("killed again and again while it rotates and compresses, it loses no line and doubles none") {
  constexpr unsigned most = 1000;
  Log log({"web"}, nullptr, "log_size=64K\nlog_keep=1000\nlog_compress=yes\n");
  count_under_fire(log);
  CHECK(eventually([&] { return whole(log, 3).find("--- exited") != std::string::npos; }));
  // Once there is peace every old one gets compressed.
  CHECK(eventually([&] {
    unsigned plain = 0;
    for (unsigned number = 1; number <= most; number++) plain += there(old_log(log, number));
    return plain == 0 && !there(log.path() + ".gz.part");
  }));
  CHECK(log.finish() == 0);
  unsigned rotated = 0;
  while (there(old_log(log, rotated + 1) + ".gz")) rotated++;
  const unsigned lines = check_counted(whole(log, most));
  MESSAGE(rotated << " old logs, " << lines << " lines");
  CHECK(rotated > 5);
  CHECK(lines > 1'000);
}

TEST_CASE("an old log's place that is taken by something else harms nobody, and the log goes on") {
  Log log({"web"}, nullptr, "log_size=4K\nlog_keep=2\nlog_compress=yes\n");
  print_lines(log, 0, 1);
  REQUIRE(eventually([&] { return there(log.path()); }));
  REQUIRE(mkdir(old_log(log, 1).c_str(), 0700) == 0);
  REQUIRE(chown(old_log(log, 1).c_str(), owner_uid, owner_uid) == 0);
  const std::string victim = log.home.at("victim");
  REQUIRE(symlink(victim.c_str(), (log.path() + ".gz.part").c_str()) == 0);
  for (unsigned i = 0; i < 4; i++) print_lines(log, 1 + i * 100, 100);
  CHECK(eventually([&] {
    log.print("later\n");
    return Log::strip(slurp(log.path())).ends_with("later\n");
  }));
  CHECK(!there(victim));
  log.tell(LogKind::exited, 0, CLD_EXITED);
  CHECK(log.finish() == 0);
}

TEST_CASE("log_stamp= says which stamp lines have, also for a successor that finds a plan") {
  Log plain({"web"}, nullptr, "log_stamp=none\n");
  plain.print("as it is\n");
  CHECK(eventually([&] { return slurp(plain.path()) == "as it is\n"; }));
  plain.more = "log_stamp=local\n";
  plain.read_confs();
  plain.open(0);
  plain.print("with a stamp\n");
  CHECK(eventually([&] { return slurp(plain.path()).ends_with(" with a stamp\n"); }));
}
