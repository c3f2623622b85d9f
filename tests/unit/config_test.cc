// The master config's grammar: what is taken, what is refused, and at which line and column. No privilege.
#include <doctest/doctest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "worker/policy/config.hh"
#include "worker/policy/stop_time.hh"

namespace {

using namespace dm::master;

// The one fault of `text`, as LINE:COL: TEXT.
std::string fault_of(std::string_view text) {
  const Config config = parse_config(text);
  REQUIRE(config.faults.size() == 1);
  const Fault &fault = config.faults.front();
  CHECK_FALSE(fault.warning);
  return std::to_string(fault.place.line) + ":" + std::to_string(fault.place.column) + ": " + fault.text;
}

}  // namespace

TEST_CASE("an empty config is sound and grants nothing") {
  for (const char *text : {"", "\n\n", "# nothing\n", "  \t # nothing", "[runs_as]", "[manages]\n[settings]\n[limits]\n"}) {
    const Config config = parse_config(text);
    CHECK(config.faults.empty());
    CHECK(config.runs_as.empty());
    CHECK(config.manages.empty());
    CHECK(config.shutdown_timeout_ms == 60'000);
    CHECK_FALSE(config.no_cgroup);
  }
}

TEST_CASE("a rule may have a list, an empty list, or nothing behind its name") {
  const Config config = parse_config("[runs_as]\ndavid: www-data, @web\namy:\nbob # has daemons\n@staff : nobody\r\n");
  CHECK(config.faults.empty());
  REQUIRE(config.runs_as.size() == 4);
  CHECK(config.runs_as[0].left.text == "david");
  CHECK(config.runs_as[0].right.size() == 2);
  CHECK(config.runs_as[0].right[0].text == "www-data");
  CHECK(config.runs_as[0].right[0].place.column == 8);
  CHECK(config.runs_as[0].right[1].text == "web");
  CHECK(config.runs_as[0].right[1].group);
  CHECK(config.runs_as[1].right.empty());
  CHECK(config.runs_as[2].left.text == "bob");
  CHECK(config.runs_as[3].left.group);
  CHECK(config.runs_as[3].left.text == "staff");
  CHECK(config.runs_as[3].right[0].text == "nobody");
}

TEST_CASE("sections may come back, and [can_run_as] is [runs_as]") {
  const Config config = parse_config("[runs_as]\na: b\n[manages]\nc: d\n[can_run_as]\na: e\n[manages]\nc: f\n");
  CHECK(config.faults.empty());
  CHECK(config.runs_as.size() == 2);
  CHECK(config.manages.size() == 2);
}

TEST_CASE("names of users may look as directories write them") {
  const Config config = parse_config("[runs_as]\nann@corp: CORP\\bob, 1000, m\xc3\xbcller\n");
  CHECK(config.faults.empty());
  CHECK(config.runs_as[0].left.text == "ann@corp");
  CHECK_FALSE(config.runs_as[0].left.group);
  CHECK(config.runs_as[0].right[0].text == "CORP\\bob");
  CHECK(config.runs_as[0].right[1].text == "1000");
}

TEST_CASE("settings and limits are read with blanks and without") {
  const Config config = parse_config("[settings]\nshutdown_timeout = 90s\ncgroup=no\n[limits]\n"
                                     "*: daemons=7\ndavid: daemons = 50, book=2M ,starts=5,connections=3\n");
  CHECK(config.faults.empty());
  CHECK(config.shutdown_timeout_ms == 90'000);
  CHECK(config.no_cgroup);
  REQUIRE(config.limits.size() == 2);
  CHECK(config.limits[0].everyone);
  CHECK(config.limits[0].value[limit_daemons] == 7U);
  CHECK_FALSE(config.limits[0].value[limit_book].has_value());
  CHECK(config.limits[1].who.text == "david");
  CHECK(config.limits[1].value[limit_daemons] == 50U);
  CHECK(config.limits[1].value[limit_book] == 2U << 20);
  CHECK(config.limits[1].value[limit_starts] == 5U);
  CHECK(config.limits[1].value[limit_connections] == 3U);
}

TEST_CASE("ports are single ones and ranges, of a user or a group") {
  const Config config = parse_config("[ports]\ndavid: 80,443 , 8000-8100\n@staff: 1-65535\n");
  CHECK(config.faults.empty());
  REQUIRE(config.ports.size() == 2);
  CHECK(config.ports[0].who.text == "david");
  REQUIRE(config.ports[0].ranges.size() == 3);
  CHECK(config.ports[0].ranges[1].first == 443);
  CHECK(config.ports[0].ranges[1].last == 443);
  CHECK(config.ports[0].ranges[2].first == 8000);
  CHECK(config.ports[0].ranges[2].last == 8100);
  CHECK(config.ports[1].who.group);
}

TEST_CASE("bad ports are refused with line and column") {
  const std::string head = "[ports]\n";
  for (const char *bad : {"0", "65536", "http", "80-", "-80", "80-79", "1-65536", "80x", "8 0", "4294967297"})
    CHECK(fault_of(head + "david: " + bad).starts_with(std::string("2:") + (bad == std::string("8 0") ? "10: found '0'" : "8: found '")));
  CHECK(fault_of(head + "david").starts_with("2:6: found the end of the line, expected ':' and ports"));
  CHECK(fault_of(head + "david:").starts_with("2:7: found the end of the line, expected a port"));
  CHECK(fault_of(head + "david: 80,").starts_with("2:11: found the end of the line, expected a port"));
  CHECK(fault_of(head + "david: 80,,81").starts_with("2:11: found ',', expected a port"));
  CHECK(fault_of(head + "*: 80").starts_with("2:1: found '*', expected the name of a user"));
}

TEST_CASE("a line before the first section is refused") {
  CHECK(fault_of("\n david: amy\n").starts_with("2:2: found a line before the first section, expected [runs_as]"));
}

TEST_CASE("an unknown section is refused at its place, and its lines are not judged") {
  CHECK(fault_of("[runs_as]\namy\n  [rnus_as]\na b c\n").starts_with("3:3: found '[rnus_as]', expected [runs_as]"));
  CHECK(fault_of("[runs_as\namy: bob").starts_with("1:1: found '[runs_as', expected ']'"));
}

TEST_CASE("lines that do not parse are refused with line and column") {
  const std::string head = "[runs_as]\n";
  CHECK(fault_of(head + "david amy").starts_with("2:7: found 'amy', expected ':' or the end of the line"));
  CHECK(fault_of(head + "david: amy bob").starts_with("2:12: found 'bob', expected ','"));
  CHECK(fault_of(head + "david: amy,").starts_with("2:12: found the end of the line, expected a name"));
  CHECK(fault_of(head + "david: amy,, bob").starts_with("2:12: found ',', expected the name"));
  CHECK(fault_of(head + "david: amy: bob").starts_with("2:11: found ':', expected ','"));
  CHECK(fault_of(head + ": amy").starts_with("2:1: found ':', expected the name"));
  CHECK(fault_of(head + "david, amy: bob").starts_with("2:6: found ',', expected ':'"));
  CHECK(fault_of(head + "@").starts_with("2:2: found the end of the line, expected the name of a group"));
  CHECK(fault_of(head + "@: amy").starts_with("2:2: found ':'"));
  CHECK(fault_of(head + "*: amy").starts_with("2:1: found '*', expected the name of a user"));
  CHECK(fault_of(head + "david: /etc").starts_with("2:8: found '/etc', expected a name"));
  CHECK(fault_of(head + "david: " + std::string(256, 'x')).find("at most 255 bytes") != std::string::npos);
  CHECK(fault_of(head + "david: a\x1b[2J").find("\x1b") == std::string::npos);
}

TEST_CASE("unknown keys and bad values of settings are refused") {
  const std::string head = "[settings]\n";
  CHECK(fault_of(head + "shutdwon_timeout=60s").starts_with("2:1: found 'shutdwon_timeout', expected shutdown_timeout"));
  CHECK(fault_of(head + "shutdown_timeout=soon").starts_with("2:18: found 'soon', expected a time"));
  CHECK(fault_of(head + "cgroup=yes").starts_with("2:8: found 'yes', expected auto or no"));
  CHECK(fault_of(head + "cgroup").starts_with("2:7: found the end of the line, expected '='"));
  CHECK(fault_of(head + "cgroup=").starts_with("2:8: found the end of the line, expected a value"));
  CHECK(fault_of(head + "cgroup=no yes").starts_with("2:11: found 'yes', expected the end of the line"));
}

TEST_CASE("unknown keys and bad values of limits are refused") {
  const std::string head = "[limits]\n";
  CHECK(fault_of(head + "david: deamons=3").starts_with("2:8: found 'deamons', expected daemons, book"));
  CHECK(fault_of(head + "david: daemons=many").starts_with("2:16: found 'many', expected a number from 0"));
  CHECK(fault_of(head + "david: daemons=-1").starts_with("2:16: found '-1'"));
  CHECK(fault_of(head + "*: book=5T").starts_with("2:9: found '5T'"));
  CHECK(fault_of(head + "*: book=99999999999999999999").starts_with("2:9: found '9999"));
  CHECK(fault_of(head + "*: starts=0").starts_with("2:11: found '0'"));
  CHECK(fault_of(head + "david").starts_with("2:6: found the end of the line, expected ':'"));
  CHECK(fault_of(head + "david:").starts_with("2:7: found the end of the line, expected key=value"));
  CHECK(fault_of(head + "david: daemons=3 book=2M").starts_with("2:18: found 'book=2M', expected ','"));
}

TEST_CASE("all errors are found in one run") {
  const Config config = parse_config("x\n[runs_as]\na b\nc: d\n[settings]\nq=1\n[limits]\n*: daemons=x, book=y\n");
  CHECK(config.faults.size() == 5);
  CHECK(config.runs_as.size() == 1);
}

TEST_CASE("times of systemd are read as it reads them") {
  const auto parsed = [](std::string_view text) {
    std::optional<std::int64_t> time = -1;
    return parse_stop_time(text, time) ? time.value_or(-2) : -1;
  };
  CHECK(parsed("90") == 90'000);
  CHECK(parsed("90s") == 90'000);
  CHECK(parsed("2min 30s") == 150'000);
  CHECK(parsed("1h2m3sec4ms") == 3'723'004);
  CHECK(parsed("1 d") == 86'400'000);
  CHECK(parsed("1.5min\t.5s 250000us") == 90'750);
  CHECK(parsed("1w 1month 1y") > 3'600'000);
  CHECK(parsed("9999999999999d") > 3'600'000);
  for (const char *endless : {"infinity", "0", "0s"}) CHECK(parsed(endless) == -2);
  for (const char *none : {"", "-5", "5x", "s", "5s x", "1.", "1.s", "infinity 5", "99999999999999999999"}) CHECK(parsed(none) == -1);
}

TEST_CASE("the stop time is that of the unit, and of its drop-ins in their order, wherever they are") {
  char root[] = "/tmp/dm-stop-time-XXXXXX";
  REQUIRE(::mkdtemp(root) != nullptr);
  const auto write = [&root](const std::string &path, const std::string &text) {
    const std::filesystem::path file = root + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  };
  CHECK(find_stop_time(root) == usual_stop_ms);
  write("/etc/systemd/system/daemon-manager.service.d/a.conf", "[Service]\nTimeoutStopSec=7\n");
  CHECK(find_stop_time(root) == usual_stop_ms);  // of a unit that is not there
  write("/usr/lib/systemd/system/daemon-manager.service", "[Unit]\nTimeoutStopSec=1\n[Service]\nTimeoutStopSec=100s\n");
  CHECK(find_stop_time(root) == 7'000);
  write("/run/systemd/system/daemon-manager.service.d/b.conf", "[Service]\n# TimeoutStopSec=1\n TimeoutSec = 3min\n");
  CHECK(find_stop_time(root) == 180'000);
  write("/etc/systemd/system/daemon-manager.service.d/c.conf", "[Service]\nTimeoutStopSec=infinity\n");
  CHECK_FALSE(find_stop_time(root));
  // What it cannot read it leaves as it was.
  for (const char *none : {"", "soon", "5 parsecs"}) {
    write("/etc/systemd/system/daemon-manager.service.d/c.conf", std::string("[Service]\nTimeoutStopSec=") + none + "\n");
    CHECK(find_stop_time(root) == 180'000);
  }
  write("/etc/systemd/system/daemon-manager.service.d/c.conf",
        "[Service]\nExecStopPost=echo \\\n# TimeoutStopSec=1 \\\n TimeoutStopSec=2 \\\n; TimeoutStopSec=3\n TimeoutStopSec=4\n");
  CHECK(find_stop_time(root) == 180'000);
  write("/etc/systemd/system/daemon-manager.service.d/c.conf", "[Service]\nTimeoutStopSec=1min \\\n  5s");
  CHECK(find_stop_time(root) == 65'000);
  // Those for all services, and for all that begin so, count too; of one name the nearest.
  write("/etc/systemd/system/service.d/d.conf", "[Service]\nTimeoutStopSec=20\n");
  CHECK(find_stop_time(root) == 20'000);
  write("/run/systemd/system/daemon-.service.d/d.conf", "[Service]\nTimeoutStopSec=30\n");
  CHECK(find_stop_time(root) == 30'000);
  // Nothing that is put there is waited for.
  const std::string folder = std::string(root) + "/etc/systemd/system/daemon-manager.service.d/";
  REQUIRE(::mkfifo((folder + "x.conf").c_str(), 0644) == 0);
  std::filesystem::create_directory(folder + "y.conf");
  std::filesystem::create_symlink("/dev/null", folder + "d.conf");
  CHECK(find_stop_time(root) == 65'000);
  std::filesystem::remove_all(root);
}

TEST_CASE("a shutdown_timeout that the init system does not wait for is a warning at its place") {
  const auto warning = [](std::string_view value, std::optional<std::int64_t> most) {
    Config config = parse_config("[settings]\nshutdown_timeout = " + std::string(value) + "\n");
    judge_stop_time(config, most);
    if (config.faults.empty()) return std::string();
    CHECK(config.faults.front().warning);
    CHECK(config.faults.front().place.line == 2);
    CHECK(config.faults.front().place.column == 20);
    return config.faults.front().text;
  };
  CHECK(warning("85s", 90'000).empty());
  CHECK(warning("1h", std::nullopt).empty());
  CHECK(warning("60s", 90'000).empty());
  CHECK(warning("2m", 125'000).empty());
  CHECK(warning("86s", 90'000).starts_with("found '86s', expected at most 1m25s: after 1m30s (TimeoutStopSec of daemon-manager.service)"));
  CHECK(warning("2m", 3'000).starts_with("found '2m', expected at most 0s: after 3s"));
  Config silent = parse_config("[runs_as]\ndavid\n");
  judge_stop_time(silent, 65'000);
  CHECK(silent.faults.empty());
  judge_stop_time(silent, 64'000);
  REQUIRE(silent.faults.size() == 1);
  CHECK(silent.faults[0].warning);
  CHECK(silent.faults[0].place.line == 0);
  CHECK(silent.faults[0].text.starts_with("found no shutdown_timeout, which is 1m then, expected at most 59s: after 1m4s"));
}
