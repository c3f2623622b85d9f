// What status and top show: widths, tables, pages, the tree of processes, and what the keys of top do. No privilege.
#include <doctest/doctest.h>

#include "dmctl/colour.hh"
#include "dmctl/options.hh"
#include "dmctl/page.hh"
#include "dmctl/top_screen.hh"
#include "dmctl/width.hh"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace dm;
using namespace dm::dmctl;

namespace {

constexpr const char *eacute = "\xc3\xa9", *combined = "e\xcc\x81", *moon = "\xe6\x9c\x88", *elephant = "\xf0\x9f\x90\x98";

// Our own marks are those of a UTF-8 terminal while it lives, or of one that knows ASCII alone.
struct Locale {
  explicit Locale(const char *name) { ::setenv("LC_ALL", name, 1); }
  ~Locale() { ::unsetenv("LC_ALL"); }
};

Row row_of(const std::string &id, const std::string &state, const std::string &pid = "", const std::string &note = "") {
  Row row;
  row[row_id] = id;
  row[row_state] = state;
  row[row_pid] = pid;
  row[row_respawns] = row[row_cooldown_ms] = "0";
  row[row_uptime_ms] = row[row_total_ms] = pid.empty() ? "0" : "61000";
  row[row_target] = "amy";
  row[row_note] = note;
  return row;
}

Sight sight_of(Row row, std::optional<std::uint64_t> cpu_us = {}, std::optional<std::uint64_t> memory = {}) {
  return {.row = std::move(row), .memory = memory, .cpu_us = cpu_us, .cpu_percent = {}, .hidden = false};
}

bool all_fit(const std::vector<std::string> &lines, std::size_t columns) {
  return std::all_of(lines.begin(), lines.end(), [&](const std::string &line) { return width(line) <= columns; });
}

std::string joined(const std::vector<std::string> &lines) {
  std::string text;
  for (const std::string &line : lines) text += line + "\n";
  return text;
}

bool has(const std::string &text, std::string_view part) { return text.find(part) != std::string::npos; }

// A /proc and a cgroup as a test wants them.
struct Proc {
  std::string path = "/tmp/dm-proc-XXXXXX";
  Proc() {
    REQUIRE(::mkdtemp(path.data()) != nullptr);
    put("self/mountinfo", "30 20 0:26 / " + path + "/cgroup rw - cgroup2 cgroup rw\n");
  }
  ~Proc() { std::filesystem::remove_all(path); }
  void put(const std::string &name, const std::string &text) const {
    std::filesystem::create_directories(std::filesystem::path(path + "/" + name).parent_path());
    std::ofstream(path + "/" + name) << text;
  }
  // utime and its three companions are of `ticks` each.
  void process(int pid, int parent, int group, const std::string &name, int ticks = 0, int pages = 0, const std::string &cgroup = "/") const {
    const std::string t = " " + std::to_string(ticks), number = std::to_string(pid);
    put(number + "/stat", number + " (" + name + ") S " + std::to_string(parent) + " " + std::to_string(group) + " 1 0 -1 0 0 0 0 0" + t + t + t + t +
                              " 20 0 1 0 100 1000 " + std::to_string(pages) + " 0 0\n");
    put(number + "/cgroup", "4:memory:/x\n0::" + cgroup + "\n");
  }
};

Press letter(const std::string &text) { return {Key::letter, text}; }

}  // namespace

TEST_CASE("the width of text is that of a terminal's columns") {
  CHECK(width("") == 0);
  CHECK(width("web") == 3);
  CHECK(width(eacute) == 1);
  CHECK(width(combined) == 1);
  CHECK(width(moon) == 2);
  CHECK(width(elephant) == 2);
}

TEST_CASE("text is cut and wrapped at whole characters, and never wider than there is room") {
  const Locale utf8("C.UTF-8");
  CHECK(cut("abcdef", 6) == "abcdef");
  CHECK(cut("abcdef", 4) == "abc\xe2\x80\xa6");
  CHECK(cut(std::string(moon) + moon + moon, 4) == std::string(moon) + "\xe2\x80\xa6");
  CHECK(cut("abc", 0).empty());
  CHECK(wrap("one two three", 7) == std::vector<std::string>{"one two", "three"});
  CHECK(wrap("one two three", 8) == std::vector<std::string>{"one two", "three"});
  CHECK(wrap("", 5) == std::vector<std::string>{""});
  CHECK(wrap("abcdefgh", 3) == std::vector<std::string>{"abc", "def", "gh"});
  for (std::size_t columns = 0; columns < 30; columns++) {
    const std::vector<std::string> lines = wrap(std::string("a long ") + moon + moon + moon + elephant + " word " + combined + combined, columns);
    CHECK(all_fit(lines, std::max<std::size_t>(columns, 2)));
  }
  const Locale ascii("C");
  CHECK(cut("abcdef", 4) == "abc~");
}

TEST_CASE("lines are folded between words, and what may be copied stays whole") {
  CHECK(fold("one two three\n", 7) == "one two three\n");  // no terminal is that narrow
  CHECK(fold("david/web: stopped, and there is more to say\n", 30) == "david/web: stopped, and there\n  is more to say\n");
  CHECK(fold("dmctl: why\n  tried /run/x: there is no such file\n", 24) == "dmctl: why\n  tried /run/x: there is\n    no such file\n");
  CHECK(fold("a", any_width) == "a");
  CHECK(fold("", 20).empty());
  CHECK(fold("\n\n", 20) == "\n\n");
  const std::string path = "/home/david/.daemon-manager/daemons/web.conf";
  CHECK(fold("mend " + path + " please, then rescan\n", 20) == "mend\n  " + path + "\n  please, then\n  rescan\n");
  CHECK(fold("it is idle; dmctl start web starts it\n", 22) == "it is idle;\n  dmctl start web\n  starts it\n");
  CHECK(fold("no such file; dmctl kill -TERM web ends it\n", 26) == "no such file;\n  dmctl kill -TERM web\n  ends it\n");
  CHECK(fold("for that (chmod o+x /srv, or not)\n", 22) == "for that\n  (chmod o+x /srv, or\n  not)\n");
  CHECK(fold("so: runuser -u amy -- dmctl enable web ...\n", 20) == "so:\n  runuser -u amy -- dmctl enable web\n  ...\n");
  CHECK(fold("and then dmctl rescan, or wait\n", 20) == "and then\n  dmctl rescan, or\n  wait\n");
  CHECK(fold("say it with dmctl\n", 20) == "say it with dmctl\n");
  const std::string far(1000, ' '), half(12, ' ');
  CHECK(fold(far + "one two three\n", 20) == far + "one\n" + half + "two\n" + half + "three\n");
  for (std::size_t columns = 20; columns < 40; columns++)
    CHECK(width(fold(std::string(moon) + moon + " " + elephant + " and " + combined, columns)) <= columns);
}

TEST_CASE("colours are used where somebody said so, and else on a terminal that can") {
  CHECK(use_colour(When::always, -1));
  CHECK_FALSE(use_colour(When::never, 1));
  CHECK_FALSE(use_colour(When::fits, -1));
  CHECK(paint("x", colour::none) == "x");
  CHECK(paint("x", colour::red) == "\x1b[31mx\x1b[0m");
  CHECK(colour_of_state("failed") == colour::red);
  CHECK(colour_of_state("running") == colour::green);
  CHECK(colour_of_state("stopped") == colour::none);
}

TEST_CASE("a table loses columns, then cuts its ids, and is never wider than the terminal") {
  const std::vector<Sight> sights{sight_of(row_of("amy/a-name-that-is-long-enough", "running", "17"), 2'500'000, 3 << 20), sight_of(row_of("amy/b", "failed", "", "why"))};
  const std::vector<std::string> whole = draw_table(sights, Form::with_usage, any_width, false);
  CHECK(has(whole[0], "memory"));
  CHECK(has(whole[1], "2.50s"));
  CHECK(has(whole[1], "3.0M"));
  for (std::size_t columns = 1; columns < 120; columns++) CHECK(all_fit(draw_table(sights, Form::with_usage, columns, false), columns));
  const std::vector<std::string> narrow = draw_table(sights, Form::with_usage, 50, false);
  CHECK_FALSE(has(narrow[0], "total"));
  CHECK(has(narrow[0], "state"));
  CHECK(has(narrow[1], "a-name-that-is-long-enough"));
  CHECK_FALSE(has(joined(draw_table(sights, Form::brief, any_width, false)), "memory"));
  CHECK(has(joined(draw_table(sights, Form::brief, any_width, true)), "\x1b[31mfailed\x1b[0m"));
  CHECK(joined(draw_notes(sights, 40, false)) == "  amy/b: why\n");
  CHECK(all_fit(draw_notes(std::vector{sight_of(row_of("amy/b", "failed", "", std::string(300, 'x') + " y z"))}, 40, false), 40));
}

TEST_CASE("the busiest and the biggest come first, names as they come") {
  std::vector<Sight> sights{sight_of(row_of("a/1", "running", "1"), 5, 10), sight_of(row_of("a/2", "failed"), {}, {}), sight_of(row_of("a/3", "running", "3"), 9, 5)};
  const auto order = [&](std::string_view column) {
    sort_sights(sights, column);
    return sights[0].row[row_id] + sights[1].row[row_id] + sights[2].row[row_id];
  };
  CHECK(order("cpu") == "a/3a/1a/2");
  CHECK(order("memory") == "a/1a/3a/2");
  CHECK(order("state") == "a/2a/1a/3");
  CHECK(order("name") == "a/1a/2a/3");
}

TEST_CASE("a daemon's processes are those of its cgroup, in the order of a tree") {
  const Proc proc;
  const std::string cgroup = "/x/daemon-manager.5/s3";
  proc.process(10, 1, 10, "main", 100, 2, cgroup);
  proc.process(12, 10, 10, "a) S 1 (b", 50, 1, cgroup);
  proc.process(11, 12, 11, "deep", 0, 0, cgroup);
  proc.process(13, 1, 13, "orphan", 0, 0, cgroup);
  proc.process(14, 10, 10, "left the cgroup");
  proc.put("cgroup" + cgroup + "/cgroup.procs", "13\n12\n10\n11\n99\n");
  Processes processes(proc.path);
  const Usage usage = processes.of(10);
  REQUIRE(usage.tree.size() == 4);
  const auto is = [&](std::size_t i, int pid, std::size_t depth) { return usage.tree[i].process.pid == pid && usage.tree[i].depth == depth; };
  CHECK(is(0, 10, 0));
  CHECK(is(1, 12, 1));
  CHECK(is(2, 11, 2));
  CHECK(is(3, 13, 0));
  CHECK(usage.tree[1].process.name == "a) S 1 (b");
  CHECK(usage.hidden == 1);           // 99 is there, and not shown
  CHECK_FALSE(usage.memory.has_value());  // a part of it would be no answer
}

TEST_CASE("memory and time of the CPU are the cgroup's where it tells, else those of the processes") {
  const Proc proc;
  const std::string cgroup = "/daemon-manager.5/s3";
  proc.process(10, 1, 10, "main", 100, 2, cgroup);
  proc.put("cgroup" + cgroup + "/cgroup.procs", "10\n");
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)), tick = 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  const Usage summed = Processes(proc.path).of(10);
  CHECK(summed.memory == 2 * page);
  CHECK(summed.cpu_us == 400 * tick);
  proc.put("cgroup" + cgroup + "/memory.current", "123456\n");
  proc.put("cgroup" + cgroup + "/cpu.stat", "usage_usec 777\nuser_usec 700\n");
  const Usage told = Processes(proc.path).of(10);
  CHECK(told.memory == 123456U);
  CHECK(told.cpu_us == 777U);
}

TEST_CASE("without a cgroup of its own a daemon's processes are its group and its descendants") {
  const Proc proc;
  proc.process(10, 1, 10, "main", 0, 0, "/user.slice");
  proc.process(11, 10, 10, "child");
  proc.process(12, 11, 12, "grandchild in a session of its own");
  proc.process(13, 1, 10, "orphan of the group");
  proc.process(20, 1, 20, "another's");
  const Usage usage = Processes(proc.path).of(10);
  CHECK(usage.tree.size() == 4);
  CHECK(usage.tree[0].process.pid == 10);
  CHECK(Processes(proc.path).of(77).hidden == 1);
  CHECK(Processes(proc.path).of(77).tree.empty());
}

TEST_CASE("hostile files of /proc are no processes, and nothing worse") {
  const Proc proc;
  for (const char *text : {"", "10", "10 (x", "10 x) S", "10 (x) S 1", ")(", "10 (x) S - - - - - - - - - - - - - - - - - - - - - - -"}) {
    proc.put("10/stat", text);
    proc.put("10/cgroup", "0::/daemon-manager.1/s1\n");
    proc.put("cgroup/daemon-manager.1/s1/cgroup.procs", "10\nx\n-5\n99999999999999\n");
    (void)Processes(proc.path).of(10);
  }
  // Two that call each other parent.
  proc.process(10, 11, 10, "a");
  proc.process(11, 10, 10, "b");
  CHECK(Processes(proc.path).of(10).tree.size() <= 2);
}

TEST_CASE("sizes and times of the CPU are short") {
  CHECK(short_size(0) == "0B");
  CHECK(short_size(1023) == "1023B");
  CHECK(short_size(1536) == "1.5K");
  CHECK(short_size(1048575) == "1.0M");
  CHECK(short_size(std::uint64_t{5} << 40) == "5.0T");
  CHECK(short_cpu(0) == "0.00s");
  CHECK(short_cpu(1'239'999) == "1.23s");
  CHECK(short_cpu(12'340'000) == "12.3s");
  CHECK(short_cpu(3'723'000'000) == "1h2m");
}

TEST_CASE("a page tells all that is known, escaped, and what is hidden with a word") {
  const Locale ascii("C");
  Row row = row_of("amy/web", "running", "10", "it says \x1b[31mboo");
  row[row_conf] = "/home/amy/.daemon-manager/daemons/web.conf";
  row[row_log] = "/home/amy/.daemon-manager/logs/web.log";
  row[row_start] = "sleep\t5";
  row[row_autostart] = "no";
  row[row_stale] = "changed";
  Page page{.row = row, .usage = {}, .descriptors = 7, .most_descriptors = 1024, .edited = false, .last = {true, {"last \x1b]0;words", "a\tb"}}, .ends = {}};
  page.usage.tree = {{Process{.pid = 10, .parent = 1, .group = 10, .name = "x"}, 0, "sleep 5"}, {Process{.pid = 11, .parent = 10, .group = 10, .name = "y"}, 1, "a\nb"},
                     {Process{.pid = 12, .parent = 11, .group = 10, .name = "z"}, 2, "deep"}, {Process{.pid = 13, .parent = 10, .group = 10, .name = "w"}, 1, "c"}};
  page.usage.hidden = 2;
  page.usage.cpu_us = 1'500'000;
  const std::string text = draw_page(page, 0, false);
  for (const char *part : {"* amy/web: running for 1m1s as amy\n", "note: it says \\x1b[31mboo\n", "conf: /home/amy/.daemon-manager/daemons/web.conf\n",
                           "changed on disk since it was started; dmctl restart amy/web makes it count\n", "command: sleep\\x095\n", "by dmctl start only",
                           "memory: not shown to you\n", "cpu: 1.50s\n", "descriptors: 7 of 1024\n", "processes: 10 sleep 5\n", " |-11 a\\x0ab\n", " | `-12 deep\n",
                           " `-13 c\n", "and 2 not shown to you\n", "log: /home/amy/.daemon-manager/logs/web.log\n  last \\x1b]0;words\n  a    b\n"})
    CHECK_MESSAGE(has(text, part), part << " in\n" << text);
  CHECK_FALSE(has(text, "\x1b"));
  CHECK(text.ends_with("  a    b\n"));
}

TEST_CASE("a page of one that crashed ends with its last exit and its last lines") {
  Row row = row_of("amy/web", "cooldown", "", "last exit: killed by SIGSEGV");
  row[row_conf] = "/c";
  row[row_end] = "killed";
  row[row_end_status] = "11";
  row[row_end_ago_ms] = "5000";
  row[row_end_ran_ms] = "61000";
  row[row_cooldown_ms] = "3000";
  row[row_log] = "/l";
  const Page page{.row = row, .usage = {}, .descriptors = {}, .most_descriptors = {}, .edited = true, .last = {true, {"oops"}}, .ends = {}};
  const std::string text = draw_page(page, 60, false);
  CHECK(has(text, "last exit: killed by SIGSEGV, 5s ago, after 1m1s\n"));
  CHECK(has(text, "next start: in 3s; dmctl start amy/web does it now\n"));
  CHECK(has(text, "changed on disk since the manager read it"));
  CHECK(has(text, "command: not shown to you\n"));
  CHECK_FALSE(has(text, "memory:"));
  CHECK(text.ends_with("log: /l\n  oops\n"));
  const Page closed{.row = row, .usage = {}, .descriptors = {}, .most_descriptors = {}, .edited = false, .last = {}, .ends = {}};
  CHECK(draw_page(closed, 60, false).ends_with("it cannot be read, or is not there yet\n"));
}

TEST_CASE("keys of top choose, sort, filter and ask before they end something") {
  TopModel model;
  model.take({sight_of(row_of("a/1", "running", "1"), 0), sight_of(row_of("a/2", "stopped")), sight_of(row_of("b/3", "running", "3"), 0)}, 1000);
  const auto chosen = [&] { return model.shown()[model.selected()].row[row_id]; };
  CHECK(chosen() == "a/1");
  model.press({Key::down}, 10);
  CHECK(chosen() == "a/2");
  CHECK(model.press(letter("s"), 10).verb == "start");
  CHECK(model.press(letter("x"), 10).kind == Deed::Kind::none);
  CHECK(model.question() == "it is stopped already; stop a/2? [y/N]");
  CHECK(model.press(letter("n"), 10).kind == Deed::Kind::none);
  CHECK(model.question().empty());
  model.press(letter("K"), 10);
  const Deed deed = model.press(letter("y"), 10);
  CHECK(deed.kind == Deed::Kind::verb);
  CHECK(deed.verb == "kill");
  CHECK(deed.id == "a/2");
  // Percent of the CPU: b/3 had half a second of one. The selection stays with its daemon.
  model.take({sight_of(row_of("a/1", "running", "1"), 0), sight_of(row_of("a/2", "stopped")), sight_of(row_of("b/3", "running", "3"), 500'000)}, 2000);
  model.press(letter("C"), 10);
  CHECK(model.shown()[0].row[row_id] == "b/3");
  CHECK(model.shown()[0].cpu_percent == doctest::Approx(50));
  CHECK(chosen() == "a/2");
  for (const char *key : {"/", "b", "/"}) model.press(letter(key), 10);
  CHECK(model.filter() == "b/");
  CHECK(model.shown().size() == 1);
  model.press({Key::backspace}, 10);
  model.press({Key::enter}, 10);
  CHECK(model.filter() == "b");
  CHECK(model.press({Key::enter}, 10).kind == Deed::Kind::log);
  model.press({Key::escape}, 10);
  CHECK(model.shown().size() == 3);
  CHECK(model.press(letter("q"), 10).kind == Deed::Kind::quit);
  // Another pid is another run: its time does not count from the one before.
  model.take({sight_of(row_of("b/3", "running", "4"), 900'000)}, 3000);
  CHECK_FALSE(model.shown()[0].cpu_percent.has_value());
  // The daemon that was asked about is gone: so is the question.
  model.press(letter("r"), 10);
  CHECK(model.question() == "restart b/3? [y/N]");
  model.take({}, 4000);
  CHECK(model.question().empty());
  CHECK(model.press(letter("x"), 10).kind == Deed::Kind::none);
  CHECK(model.press({Key::down}, 10).kind == Deed::Kind::none);
}

TEST_CASE("the picture of top fits every size, with the chosen daemon in sight") {
  TopModel model;
  std::vector<Sight> sights;
  for (int i = 0; i < 100; i++) sights.push_back(sight_of(row_of("amy/web-" + std::to_string(1000 + i), "running", std::to_string(i + 1), i == 50 ? "a \x1bnote" : ""), 1));
  model.take(sights, 1000);
  for (const Size size : {Size{80, 24}, {200, 50}, {40, 10}, {10, 3}, {1, 1}, {20, 5}}) {
    for (const Key key : {Key::end, Key::home, Key::page_down}) {
      model.press({key}, rows_of_screen(size));
      const std::vector<std::string> lines = draw_top(model, "", size, false);
      CHECK(lines.size() <= size.rows);
      std::string plain = joined(lines);
      for (std::string_view sequence : {"\x1b[7m", "\x1b[0m"})
        for (std::size_t at; (at = plain.find(sequence)) != plain.npos;) plain.erase(at, sequence.size());
      for (std::size_t end; (end = plain.find('\n')) != plain.npos; plain.erase(0, end + 1)) CHECK(width(std::string_view(plain).substr(0, end)) <= size.columns);
      if (size.columns >= 40) CHECK(has(joined(lines), model.shown()[model.selected()].row[row_id]));
    }
  }
  CHECK(has(joined(draw_top(model, "the manager is not running", {80, 24}, false)), "the manager is not running; waiting for it"));
  model.press(letter("?"), 10);
  CHECK(has(joined(draw_top(model, "", {80, 24}, false)), "any key goes back"));
}

TEST_CASE("every option that is not for a verb is refused with those that it is for") {
  for (const Option &option : options()) {
    CHECK(find_option(option.name) == &option);
    if (option.letter != 0) CHECK(find_option(option.letter) == &option);
    for (const Verb &verb : verbs())
      if (!option.is_for(verb.name)) CHECK(has(refuse_option(option, verb.name), std::string(verb.name) + " takes no " + std::string(option.name)));
  }
  CHECK(refuse_option(*find_option("--yes"), "stop") == "stop takes no --yes; only new and edit do");
  CHECK(refuse_option(*find_option("--with-dependants"), "log") == "log takes no --with-dependants; only stop does");
}
