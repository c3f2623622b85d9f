// The parts of dmctl: arguments, answers of a manager that may be hostile, the table, the reading of logs. No privilege.
#include <doctest/doctest.h>

#include "dmctl/command.hh"
#include "dmctl/conf_edit.hh"
#include "dmctl/connection.hh"
#include "dmctl/logfile.hh"
#include "dmctl/logsource.hh"
#include "dmctl/reach.hh"
#include "dmctl/table.hh"
#include "dmctl/talk.hh"
#include "settings.hh"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <fmt/core.h>

using namespace dm;
using namespace dm::dmctl;
using Words = std::vector<std::string>;

namespace {

Parsed parse(Words words) {
  std::vector<char *> arguments;
  for (std::string &word : words) arguments.push_back(word.data());
  return parse_arguments(arguments);
}

std::string verb_of(const Words &words) {
  const Parsed parsed = parse(words);
  return parsed.fault.empty() ? std::string(parsed.command.verb->name) : "refused: " + parsed.fault;
}

bool refused(const Words &words) { return !parse(words).fault.empty(); }

// A scratch directory that goes away.
struct Scratch {
  std::string path = "/tmp/dm-dmctl-XXXXXX";
  Scratch() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Scratch() { std::filesystem::remove_all(path); }
  [[nodiscard]] std::string logs() const {
    std::filesystem::create_directories(path + "/.daemon-manager/logs");
    return path + "/.daemon-manager/logs/";
  }
};

void write_file(const std::string &path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }
std::string read_file(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// stdout and stderr of a Printer in files.
struct Captured {
  Scratch scratch;
  Fd out{::open((scratch.path + "/out").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)};
  Fd err{::open((scratch.path + "/err").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)};
  Printer printer{out.get(), err.get()};
  std::string stdout_text() {
    printer.flush();
    return read_file(scratch.path + "/out");
  }
  [[nodiscard]] std::string stderr_text() const { return read_file(scratch.path + "/err"); }
};

// What `ask` makes of these bytes as an answer, after which the manager hangs up.
Answer answer_to(const std::string &bytes, Printer &printer, const Question &question = {.verb = "status"}) {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  Fd manager(pair[1]);
  std::optional<Connection> connection{Fd(pair[0])};
  std::thread sender([&] {
    for (std::string_view left = bytes; !left.empty();) {
      const ssize_t n = ::send(manager.get(), left.data(), left.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      left.remove_prefix(static_cast<std::size_t>(n));
    }
    ::shutdown(manager.get(), SHUT_WR);
  });
  Answer answer = ask(*connection, question, printer, std::chrono::seconds(5));
  connection.reset();  // a sender that still has much to say gets EPIPE
  sender.join();
  return answer;
}

std::string frame(FrameKind kind, const std::vector<std::string_view> &fields) {
  std::string out;
  put_frame(out, kind, fields);
  return out;
}

std::string row_frame(std::string_view id) {
  return frame(FrameKind::row, {id, "running", "17", "0", "0", "1000", "1000", "david", "", ""});
}

const std::string the_end = frame(FrameKind::end, {"0"});

}  // namespace

TEST_CASE("new and edit take one name, and their options nobody else's verbs") {
  const Command command = parse({"new", "web", "--dir", "/srv", "--start=x y", "--listen", "a", "--listen=b", "--output", "log", "-u", "amy", "--yes"}).command;
  CHECK(command.verb->name == "new");
  CHECK(command.words == Words{"web"});
  CHECK(command.draft.dir == "/srv");
  CHECK(command.draft.start == "x y");
  CHECK(command.draft.listen == Words{"a", "b"});
  CHECK(command.draft.output == "log");
  CHECK(command.user == "amy");
  CHECK(command.draft.yes);
  CHECK(verb_of({"web", "edit", "--yes"}) == "edit");
  CHECK(refused({"new"}));
  CHECK(refused({"new", "a", "b"}));
  CHECK(refused({"edit"}));
  CHECK(refused({"edit", "web", "--dir", "/"}));
  CHECK(refused({"new", "web", "--dir"}));
  CHECK(refused({"start", "web", "--yes"}));
  CHECK(refused({"start", "web", "--listen", "x"}));
}

TEST_CASE("check takes files and names, or none at all, and no signal, lines or following") {
  CHECK(verb_of({"check"}) == "check");
  CHECK(verb_of({"check", "./web.conf", "web", "david/web"}) == "check");
  CHECK(parse({"check", "/a/b.conf"}).command.words == Words{"/a/b.conf"});
  CHECK(refused({"check", "-f"}));
  CHECK(refused({"check", "-n", "3"}));
  CHECK(refused({"check", "-s", "HUP"}));
}

TEST_CASE("the verb may stand before or behind the daemons") {
  CHECK(verb_of({}) == "status");
  CHECK(verb_of({"stop", "wordpress"}) == "stop");
  CHECK(verb_of({"wordpress", "stop"}) == "stop");
  CHECK(verb_of({"a", "b", "c", "stop"}) == "stop");
  CHECK(parse({"a", "b", "c", "stop"}).command.words == Words{"a", "b", "c"});
  CHECK(parse({"stop", "start"}).command.words == Words{"start"});  // a daemon may be called as a verb is
  CHECK(parse({"--no-wait", "all", "restart"}).command.no_wait);
  CHECK(parse({"stop", "db", "--with-dependants"}).command.with_dependants);
  CHECK(refused({"start", "db", "--with-dependants"}));
  CHECK(refused({"wordpress"}));
  CHECK(refused({"stop"}));
  CHECK(refused({"rescan", "wordpress"}));
  CHECK(refused({"log"}));
  CHECK(refused({"stop", ""}));
}

TEST_CASE("scale takes families and, as its last word, how many") {
  const Parsed parsed = parse({"scale", "web", "amy/bot", "6"});
  CHECK(parsed.fault.empty());
  CHECK(parsed.command.size == 6);
  CHECK(parsed.command.words == Words{"web", "amy/bot"});
  CHECK(parse({"web", "scale", "100"}).command.size == 100);
  for (const Words &words : {Words{"scale"}, {"scale", "web"}, {"scale", "6"}, {"scale", "web", "0"}, {"scale", "web", "101"}, {"scale", "web", "six"},
                             {"scale", "web", "+6"}, {"scale", "web", "99999999999999999999"}, {"scale", "web", "-6"}})
    CHECK(refused(words));
}

TEST_CASE("options may stand anywhere, and unknown ones are refused") {
  CHECK(parse({"-u", "amy", "status"}).command.user == "amy");
  CHECK(parse({"status", "--user=amy"}).command.user == "amy");
  CHECK(parse({"log", "x", "-n", "5"}).command.lines == 5UL);
  CHECK(parse({"log", "-n5", "x"}).command.lines == 5UL);
  CHECK(parse({"tail", "-20", "x"}).command.lines == 20UL);
  CHECK(parse({"tail", "x", "--no-follow"}).command.follow == false);
  CHECK(parse({"log", "-f", "x"}).command.follow == true);
  CHECK(parse({"stop", "--", "-x"}).command.words == Words{"-x"});
  CHECK(verb_of({"stop", "x", "--help"}) == "help");
  CHECK(verb_of({"--version"}) == "version");
  CHECK(refused({"status", "-x"}));
  CHECK(refused({"status", "--frobnicate"}));
  CHECK(refused({"log", "x", "-n", "many"}));
  CHECK(refused({"log", "x", "-n", "-1"}));
  CHECK(refused({"log", "x", "-n"}));
  CHECK(refused({"stop", "x", "-n", "5"}));
  CHECK(refused({"stop", "x", "-f"}));
}

TEST_CASE("options of status and top are taken whole, and what makes no sense is refused") {
  CHECK(parse({"status", "-l"}).command.long_form);
  CHECK(parse({"-w", "web", "status"}).command.watch);
  const Command both = parse({"status", "-lw", "--sort=cpu", "--interval", "0.5"}).command;
  CHECK(both.long_form);
  CHECK(both.watch);
  CHECK(both.sort == "cpu");
  CHECK(both.interval_ms == 500);
  CHECK(parse({"top", "--sort", "memory", "-u", "amy"}).command.sort == "memory");
  CHECK(parse({"list", "--json"}).command.json);
  CHECK(parse({"status"}).command.colour == When::fits);
  CHECK(parse({"stop", "x", "--color=never"}).command.colour == When::never);
  CHECK(parse({"--color", "always"}).command.colour == When::always);
  CHECK(parse({"status", "-qu", "amy"}).command.user == "amy");
  for (const Words &words : {Words{"status", "--color=pink"}, {"status", "--color"}, {"top", "--sort=weight"}, {"top", "--interval=0"}, {"top", "--interval=x"},
                             {"top", "--interval=nan"}, {"status", "--interval=2"}, {"list", "-l"}, {"list", "-w"}, {"stop", "x", "--json"}, {"top", "--json"},
                             {"status", "-w", "--json"}, {"status", "-wq"}, {"status", "--long=yes"}, {"status", "-lx"}, {"status", "-lu"}})
    CHECK_MESSAGE(refused(words), words.back());
}

TEST_CASE("kill takes its signal in every usual way") {
  for (const Words &words : {Words{"kill", "HUP", "x"}, Words{"kill", "-HUP", "x"}, Words{"kill", "-1", "x"},
                             Words{"kill", "-s", "hup", "x"}, Words{"x", "kill", "SIGHUP"}, Words{"kill", "x", "-SIGHUP"}}) {
    const Parsed parsed = parse(words);
    CHECK(parsed.fault == "");
    CHECK(parsed.command.signal == SIGHUP);
    CHECK(parsed.command.words == Words{"x"});
  }
  CHECK(parse({"kill", "x"}).command.signal == 0);
  CHECK(refused({"kill", "-s", "NONSENSE", "x"}));
  CHECK(refused({"kill", "-99", "x"}));
  CHECK(refused({"stop", "-HUP", "x"}));
}

TEST_CASE("kill takes a signal as its last word, unless it was named already") {
  for (const Words &words : {Words{"kill", "x", "HUP"}, {"kill", "x", "SIGHUP"}, {"x", "kill", "HUP"}, {"x", "HUP", "kill"}}) {
    const Parsed parsed = parse(words);
    CHECK(parsed.fault == "");
    CHECK(parsed.command.signal == SIGHUP);
    CHECK(parsed.command.words == Words{"x"});
  }
  CHECK(parse({"kill", "x", "y", "RTMIN+3"}).command.words == Words{"x", "y"});
  CHECK(parse({"kill", "x", "y", "HUP"}).command.last_signal == "HUP");
  CHECK(parse({"kill", "TERM", "x", "HUP"}).command.words == Words{"x", "HUP"});
  CHECK(parse({"kill", "-TERM", "x", "HUP"}).command.words == Words{"x", "HUP"});
  CHECK(parse({"kill", "x", "Hup"}).command.last_signal == "Hup");
  CHECK(parse({"kill", "x", "9"}).command.signal == 9);
  CHECK(parse({"kill", "x", "HUPP"}).command.words == Words{"x", "HUPP"});
  for (const Words &words : {Words{"kill", "x", "70"}, {"kill", "70", "x"}, {"kill", "0", "x"}, {"kill", "x", "9", "y"}}) CHECK(refused(words));
}

TEST_CASE("other names of verbs are the verbs, and help tells which") {
  for (const auto &[word, verb] : {std::pair{"ls", "list"}, {"ps", "status"}, {"show", "status"}, {"logs", "log"}, {"signal", "kill"},
                                   {"reread", "rescan"}, {"update", "rescan"}, {"daemon-reload", "rescan"}}) {
    REQUIRE(find_verb(word) != nullptr);
    CHECK(find_verb(word)->name == verb);
  }
  CHECK(verb_of({"logs", "x"}) == "log");
  CHECK(verb_of({"x", "signal", "HUP"}) == "kill");
  CHECK(verb_of({"daemon-reload"}) == "rescan");
  CHECK(parse({"help", "ls"}).command.words == Words{"ls"});
}

TEST_CASE("a verb that is mistyped is guessed, wherever it stands") {
  const auto says = [](const Words &words, const std::string &text) { return parse(words).fault.find(text) != std::string::npos; };
  CHECK(says({"restrat", "x"}, "did you mean 'restart'?"));
  CHECK(says({"x", "restrat"}, "did you mean 'restart'?"));
  CHECK(says({"x", "y", "z", "stpo"}, "did you mean 'stop'?"));
  CHECK(says({"satus"}, "did you mean 'status'? (for the state of a daemon of that name: dmctl status satus)"));
  CHECK(says({"isactive", "x"}, "did you mean 'is-active'?"));
  CHECK_FALSE(says({"frobnicate", "web"}, "did you mean"));
  CHECK_FALSE(says({"wordpress"}, "did you mean"));
}

TEST_CASE("what makes no command of one verb is said in its own words") {
  const auto says = [](const Words &words, std::string_view what) { return parse(words).fault.find(what) != std::string::npos; };
  CHECK(says({"explain"}, "explain needs a user, a verb and a daemon"));
  CHECK(says({"explain", "amy", "stop"}, "explain needs a user, a verb and a daemon"));
  CHECK(says({"kill", "-HUP", "-TERM", "bot"}, "two signals"));
  CHECK(says({"kill", "-9", "-15", "bot"}, "a second number"));
  CHECK(says({"kill", "-9", "--signal=TERM", "bot"}, "two signals"));
  CHECK(says({"top", "--interval", "0"}, "seconds of 0.1 to 3600"));
}

TEST_CASE("every verb can be quiet") {
  for (const Verb &verb : verbs()) {
    Words words{std::string(verb.name), "-q"};
    if (verb.ids == Ids::some || verb.ids == Ids::one) words.emplace_back("x");
    if (verb.name == "scale") words.emplace_back("2");
    if (verb.name == "explain") words.insert(words.end(), {"stop", "x"});
    const Parsed parsed = parse(words);
    CHECK_MESSAGE(parsed.fault == "", verb.name);
    CHECK(parsed.command.quiet);
  }
  CHECK(parse({"list", "--quiet"}).command.quiet);
  CHECK(refused({"log", "-q", "-f", "x"}));
  Captured captured;
  captured.printer.be_quiet(true);
  CHECK(answer_to(frame(FrameKind::text, {"a\n"}) + frame(FrameKind::outcome, {"0", "a", "stopped"}) + frame(FrameKind::outcome, {"1", "b", "no"}) + the_end,
                  captured.printer).code == Exit::failed);
  CHECK(captured.stdout_text() == "");
  CHECK(captured.stderr_text() == "b: no\n");
}

TEST_CASE("autostart is changed in its line, or gets one, and all other bytes stay") {
  CHECK(with_autostart("dir=/\nautostart=yes\nstart=x\n", false) == "dir=/\nautostart=no\nstart=x\n");
  CHECK(with_autostart("dir=/\n  autostart \t= maybe \r\nstart=x", true) == "dir=/\n  autostart \t= yes \r\nstart=x");
  CHECK(with_autostart("autostart=\n", false) == "autostart=no\n");
  CHECK(with_autostart("dir=/\nstart=x", false) == "dir=/\nstart=x\nautostart=no\n");
  CHECK(with_autostart("dir=/\r\nstart=x\r\n", false) == "dir=/\r\nstart=x\r\nautostart=no\r\n");
  CHECK(with_autostart("\xef\xbb\xbf# one\nautostart=no", true) == "\xef\xbb\xbf# one\nautostart=yes");
  CHECK(with_autostart("dir=/\n\n#autostart=no\nexport autostart=no\n", true) == "dir=/\n\n#autostart=no\nexport autostart=no\n");
  CHECK(with_autostart("", false) == "autostart=no\n");
  CHECK(with_autostart("", true) == "");
  const std::string already = "dir=/\xff\nautostart=no\n\n\n";
  CHECK(with_autostart(already, false) == already);
}

TEST_CASE("a conf is changed by another in its place that has its mode, and no link is followed") {
  const Scratch scratch;
  const Fd dir(::open(scratch.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto edit = [&](const char *name, bool on) { return edit_autostart(dir.get(), scratch.path, name, "david", on); };
  write_file(scratch.path + "/web.conf", "dir=/\n");
  REQUIRE(::chmod((scratch.path + "/web.conf").c_str(), 0640) == 0);
  CHECK(edit("web", false).changed);
  CHECK(read_file(scratch.path + "/web.conf") == "dir=/\nautostart=no\n");
  struct stat st {};
  REQUIRE(::stat((scratch.path + "/web.conf").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0640);
  const ino_t inode = st.st_ino;
  CHECK_FALSE(edit("web", false).changed);
  CHECK(edit("web", false).problem == "");
  REQUIRE(::stat((scratch.path + "/web.conf").c_str(), &st) == 0);
  CHECK(st.st_ino == inode);
  std::filesystem::create_symlink(scratch.path + "/web.conf", scratch.path + "/link.conf");
  write_file(scratch.path + "/open.conf", "dir=/\n");
  REQUIRE(::chmod((scratch.path + "/open.conf").c_str(), 0666) == 0);
  REQUIRE(::mkfifo((scratch.path + "/fifo.conf").c_str(), 0600) == 0);
  for (const char *name : {"link", "open", "fifo", "none"}) {
    CHECK_FALSE(edit(name, false).changed);
    CHECK(edit(name, false).problem.find(std::string(name) + ".conf") != std::string::npos);
  }
  CHECK(read_file(scratch.path + "/open.conf") == "dir=/\n");
  CHECK(read_file(scratch.path + "/web.conf") == "dir=/\nautostart=no\n");
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path), {}) == 4);  // nothing is left beside them
}

TEST_CASE("a word is a signal only right behind kill, or last") {
  CHECK(parse({"kill", "x", "hup", "y"}).command.words == Words{"x", "hup", "y"});
  CHECK(parse({"kill", "TERM", "hup"}).command.words == Words{"hup"});
  CHECK(parse({"kill", "-TERM", "hup"}).command.words == Words{"hup"});
  CHECK(parse({"hup", "kill"}).command.words == Words{"hup"});
  CHECK(refused({"kill", "hup"}));  // no daemon named: never guess
}

TEST_CASE("a request that the worker would refuse for its size is never sent") {
  Words words{"stop"};
  words.resize(9000, "x");
  CHECK(refused(words));
  CHECK(refused({"stop", std::string(70'000, 'x')}));
}

TEST_CASE("the table is aligned, escaped, and ends with the notes") {
  const std::vector<Row> rows = {
      {"david/wordpress", "running", "4711", "2", "0", "46620000", "2073600000", "www-data", "", ""},
      {"amy/bot", "cooldown", "", "12", "4000", "0", "61000", "amy", "last exit: code 1\x1b[2J", ""},
  };
  CHECK(status_table(rows) == "daemon-id        state      pid  respawns  cooldown  uptime  total\n"
                              "david/wordpress  running   4711         2        0s  12h57m   3w3d\n"
                              "amy/bot          cooldown     -        12        4s      0s   1m1s\n"
                              "  amy/bot: last exit: code 1\\x1b[2J\n");
}

TEST_CASE("names that are not ASCII keep the columns in line") {
  const std::vector<Row> rows = {{"zoë/x", "running", "1", "0", "0", "0", "0", "zoë", "", ""}};
  CHECK(status_table(rows) == "daemon-id  state    pid  respawns  cooldown  uptime  total\n"
                              "zoë/x      running    1         0        0s      0s     0s\n");
}

TEST_CASE("an answer is complete only with its end") {
  Captured captured;
  const Answer whole = answer_to(row_frame("david/a") + row_frame("david/b") + the_end, captured.printer);
  CHECK(whole.complete);
  CHECK(whole.rows.size() == 2);
  CHECK(whole.code == Exit::done);
  CHECK(captured.stderr_text() == "");
  const Answer cut = answer_to(row_frame("david/a"), captured.printer);
  CHECK_FALSE(cut.complete);
  CHECK(cut.code == Exit::failed);
  CHECK(captured.stderr_text() == "dmctl: the manager went away in the middle of its answer; try again\n");
}

TEST_CASE("a thousand rows arrive whole") {
  Captured captured;
  std::string bytes;
  for (int i = 0; i < 5000; i++) bytes += row_frame("david/d" + std::to_string(i));
  CHECK(answer_to(bytes + the_end, captured.printer).rows.size() == 5000);
}

TEST_CASE("done outcomes go to stdout, failed ones to stderr, the gravest is the exit code") {
  Captured captured;
  const std::string bytes = frame(FrameKind::outcome, {"0", "david/a", "stopped"}) +
                            frame(FrameKind::outcome, {"1", "david/b", "cannot start\nas \x1b[31m"}) +
                            frame(FrameKind::outcome, {"4", "", "not permitted"}) + frame(FrameKind::end, {"3"});
  CHECK(answer_to(bytes, captured.printer).code == Exit::not_permitted);
  CHECK(captured.stdout_text() == "david/a: stopped\n");
  CHECK(captured.stderr_text() == "david/b: cannot start\n  as \\x1b[31m\ndmctl: not permitted\n");
}

TEST_CASE("what was not stopped because others require it is told from what failed otherwise") {
  Captured captured;
  const std::string bytes = frame(FrameKind::outcome, {"1", "david/db", "not stopped", outcome_held}) +
                            frame(FrameKind::outcome, {"5", "nosuch", "no daemon"}) + frame(FrameKind::end, {"5"});
  const Answer answer = answer_to(bytes, captured.printer);
  CHECK(answer.held == std::vector<std::string>{"david/db"});
  CHECK(answer.other == Exit::no_such_daemon);
  CHECK(answer_to(frame(FrameKind::outcome, {"1", "david/db", "not stopped", outcome_held}) + frame(FrameKind::end, {"1"}), captured.printer).other == Exit::done);
}

TEST_CASE("a text is printed line by line, wherever the frames cut it") {
  Captured captured;
  const std::string bytes = frame(FrameKind::text, {"zo\xc3"}) + frame(FrameKind::text, {"\xab/a\nzoë/b\x1b\n"}) +
                            frame(FrameKind::text, {"amy/c"}) + the_end;
  CHECK(answer_to(bytes, captured.printer).spoke);
  CHECK(captured.stdout_text() == "zoë/a\nzoë/b\\x1b\namy/c\n");
  Question question{.verb = "status"};
  question.keep_text = true;
  CHECK(answer_to(bytes, captured.printer, question).text == "zoë/a\nzoë/b\\x1b\namy/c\n");
}

TEST_CASE("a hostile answer is an error, not a crash") {
  Captured captured;
  const std::string big = std::string("\1\0\0\0\0\0\5\0", 8) + std::string(0x50000, '\0');
  for (const std::string &bytes :
       {std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8), std::string(100, '\0'), std::string("garbage!garbage!"), big,
        frame(FrameKind::row, {"david/a"}), frame(FrameKind::outcome, {"0"}), frame(FrameKind::end, {}),
        frame(FrameKind::request, {"stop", "", ""}), std::string("\4\0\0\0\1\0\0\0x", 9), std::string("\4\0\0", 3),
        std::string()}) {
    const Answer answer = answer_to(bytes, captured.printer);
    CHECK(answer.code == Exit::failed);
    CHECK_FALSE(answer.complete);
  }
  CHECK(answer_to(frame(FrameKind::end, {"-7"}), captured.printer).code == Exit::failed);
  CHECK(answer_to(frame(FrameKind::end, {"77777777777777"}), captured.printer).code == Exit::failed);
}

TEST_CASE("a manager that says nothing is reported") {
  Captured captured;
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const Fd silent(pair[1]);
  Connection connection{Fd(pair[0])};
  const Answer answer = ask(connection, {.verb = "status"}, captured.printer, std::chrono::milliseconds(30));
  CHECK(answer.code == Exit::failed);
  CHECK(captured.stderr_text().find("has not answered") != std::string::npos);
}

TEST_CASE("not there, refusing, no socket: the next path is tried, and all are named in the end") {
  const Scratch scratch;
  const std::string stale = scratch.path + "/stale", file = scratch.path + "/file", live = scratch.path + "/live";
  const auto bind_to = [](const std::string &path) {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
    return socket;
  };
  bind_to(stale).reset();
  write_file(file, "");
  const Fd listener = bind_to(live);
  REQUIRE(::listen(listener.get(), 1) == 0);
  const std::string missing = scratch.path + "/missing", too_long = scratch.path + "/" + std::string(200, 'x');
  std::vector<Attempt> tried;
  CHECK(connect_to(std::vector{missing, stale, file, too_long, live}, scratch.path, Patience(0), tried));
  REQUIRE_FALSE(connect_to(std::vector{missing, stale}, scratch.path, Patience(0), tried));
  const std::string words = describe_unreachable(tried, true);
  CHECK(words.find("tried " + missing + ": No such file") != std::string::npos);
  CHECK(words.find("tried " + stale + ": Connection refused") != std::string::npos);
}

TEST_CASE("each way in which a manager is not there has its own words, and what to type next") {
  const auto words = [](std::vector<int> errors, bool run_dir) {
    std::vector<Attempt> tried;
    for (const int error : errors) tried.push_back({"/p", error});
    return describe_unreachable(tried, run_dir);
  };
  const std::string all[] = {words({ENOENT, ENOENT}, false), words({ENOENT, ENOENT}, true), words({ENOENT, ECONNREFUSED}, true),
                             words({EACCES}, true),          words({EAGAIN}, true),         words({ENOTSOCK}, true)};
  const std::string parts[] = {"nobody has started it", "but no socket of its", "nobody listens", "permission denied", "takes no connections", "cannot be reached"};
  for (std::size_t i = 0; i < std::size(all); i++)
    for (std::size_t j = 0; j < std::size(parts); j++) CHECK_MESSAGE((all[i].find(parts[j]) != std::string::npos) == (i == j), all[i]);
  for (std::size_t i = 0; i < 3; i++) CHECK(all[i].find("systemctl start daemon-manager") != std::string::npos);
  CHECK(all[3].find("namei -l /p") != std::string::npos);
  CHECK(differing_versions(DM_VERSION).empty());
  CHECK(differing_versions("9.9\x1b[31m").find("daemon-manager --upgrade") != std::string::npos);
  CHECK(differing_versions("9.9\x1b[31m").find('\x1b') == std::string::npos);
}

TEST_CASE("a manager that is being restarted is waited for") {
  const Scratch scratch;
  const std::string path = scratch.path + "/late";
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  std::thread late([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    CHECK(::bind(listener.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
    CHECK(::listen(listener.get(), 1) == 0);
  });
  std::vector<Attempt> tried;
  CHECK(connect_to(std::vector{path}, scratch.path, std::chrono::seconds(2), tried));
  late.join();
  const auto before = std::chrono::steady_clock::now();
  CHECK_FALSE(connect_to(std::vector{path + "x"}, scratch.path + "/no-run-dir", std::chrono::seconds(2), tried));
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(1));
}

TEST_CASE("the last lines of a log are found from its end") {
  const Scratch scratch;
  const std::string path = scratch.logs() + "x.log";
  std::string text;
  for (int i = 0; i < 40'000; i++) text += "line " + std::to_string(i) + "\n";
  write_file(path, text);
  const OpenedLog log = open_log(path, ::getuid());
  REQUIRE(log.fault == LogFault::none);
  const auto from = [&](std::uint64_t lines) {
    return text.substr(static_cast<std::size_t>(start_of_last(log.file.get(), static_cast<off_t>(text.size()), lines)));
  };
  CHECK(from(0) == "");
  CHECK(from(1) == "line 39999\n");
  CHECK(from(3) == "line 39997\nline 39998\nline 39999\n");
  CHECK(from(20'000).substr(0, 11) == "line 20000\n");
  CHECK(from(40'000) == text);
  CHECK(from(~0ULL) == text);
  std::uint64_t many = 50'000;
  CHECK(start_of_last(log.file.get(), static_cast<off_t>(text.size()), many) == 0);
  CHECK(many == 10'000);
  // A last line without its newline counts as one.
  std::uint64_t one = 1;
  CHECK(start_of_last(log.file.get(), static_cast<off_t>(text.size()) - 1, one) == static_cast<off_t>(text.size()) - 11);
}

TEST_CASE("only a regular file of the owner's at its place is read as a log") {
  const Scratch scratch;
  const std::string logs = scratch.logs();
  write_file(logs + "real.log", "x\n");
  std::filesystem::create_symlink(logs + "real.log", logs + "link.log");
  std::filesystem::create_directory(logs + "dir.log");
  REQUIRE(::mkfifo((logs + "fifo.log").c_str(), 0600) == 0);
  const auto fault = [&](const std::string &path) { return open_log(path, ::getuid()).fault; };
  CHECK(fault(logs + "real.log") == LogFault::none);
  CHECK(fault(logs + "link.log") == LogFault::not_a_log);
  CHECK(fault(logs + "dir.log") == LogFault::not_a_log);
  CHECK(fault(logs + "fifo.log") == LogFault::not_a_log);
  CHECK(fault(logs + "none.log") == LogFault::missing);
  CHECK(fault(logs + "../logs/real.log") == LogFault::not_a_log);
  // One that output= names may be anywhere.
  write_file(scratch.path + "/own.log", "x\n");
  std::filesystem::create_symlink(scratch.path + "/own.log", scratch.path + "/link.log");
  CHECK(fault(scratch.path + "/own.log") == LogFault::none);
  CHECK(fault(scratch.path + "/link.log") == LogFault::not_a_log);
  CHECK(fault(scratch.path + "/.") == LogFault::not_a_log);
  CHECK(fault("own.log") == LogFault::not_a_log);
  CHECK(open_log(scratch.path + "/own.log", ::getuid() + 1).fault == LogFault::not_a_log);
  CHECK(fault("") == LogFault::not_a_log);
  CHECK(open_log(logs + "real.log", ::getuid() + 1).fault == LogFault::not_a_log);
  const Scratch other;
  std::filesystem::create_directory_symlink(scratch.path + "/.daemon-manager", other.path + "/.daemon-manager");
  CHECK(fault(other.path + "/.daemon-manager/logs/real.log") == LogFault::not_a_log);
}

TEST_CASE("log bytes are escaped on a terminal, even where a block cuts a character, and raw in a pipe") {
  Captured terminal, pipe;
  LogCopy to_terminal(terminal.printer, true), to_pipe(pipe.printer, false);
  for (LogCopy *copy : {&to_terminal, &to_pipe}) {
    copy->put("a\tb\x1b[2J\nZo\xc3");
    copy->put("\xab \xf0\x9f");
    copy->put("\x90\x98 \xff\xe2\x80");
    copy->finish();
  }
  CHECK(terminal.stdout_text() == "a\tb\\x1b[2J\nZoë 🐘 \\xff\\xe2\\x80");
  CHECK(pipe.stdout_text() == "a\tb\x1b[2J\nZoë 🐘 \xff\xe2\x80");
}

TEST_CASE("lines are chosen by their time and by what is in them, and bear their daemon's name") {
  const std::int64_t now = 1'795'350'896'000'000'000;  // 2026-11-22T12:34:56Z
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  std::int64_t time = 0;
  for (const auto &[text, ago] : {std::pair{"10m", 600}, {"2h", 7200}, {"12:30", 296}, {"12:30:05", 291}, {"2026-11-22", 45296},
                                  {"2026-11-22T12:34", 56}, {"2026-11-22 12:34:50", 6}, {"2026-11-22T13:34:50+01:00", 6}, {"2026-11-22T12:34:50Z", 6},
                                  {"12:35", 86396}, {"today", 45296}, {"yesterday", 131696}, {"13:00+01:00", 2096}, {"01:00+14:00", 5696}, {"2026-11-22T23:59+14:00", 9356}}) {
    CAPTURE(text);
    CHECK(parse_since(text, now, time));
    CHECK(time == now - std::int64_t{ago} * 1'000'000'000);
  }
  for (const char *text : {"", "tomorrow", "yesterday 12:30", "12", "12:3", "2026-11", "2026-11-22T", "2026-11-22T12:34x", "10 m", "-5m", "2026-13-40", "2026-02-29", "2026-00-01",
                           "25:00", "12:60", "12:30:61", "2026-11-22T24:00", "12:30+24:00"}) {
    CAPTURE(text);
    CHECK((std::string(text) == "12" || !parse_since(text, now, time)));
  }
  CHECK(read_stamp("2026-11-22T13:34:56.789+01:00 hello", time));
  CHECK(time == now + 789'000'000);
  CHECK_FALSE(read_stamp("2026-11-22 hello", time));
  // What is too far away to be told in nanoseconds is as far as can be.
  for (const char *far : {"2262-04-12", "2600-01-01", "9999-12-31T23:59:60.999Z"}) CHECK((parse_since(far, now, time) && time > now));
  for (const char *far : {"1677-09-21", "1300-01-01", "0000-01-01T00:00+14:00"}) CHECK((parse_since(far, now, time) && time < now));

  const std::string log = "2026-11-22T12:00:00.000Z early\n2026-11-22T12:34:00.000Z late one\nwithout a time\n2026-11-22T12:34:10.000Z late two\n";
  const auto shown = [&](const char *since, const char *grep, const char *prefix, const char *until = "") {
    LogFilter filter;
    if (*since != 0) CHECK(filter.set_since(since, now) == "");
    if (*until != 0) CHECK(filter.set_until(until, now) == "");
    if (*grep != 0) CHECK(filter.set_grep(grep) == "");
    Captured out;
    LogCopy copy(out.printer, false, prefix, filter.wanted() ? &filter : nullptr);
    for (std::size_t at = 0; at < log.size(); at += 7) copy.put(std::string_view(log).substr(at, 7));
    copy.finish();
    return out.stdout_text();
  };
  CHECK(shown("", "", "") == log);
  CHECK(shown("10m", "", "") == log.substr(log.find('\n') + 1));
  CHECK(shown("10m", "t(wo|ime)$", "") == "without a time\n2026-11-22T12:34:10.000Z late two\n");
  CHECK(shown("", "early", "web | ") == "web | 2026-11-22T12:00:00.000Z early\n");
  CHECK(shown("", "", "", "12:33") == log.substr(0, log.find('\n') + 1));
  CHECK(shown("", "", "", "12:34") == log.substr(0, log.find("2026-11-22T12:34:10")));
  CHECK(shown("12:01", "late", "", "12:34:09.999") == "2026-11-22T12:34:00.000Z late one\n");
  CHECK(shown("", "", "", "12:34:10") == log);
  CHECK(shown("", "", "", "2100-01-01") == log);
  CHECK(shown("", "", "", "9999-12-31") == log);
  CHECK(shown("", "", "", "1d").empty());
  LogFilter filter;
  CHECK(filter.set_grep("(") != "");
  CHECK(filter.set_since("soon", now) != "");
  CHECK(filter.set_since("2100-01-01", now) == "is in the future");
  LogFilter both;
  CHECK(both.set_since("10m", now) == "");
  CHECK(both.set_until("11m", now) == "is before --since");
  CHECK(both.set_until("soon", now).starts_with("is no time; write one like 10m"));
  CHECK(both.set_until("10m", now) == "");
}

TEST_CASE("the lines of a time are found without reading the log, also where some or all bear none") {
  const Scratch scratch;
  const std::string path = scratch.logs() + "x.log";
  const auto line = [](int minute) { return fmt::format("2026-11-22T{:02}:{:02}:00.000Z line {} {}\n", minute / 60, minute % 60, minute, std::string(400, 'x')); };
  std::string text;
  std::vector<std::size_t> starts;
  for (int minute = 0; minute < 1440; minute++) {
    starts.push_back(text.size());
    text += line(minute) + (minute % 3 == 0 ? "a line without a time\n" : "");
  }
  write_file(path, text);
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  for (const int minute : {0, 1, 700, 701, 1439, 1500}) {
    std::int64_t since = 0;
    REQUIRE(parse_since(fmt::format("2026-11-{}T{:02}:{:02}Z", minute < 1440 ? 22 : 23, minute / 60 % 24, minute % 60), 0, since));
    const off_t at = start_since(file.get(), static_cast<off_t>(text.size()), since);
    const std::size_t wanted = minute < 1440 ? starts[static_cast<std::size_t>(minute)] : text.size();
    CHECK(static_cast<std::size_t>(at) <= wanted);
    CHECK(wanted - static_cast<std::size_t>(at) <= 2 * 64 * 1024);
    CHECK((at == 0 || text[static_cast<std::size_t>(at) - 1] == '\n'));
    const std::size_t behind = minute + 1 < 1440 ? starts[static_cast<std::size_t>(minute) + 1] : text.size();
    CHECK(static_cast<std::size_t>(end_until(file.get(), static_cast<off_t>(text.size()), since)) == behind);
    CHECK(static_cast<std::size_t>(end_until(file.get(), static_cast<off_t>(text.size()), since - 1)) == wanted);
  }
  // Wherever the end of a block cuts a line or its stamp.
  for (std::size_t size = 2 * 64 * 1024 - 60; size < 2 * 64 * 1024 + 10; size++) {
    const std::string early = "2026-11-22T12:00:00.000Z " + std::string(size, 'x') + "\n";
    write_file(path, early + "2026-11-22T12:00:01.000Z late\n");
    const Fd cut(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::int64_t until = 0;
    REQUIRE(read_stamp(early, until));
    REQUIRE(end_until(cut.get(), static_cast<off_t>(early.size()) + 30, until) == static_cast<off_t>(early.size()));
  }
  write_file(path, std::string(300'000, 'y') + "\nz\n");
  const Fd timeless(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(start_since(timeless.get(), 300'003, 1) == 0);
  CHECK(end_until(timeless.get(), 300'003, 1) == 300'003);
}

TEST_CASE("a log is followed over growth, renaming and truncation") {
  const Scratch scratch;
  const std::string path = scratch.logs() + "x.log";
  write_file(path, "one\n");
  int pair[2];
  REQUIRE(::pipe2(pair, O_CLOEXEC) == 0);
  Fd reader(pair[0]), writer(pair[1]);
  std::thread follower([&] {
    Printer printer(writer.get());
    LogCopy copy(printer, false);
    std::vector<LogFollower> logs;
    LogSource source(path, ::getuid());
    logs.emplace_back(source, open_log(path, ::getuid()).file, 0, copy);
    CHECK(follow_logs(logs, printer));
  });
  const auto expect = [&](const std::string &text) {
    std::string got(text.size(), '\0');
    std::size_t have = 0;
    while (have < got.size()) {
      const ssize_t n = ::read(reader.get(), &got[have], got.size() - have);
      if (n <= 0) break;
      have += static_cast<std::size_t>(n);
    }
    CHECK(got == text);
  };
  expect("one\n");
  std::ofstream(path, std::ios::app) << "two\n";
  expect("two\n");
  std::filesystem::rename(path, path + ".1");
  std::ofstream(path + ".1", std::ios::app) << "late\n";
  write_file(path, "three\n");
  expect("late\nthree\n");
  write_file(path, "4\n");
  expect("4\n");
  reader.reset();  // nobody reads any more: it ends by itself
  follower.join();
}

TEST_CASE("a full disk behind stdout is said, a reader that left is not") {
  Captured captured;
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  if (full) {
    Printer printer(full.get(), captured.err.get());
    printer.put("text");
    CHECK_FALSE(printer.flush());
    CHECK(captured.stderr_text() == "dmctl: cannot write to stdout: No space left on device\n");
  }
  std::signal(SIGPIPE, SIG_IGN);
  int pair[2];
  REQUIRE(::pipe2(pair, O_CLOEXEC) == 0);
  Fd(pair[0]).reset();
  const Fd writer(pair[1]);
  Captured quiet;
  Printer printer(writer.get(), quiet.err.get());
  printer.put("text");
  CHECK_FALSE(printer.flush());
  CHECK(quiet.stderr_text() == "");
}
