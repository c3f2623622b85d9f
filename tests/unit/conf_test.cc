// Daemon confs: what they say, what is wrong with them, what of them is secret. No privilege.
#include <doctest/doctest.h>

#include <ctime>

#include "lib/conf.hh"

using namespace dm;

namespace {

const std::string whole = "dir=/home/david\nstart=exec deluged -d\n";

// The only fault of a conf that is right but for these lines.
ConfFault fault_of(const std::string &lines) {
  const Conf conf = parse_conf(whole + lines, false);
  REQUIRE(conf.faults.size() == 1);
  return conf.faults.front();
}

bool says(const ConfFault &fault, std::string_view words) { return fault.text.find(words) != std::string::npos; }

using Words = std::vector<std::string>;
Words direct(std::string_view start) {
  Words words;
  REQUIRE(split_command(start, words));
  return words;
}
bool needs_shell(std::string_view start) {
  Words words;
  return !split_command(start, words);
}

// Clock ticks of CPU, which other processes do not change.
std::clock_t cpu_to_parse(std::string_view text) {
  const std::clock_t start = std::clock();
  (void)parse_conf(text, false);
  (void)redact_conf(text);
  return std::clock() - start;
}

}  // namespace

TEST_CASE("the example confs parse without a fault and keep their defaults") {
  const Conf conf = parse_conf("dir=/home/user/wordpress\nuser=www-data\nstart=exec php-cgi -q -b wordpress.socket\n", false);
  CHECK(conf.usable());
  CHECK(conf.faults.empty());
  CHECK(conf.dir == "/home/user/wordpress");
  CHECK(conf.user == "www-data");
  CHECK(conf.start == "exec php-cgi -q -b wordpress.socket");
  CHECK(conf.log.output == Output::discard);
  CHECK(conf.autostart);
  CHECK(conf.stop_signal == 15);
  CHECK(conf.stop_timeout_ms == 10'000);
  CHECK(conf.umask == 022);
}

TEST_CASE("every key is understood") {
  const Conf conf = parse_conf(whole + "user=ann@corp\noutput=log\nautostart=no\nstop_signal=INT\nstop_timeout=2m\numask=0077\n",
                               false);
  CHECK(conf.faults.empty());
  CHECK(conf.user == "ann@corp");
  CHECK(conf.log.output == Output::log);
  CHECK(!conf.autostart);
  CHECK(conf.stop_signal == 2);
  CHECK(conf.stop_timeout_ms == 120'000);
  CHECK(conf.umask == 077);
}

TEST_CASE("blanks around keys, comments, carriage returns and a UTF-8 mark do no harm") {
  const Conf conf = parse_conf("\xef\xbb\xbf  dir =  /a b \r\n\n\t# a comment\n start\t= ./x  #1 \r\n", false);
  CHECK(conf.faults.empty());
  CHECK(conf.dir == "/a b");
  CHECK(conf.start == "./x  #1");
}

TEST_CASE("an export's value is literal, but for quotes around all of it") {
  const Conf conf = parse_conf(whole + "export A=1\nexport  B = \"x y\"\nexport C='it''s'\nexport D=\"\nexport E=a\"b\"\nexport F=\n"
                                       "export G=$HOME # no\n",
                               false);
  CHECK(conf.faults.empty());
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"A", "1"}, {"B", "x y"}, {"C", "it''s"}, {"D", "\""}, {"E", "a\"b\""}, {"F", ""}, {"G", "$HOME # no"}};
  CHECK(conf.exports == expected);
}

TEST_CASE("a conf without dir or start is refused, each with its own words") {
  const Conf conf = parse_conf("", false);
  CHECK(!conf.usable());
  REQUIRE(conf.faults.size() == 2);
  CHECK(conf.faults[0].line == 0);
  CHECK(says(conf.faults[0], "no dir"));
  CHECK(says(conf.faults[1], "no start"));
}

TEST_CASE("an unknown key is a warning that names the nearest known one") {
  const ConfFault fault = fault_of("autostrat=yes\n");
  CHECK(fault.warning);
  CHECK(fault.line == 3);
  CHECK(fault.column == 1);
  CHECK(says(fault, "did you mean autostart?"));
  CHECK(says(fault_of("stop-timeout=3\n"), "did you mean stop_timeout?"));
  CHECK(says(fault_of("Umask=3\n"), "did you mean umask?"));
  CHECK(says(fault_of("stdout=/x\n"), "did you mean output?"));
  CHECK(says(fault_of("log=/x\n"), "did you mean output?"));
  CHECK(says(fault_of("autorestart=yes\n"), "did you mean restart?"));
  CHECK(says(fault_of("Depends-On=db\n"), "did you mean requires?"));
  CHECK(says(fault_of("command=./x\n"), "did you mean start?"));
  CHECK(says(fault_of("cwd=/\n"), "did you mean dir?"));
  CHECK(says(fault_of("PERL5LIB=/x\n"), "export PERL5LIB="));
  CHECK(parse_conf(whole + "colour=red\n", false).usable());
}

TEST_CASE("a second line for the same key or export is an error at the second") {
  CHECK(fault_of("  dir=/x\n").line == 3);
  CHECK(fault_of("  dir=/x\n").column == 3);
  CHECK(!fault_of("dir=/x\n").warning);
  CHECK(fault_of("export A=1\nexport A=1\n").line == 4);
  CHECK(fault_of("export A=1\nexport A=1\n").column == 8);
}

TEST_CASE("a dir that is not absolute is refused and told so") {
  for (const char *dir : {"site", "~/site", "./x", ""}) {
    const Conf conf = parse_conf("start=x\ndir=" + std::string(dir) + "\n", false);
    REQUIRE(conf.faults.size() == 1);
    CHECK(conf.faults[0].line == 2);
    CHECK(conf.faults[0].column == 5);
    CHECK(says(conf.faults[0], "absolute"));
  }
}

TEST_CASE("a user is a name, never a number") {
  for (const char *user : {"0", "-1", "", "1000", "+5", "a b", "a:b", "a,b", "a/b", "#0", "@www", "a\tb", "a\x1b", "\x7f"})
    CHECK(!fault_of("user=" + std::string(user) + "\n").warning);
  CHECK(!fault_of("user=" + std::string(256, 'a') + "\n").warning);
  CHECK(parse_conf(whole + "user=3com\n", false).usable());
  CHECK(parse_conf(whole + "user=" + std::string(255, 'a') + "\n", false).usable());
}

TEST_CASE("values that are none are refused with line, column and what was expected") {
  const ConfFault fault = fault_of("autostart = maybe\n");
  CHECK(fault.line == 3);
  CHECK(fault.column == 13);
  CHECK(says(fault, "found 'maybe'"));
  CHECK(says(fault, "expected yes or no"));
  for (const char *line : {"output=file", "autostart=1", "stop_signal=TERMINATE", "stop_signal=0", "stop_signal=65", "stop_signal=",
                           "stop_timeout=ten", "stop_timeout=-1", "stop_timeout=25d", "umask=8", "umask=1000", "umask=",
                           "umask=00022", "start="})
    CHECK_MESSAGE(!parse_conf("dir=/\n" + std::string(line) + "\n", false).usable(), line);
  CHECK(says(fault_of("autostart=no # for now\n"), "a comment needs a line of its own"));
}

TEST_CASE("output= names the whole path of a file, one for each instance") {
  const Conf conf = parse_conf("dir=/\nstart=x\noutput=file:%h/log/%n.log\n", false);
  CHECK(conf.usable());
  CHECK(conf.log.output == Output::file);
  CHECK(conf.log.file == "%h/log/%n.log");
  for (const char *value : {"file:", "file:x", "file:log/x", "file:/", "file:%h", "file:%h/", "file:/x/..", "file:/x/.", "file:%n/x", "files:/x", "/x"})
    CHECK_MESSAGE(!parse_conf("dir=/\nstart=x\noutput=" + std::string(value) + "\n", false).usable(), value);
  CHECK(!parse_conf("dir=/\nstart=x\noutput=file:/" + std::string(max_log_path, 'x') + "\n", false).usable());
  CHECK(parse_conf("dir=/\nstart=x\ninstances=2\noutput=file:/log/%n.%i\n", false).faults.empty());
  CHECK(!parse_conf("dir=/\nstart=x\ninstances=2\noutput=file:/log/%n\n", false).usable());
  const Conf syslog = parse_conf("dir=/\nstart=x\nlog_keep=3\noutput=syslog\n", false);
  CHECK(syslog.log.output == Output::syslog);
  REQUIRE(syslog.faults.size() == 1);
  CHECK(syslog.faults[0].warning);
  CHECK(syslog.faults[0].line == 3);
  const Conf alone = parse_conf("dir=/\nstart=x\noutput=file:/log/%i\n", false);
  REQUIRE(alone.faults.size() == 1);
  CHECK(alone.faults[0].warning);
  CHECK(alone.faults[0].line == 3);
}

TEST_CASE("lines that set nothing are errors") {
  for (const char *line : {"what", "=x", "a b=c", "[section]", "export", "export A", "export 9=x", "export =x", "export A B=x", "9=x"})
    CHECK_MESSAGE(!fault_of(std::string(line) + "\n").warning, line);
}

TEST_CASE("redaction takes the values of exports, unknown keys and comments, and nothing else") {
  CHECK(redact_conf("dir=/x\n# pw=hunter2\n export  PW = hunter2 \nsecret_key=hunter2\nstart=a b\n") ==
        "dir=/x\n#\n export  PW = \nsecret_key=\nstart=a b\n");
  CHECK(redact_conf("dir=/x") == "dir=/x");
  CHECK(redact_conf("\n\n") == "\n\n");
}

TEST_CASE("no secret that was written wrongly gets through the redaction") {
  const char *lines[] = {"hunter2", "exportPW hunter2", "export PW hunter2", "export hunter2", "export P W=hunter2",
                         "export=hunter2", "export =hunter2", "#export PW=hunter2", "PW: hunter2", "export PW=x hunter2",
                         "PW = hunter2", "hunter2AbCd==", "=hunter2", "\texport\tPW\t=\thunter2", "export PW=#hunter2",
                         "dirr=hunter2", "-hunter2=", "export\rPW=hunter2"};
  for (const std::string line : lines) {
    const std::string redacted = redact_conf(whole + line + "\n");
    CHECK_MESSAGE(redacted.find("hunter2") == std::string::npos, line);
    CHECK_MESSAGE(parse_conf(redacted, true).usable() == parse_conf(whole + line + "\n", false).usable(), line);
    for (const ConfFault &fault : parse_conf(redacted, true).faults) CHECK(!says(fault, "hunter2"));
  }
}

TEST_CASE("the redacted conf has the same faults on the same lines as the whole one") {
  const std::string text = whole + "junk\nexport A=1\nexport A=2\nautostart=x\nMixedCase=1\nstrat=1\nexport 9=1\ndir=/y\n";
  const Conf full = parse_conf(text, false), redacted = parse_conf(redact_conf(text), true);
  REQUIRE(full.faults.size() == redacted.faults.size());
  for (std::size_t i = 0; i < full.faults.size(); i++) {
    CHECK(full.faults[i].line == redacted.faults[i].line);
    CHECK(full.faults[i].warning == redacted.faults[i].warning);
  }
  CHECK(redacted.exports.size() == 1);
  CHECK(redacted.exports[0].second.empty());
}

TEST_CASE("a mebibyte of anything is parsed in linear time, with few faults kept") {
  const std::size_t size = 1 << 20;
  std::vector<std::string> hostile = {std::string(size, '\n'), std::string(size, '='), std::string(size, 'a'), std::string(size, ' '),
                                      std::string(size, '\xff'), std::string(size, '#'), "export A=" + std::string(size, '"')};
  for (const char *line : {"x\n", "=\n", "a=\n", "export A=\n", "dir=x\n", "export \n", "_=1\n", "aaaaaaaaaaaaaaaaaaaaaaaa=\n"}) {
    std::string text;
    while (text.size() < size) text += line;
    hostile.push_back(text);
  }
  std::string exports;
  for (unsigned i = 0; exports.size() < size; i++) exports += "export V" + std::to_string(i) + "=\n";
  hostile.push_back(exports);
  for (const std::string &text : hostile) {
    // Of four times as many bytes a linear reader makes four times the work, a quadratic one sixteen times.
    CHECK(cpu_to_parse(text) < 9 * cpu_to_parse(std::string_view(text).substr(0, size / 4)) + CLOCKS_PER_SEC / 20);
    const Conf conf = parse_conf(text, false);
    CHECK(conf.faults.size() <= 42);
    CHECK(!conf.usable());
    CHECK(conf.exports.size() <= 1000);
  }
}

TEST_CASE("plain commands run directly, without their exec") {
  CHECK(direct("exec deluged -d") == Words{"deluged", "-d"});
  CHECK(direct("  ./script/app_fastcgi.pl  -l app.socket\t-n 1 ") == Words{"./script/app_fastcgi.pl", "-l", "app.socket", "-n", "1"});
  CHECK(direct("php-cgi -q --opt=a,b:c%d+e@f") == Words{"php-cgi", "-q", "--opt=a,b:c%d+e@f"});
  CHECK(direct("executor") == Words{"executor"});
  CHECK(direct("/usr/bin/test x") == Words{"/usr/bin/test", "x"});
}

TEST_CASE("whatever only a shell understands goes to the shell") {
  for (const char *start :
       {"", " ", "exec", "a 'b'", "a \"b\"", "a $B", "a `b`", "a; b", "a & b", "a | b", "a <b", "a >b", "(a)", "a *", "a ?", "a [b]",
        "a ~", "a #b", "a \\b", "{ a; }", "! a", "A=1 b", "exec A=1 b", "exec -a x y", "a\nb", "a\rb", "a\x01", "exec exec a", "-x"})
    CHECK_MESSAGE(needs_shell(start), start);
}

TEST_CASE("the shell's own words go to the shell") {
  for (const char *word : {"cd", "set", "ulimit", "umask", "if", "for", "while", "test", ".", ":", "eval", "trap", "read", "export",
                           "source", "echo", "[", "time", "until", "case", "command", "wait", "kill", "function", "exit", "alias"})
    CHECK_MESSAGE(needs_shell(std::string(word) + " x"), word);
  CHECK(needs_shell("exec cd x"));
}

TEST_CASE("durations have a unit or are seconds") {
  std::uint32_t ms = 7;
  const std::pair<const char *, std::uint32_t> good[] = {
      {"10s", 10'000}, {"500ms", 500}, {"2m", 120'000}, {"1h", 3'600'000}, {"1d", 86'400'000}, {"3", 3'000}, {"0", 0},
      {"2147483648ms", 2147483648U}};
  for (const auto &[text, value] : good) {
    CHECK(parse_duration(text, ms));
    CHECK(ms == value);
  }
  for (const char *text : {"", "s", "1w", "1 s", "-1", "+1", "1.5s", "10S", "2147483649ms", "25d", "99999999999", "18446744073709551617"})
    CHECK_MESSAGE(!parse_duration(text, ms), text);
}

TEST_CASE("host= takes several names and globs, and matches the whole name or what stands before its first dot") {
  const dm::Conf conf = dm::parse_conf("dir=/\nstart=true\nhost=web1, db*\nhost=mail.example.org\n", false);
  CHECK(conf.faults.empty());
  REQUIRE(conf.hosts == std::vector<std::string>{"web1", "db*", "mail.example.org"});
  for (const char *host : {"web1", "WEB1", "web1.example.org", "db", "db7.example.org", "mail.example.org"})
    CHECK(dm::host_matches(conf.hosts, host));
  for (const char *host : {"web2", "web11", "mail", "mail.example.com", ""}) CHECK_FALSE(dm::host_matches(conf.hosts, host));
  CHECK(dm::host_matches({}, "anything"));
  CHECK(dm::host_matches({"a*b*c"}, "aXbXbXc"));
  CHECK_FALSE(dm::host_matches({"a*b*c"}, "aXbXbX"));
}

TEST_CASE("host= with what is no host's name is refused with its line") {
  for (const char *value : {"", "web1,", "we b", "a/b", "$(x)"}) {
    const dm::Conf conf = dm::parse_conf(std::string("dir=/\nstart=true\nhost=") + value + "\n", false);
    REQUIRE(conf.faults.size() == 1);
    CHECK(conf.faults[0].line == 3);
    CHECK_FALSE(conf.usable());
  }
}

TEST_CASE("the lines that a run no longer follows are those without comments, blanks and keys that count at once") {
  const std::string conf = "dir=/\n# a\n\n autostart = no\nexport A=1\nstart = x y\nstop_timeout=3s\n";
  CHECK(lines_of_run(conf) == "dir=/\nA=1\nstart=x y\n");
  CHECK(lines_of_run("dir=/\nstart=x y\nautostart=yes\nexport A=1\n") != lines_of_run(conf));  // their order may matter
  CHECK(lines_of_run("dir=/\nexport A=1\nstart=x y") == lines_of_run(conf));
}
