// requires= and after=: what waits for what, what is refused, what is stopped first. No privilege.
#include "town.hh"

namespace {

using namespace dm;
using namespace dm::town;

std::string conf(const std::string &lines = "") { return "dir=/\nstart=./x\n" + lines; }
bool holds(const std::string &text, const std::string &part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("what is required runs before what requires it starts") {
  Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf()}}}});
  CHECK(town.deeds == std::vector<std::string>{"start db", "start app"});
  CHECK(town.state("app") == State::running);
}

TEST_CASE("one waits while what it requires is being started, says for what, and can be stopped meanwhile") {
  Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf("autostart=no\n")}}}});
  town.ask({"stop", "", "", "app"});
  town.ask({"stop", "", "", "db"});
  town.slow = {"db"};
  CHECK(town.ask({"start", "", "", "app"}).empty());
  CHECK(town.state("app") == State::waiting);
  CHECK(town.state("db") == State::starting);
  CHECK(holds(town.ask({"status", "", "", "app"}), "row david/app waiting waits for david/db, which is starting"));
  CHECK(holds(town.ask({"stop", "", "", "app"}), "0 david/app: stopped"));
  town.executed("db");
  CHECK(town.state("app") == State::stopped);
}

TEST_CASE("a diamond starts from its foot, and its sides side by side") {
  Town town({{david, {{"a", conf("requires=b, c\n")}, {"b", conf("requires=d\n")}, {"c", conf("requires=d\n")}, {"d", conf("autostart=no\n")}}}});
  town.ask({"stop", "", "", "all"});
  town.deeds.clear();
  town.slow = {"b", "c"};
  town.ask({"start", "", "", "a"});
  CHECK(town.deed("start d") == 0);
  CHECK(town.did("start b"));
  CHECK(town.did("start c"));
  CHECK(!town.did("start a"));
  town.executed("c");
  CHECK(!town.did("start a"));
  town.executed("b");
  CHECK(holds(town.said, "0 david/a: running"));
}

TEST_CASE("a family counts when all of it runs, and a task when it is done") {
  Town town({{david, {{"app", conf("requires=db, set-up\nautostart=no\n")}, {"db", conf("instances=2\n")}, {"set-up", conf("type=task\nautostart=no\n")}}}});
  town.ask({"stop", "", "", "db:2"});
  town.slow = {"db:2"};
  town.ask({"start", "", "", "app"});
  town.executed("db:2");
  CHECK(town.state("set-up") == State::running);
  CHECK(town.state("app") == State::waiting);
  town.ends("set-up", CLD_EXITED, 0);
  CHECK(town.state("app") == State::running);
  CHECK(holds(town.said, "0 david/app: running"));
  town.deeds.clear();
  town.ask({"restart", "", "", "app"});
  CHECK(!town.did("start set-up"));
}

TEST_CASE("a start fails when what is required fails, and says so; what waits goes on when it comes back") {
  Town town({{david, {{"app", conf("requires=mid\nautostart=no\n")}, {"mid", conf("requires=db\nautostart=no\n")}, {"db", conf("autostart=no\n")}}}});
  town.broken = {"db"};
  const std::string said = town.ask({"start", "", "", "app"});
  CHECK(holds(said, "1 david/app: requires david/mid, which does not run: requires david/db, which does not run: it ended at once"));
  CHECK(said.ends_with("end 1\n"));
  CHECK(town.state("app") == State::waiting);
  town.broken.clear();
  check_timers(*town.worker, now_ms() + 10'000);
  town.turn();
  CHECK(town.state("app") == State::running);
}

TEST_CASE("one that was given up is started again by hand with what requires it, and by nothing else") {
  Town town({{david, {{"app", conf("requires=db\nautostart=no\n")}, {"db", conf("autostart=no\nrestart=never\n")}}}});
  town.broken = {"db"};
  CHECK(holds(town.ask({"start", "", "", "app"}), "1 david/app: requires david/db"));
  CHECK(town.at("db").rest == Rest::failed);
  town.deeds.clear();
  town.ask({"rescan", "", ""});
  CHECK(!town.did("start db"));
  CHECK(holds(town.ask({"status", "", "", "app"}), "waits for david/db, which is failed"));
  town.broken.clear();
  CHECK(holds(town.ask({"start", "", "", "app"}), "0 david/app: running"));
}

TEST_CASE("a crash of what is required stops nobody") {
  Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf()}}}});
  town.deeds.clear();
  town.ends("db", CLD_KILLED, SIGSEGV);
  CHECK(town.state("app") == State::running);
  check_timers(*town.worker, now_ms() + 10'000);
  town.turn();
  CHECK(town.deeds == std::vector<std::string>{"start db"});
  town.ask({"restart", "", "", "db"});
  CHECK(town.deeds == std::vector<std::string>{"start db", "stop db", "start db"});
}

TEST_CASE("after= orders two that are both being started, and starts nothing") {
  Town town({{david, {{"app", conf("after=db\nautostart=no\n")}, {"db", conf("autostart=no\n")}}}});
  CHECK(holds(town.ask({"start", "", "", "app"}), "0 david/app: running"));
  CHECK(town.deeds == std::vector<std::string>{"start app"});
  town.ask({"stop", "", "", "app"});
  town.slow = {"db"};
  town.ask({"start", "", "", "app", "db"});
  CHECK(town.state("app") == State::waiting);
  town.executed("db");
  CHECK(holds(town.said, "0 david/app: running"));
  // One whose start has failed holds nobody up.
  town.ask({"stop", "", "", "all"});
  town.broken = {"db"};
  const std::string said = town.ask({"start", "", "", "app", "db"});
  CHECK(holds(said, "0 david/app: running"));
  CHECK(holds(said, "1 david/db: it ended at once"));
}

TEST_CASE("at the start of the manager everything starts as far as the order allows") {
  Town town({{david, {{"a", conf("after=z\n")}, {"m", conf()}, {"z", conf("requires=zz\n")}, {"zz", conf()}}}});
  CHECK(town.deed("start zz") < town.deed("start z"));
  CHECK(town.deed("start z") < town.deed("start a"));
  CHECK(town.did("start m"));
}

TEST_CASE("a name that is none is refused with its line and column, in the same words as one that he may not see") {
  const auto problem = [](const std::string &line) {
    Town town({{david, {{"app", conf(line)}, {"ok", conf()}}}, {bob, {{"secret", conf()}}}, {amy, {{"her", conf()}}}});
    CHECK(town.state("ok") == State::running);
    CHECK(town.state("app") == State::stopped);
    return std::string(town.at("app").problem);
  };
  CHECK(problem("requires=ok, nosuch\n").starts_with("/home/david/.daemon-manager/daemons/app.conf:3:14: found requires=nosuch"));
  std::string there = problem("requires=bob/secret\n"), gone = problem("requires=bob/nobody\n"), nobody = problem("requires=eve/secret\n");
  const auto blank = [](std::string &text, const std::string &name) { text.replace(text.find(name), name.size(), "X"); };
  blank(there, "bob/secret");
  blank(gone, "bob/nobody");
  blank(nobody, "eve/secret");
  CHECK(there == gone);
  CHECK(there == nobody);
}

TEST_CASE("a name in after= that is none is a warning, until there is such a daemon") {
  Town town({{david, {{"app", conf("after=nosuch\n")}}}});
  CHECK(town.state("app") == State::running);
  CHECK(town.at("app").warning.text().starts_with("/home/david/.daemon-manager/daemons/app.conf:3:7: found after=nosuch"));
  town.confs[david]["nosuch"] = conf();
  town.ask({"rescan", "", ""});
  CHECK(town.at("app").warning.empty());
  town.confs[david].erase("nosuch");
  town.ask({"rescan", "", ""});
  CHECK(holds(town.at("app").warning, "after=nosuch"));
  CHECK(town.at("app").problem.empty());
}

TEST_CASE("what runs is not restarted with a conf that is known to be faulty, but with one that was mended since") {
  Town town({{david, {{"app", conf()}, {"web", conf("instances=2\n")}}}});
  town.confs[david]["app"] = town.confs[david]["web"] = "dir=/\n";
  town.ask({"rescan", "", ""});
  town.deeds.clear();
  const std::string said = town.ask({"restart", "", "", "app", "web"});
  for (const char *name : {"app", "web:1", "web:2"}) {
    CHECK(town.state(name) == State::running);
    CHECK(holds(said, std::string("1 david/") + name + ": /home/david/.daemon-manager/daemons/"));
  }
  CHECK(holds(said, "; it was not restarted and runs on as it was"));
  CHECK(said.ends_with("end 1\n"));
  CHECK(town.deeds.empty());
  town.confs[david]["app"] = conf();
  town.confs[david]["web"] = conf("instances=2\n");
  CHECK(town.ask({"restart", "", "", "app", "web"}).ends_with("end 0\n"));
  for (const char *deed : {"stop app", "start app", "stop web:2", "start web:2"}) CHECK(town.did(deed));
  CHECK(town.deed("start web:1") < town.deed("stop web:2"));
}

TEST_CASE("root is told that there is no such user") {
  Town town({{david, {{"app", conf()}}}});
  CHECK(holds(town.ask({"start", "", "", "nobody-x/app"}, 0), "5 nobody-x/app: there is no user 'nobody-x' in the master config"));
  CHECK(holds(town.ask({"status", "", "nobody-x"}, 0), "there is no user 'nobody-x'"));
  CHECK(holds(town.ask({"start", "", "", "nobody-x/app"}, 1000), "not permitted"));
}

TEST_CASE("one may require a daemon of those one manages, whoever's confs are read first") {
  Town town({{amy, {{"app", conf("requires=david/db\n")}}}, {david, {{"db", conf()}}}});
  CHECK(town.deeds == std::vector<std::string>{"start db", "start app"});
  // And it is told when that goes.
  town.confs[david].clear();
  town.ask({"rescan", "", "", "david"});
  CHECK(!town.at("app", amy).usable);
  CHECK(town.state("app", amy) == State::running);
  town.confs[david]["db"] = conf();
  town.ask({"rescan", "", "", "david"});
  CHECK(town.at("app", amy).usable);
}

TEST_CASE("what is required is started when its owner's confs are read after those of who requires it") {
  Town town({{david, {{"app", conf()}}}, {amy, {{"her", conf("requires=david/db\n")}}}});
  CHECK(!town.at("her", amy).usable);
  town.confs[david]["db"] = conf("autostart=no\n");
  town.worker->owners[david].scanned = false;  // as at the start of the manager
  town.ask({"rescan", "", "", "amy"});
  CHECK(town.state("her", amy) == State::waiting);
  town.ask({"rescan", "", "", "david"});
  CHECK(town.state("db") == State::running);
  CHECK(town.state("her", amy) == State::running);
}

TEST_CASE("a cycle is drawn for each of its members, and nobody else is touched") {
  Town town({{david, {{"a", conf("requires=b\n")}, {"b", conf("after=c\n")}, {"c", conf("requires=a\n")}, {"self", conf("after=self\n")}, {"up", conf("requires=a\n")}, {"foot", conf()}}}});
  CHECK(holds(town.at("a").problem, "requires/after form a cycle: a -> b -> c -> a"));
  CHECK(holds(town.at("b").problem, "requires/after form a cycle: b -> c -> a -> b"));
  CHECK(holds(town.at("self").problem, "found its own name after after="));
  CHECK(town.at("up").problem.empty());
  CHECK(town.state("up") == State::waiting);
  CHECK(town.state("foot") == State::running);
  town.confs[david]["c"] = conf();
  const std::string said = town.ask({"rescan", "", ""});
  for (const char *name : {"a", "b", "c", "up"}) CHECK(town.state(name) == State::running);
  CHECK(holds(said, "0 david/a: running"));
}

TEST_CASE("two knots with a common daemon are told from what only leads to them") {
  Town town({{david, {{"a", conf("requires=b\n")}, {"b", conf("requires=a, c\n")}, {"c", conf("requires=b\n")}, {"d", conf("after=e\n")}, {"e", conf("after=f\n")}, {"f", conf()}}}});
  for (const char *name : {"a", "b", "c"}) CHECK(holds(town.at(name).problem, "form a cycle"));
  for (const char *name : {"d", "e", "f"}) CHECK(town.state(name) == State::running);
}

TEST_CASE("a chain of thousands is started and stopped in order, without a stack as deep") {
  Confs all;
  constexpr int count = 3'000;
  const auto name = [](int i) { return "d" + std::to_string(10'000 + i); };
  for (int i = 0; i < count; i++) all[name(i)] = conf(i + 1 < count ? "requires=" + name(i + 1) + "\n" : "");
  Town town({{david, all}});
  CHECK(town.deeds.front() == "start " + name(count - 1));
  CHECK(town.deeds.back() == "start " + name(0));
  town.deeds.clear();
  town.ask({"stop", "", "", "all"});
  CHECK(town.deeds.front() == "stop " + name(0));
  CHECK(town.deeds.back() == "stop " + name(count - 1));
  all[name(count - 1)] = conf("after=" + name(0) + "\n");
  town.confs[david] = all;
  town.ask({"rescan", "", ""});
  CHECK(holds(town.at(name(0)).problem, "form a cycle"));
  CHECK(town.at(name(0)).problem.text().size() < 1000);
}

TEST_CASE("what others require is not stopped without them") {
  Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf("requires=disk\n")}, {"disk", conf()}}}});
  CHECK(town.ask({"stop", "", "", "db"}) == "1 david/db: not stopped: david/app requires it; --with-dependants stops that first [held]\nend 1\n");
  CHECK(town.state("db") == State::running);
  // One that stays keeps what it requires.
  const std::string both = town.ask({"stop", "", "", "disk", "db"});
  CHECK(holds(both, "1 david/db: not stopped"));
  CHECK(holds(both, "1 david/disk: not stopped"));
  CHECK(town.state("disk") == State::running);
  town.deeds.clear();
  CHECK(holds(town.ask({"stop", "no-wait,with-dependants", "", "disk"}), "end 0"));
  CHECK(town.deeds == std::vector<std::string>{"stop app", "stop db", "stop disk"});
  CHECK(holds(town.ask({"stop", "", "", "disk"}), "was stopped already"));
}

TEST_CASE("what one does not manage keeps one from stopping nothing, and is not named") {
  Town town({{amy, {{"app", conf("requires=david/db\n")}}}, {david, {{"db", conf()}}}});
  CHECK(holds(town.ask({"stop", "", "", "david/db"}, 1001), "amy/app requires it"));
  const std::string said = town.ask({"stop", "with-dependants", "", "db"}, 1000);
  CHECK(said == "0 david/db: stopped\nend 0\n");
  CHECK(town.state("app", amy) == State::running);
}

TEST_CASE("stop all goes the other way round, and no longer than one's stop_timeout for a stubborn one") {
  Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf()}, {"late", conf("after=app\n")}}}});
  town.deeds.clear();
  town.stubborn = {"app"};
  town.ask({"stop", "", "", "all"});
  CHECK(town.deeds == std::vector<std::string>{"stop late", "stop app"});
  CHECK(town.state("db") == State::running);
  check_timers(*town.worker, now_ms() + 10'001);
  town.turn();
  CHECK(town.deed("kill app") < town.deed("stop db"));
  CHECK(town.said.ends_with("end 0\n"));
}

TEST_CASE("the manager's shutdown keeps the order, too, and ends") {
  Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf()}}}});
  town.deeds.clear();
  const TellShutdown shutdown{TellKind::Shutdown, 60'000};
  REQUIRE(::send(town.monitor.get(), &shutdown, sizeof shutdown, 0) == sizeof shutdown);
  receive(*town.worker);
  town.turn();
  check_shutdown(*town.worker);
  town.turn();
  CHECK(town.deeds == std::vector<std::string>{"stop app", "stop db", "done"});
}

TEST_CASE("a worker that ends between the stops leaves them to the next") {
  Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf()}}}});
  town.stubborn = {"app"};
  town.ask({"stop", "", "", "all"});
  CHECK(town.state("db") == State::running);
  for (const bool read : {true, false}) {
    town.again(read);
    CHECK(town.state("app") == State::stopping);
    CHECK(town.state("db") == State::running);
  }
  town.deeds.clear();
  town.ends("app", CLD_EXITED, 0);
  CHECK(town.deeds == std::vector<std::string>{"stop db"});
  CHECK(town.state("db") == State::stopped);
}

TEST_CASE("whatever of a stop is lost with worker or monitor, nobody goes before one that requires him") {
  for (const bool read : {true, false}) {
    bool all = false;
    for (unsigned messages = 0; !all; messages++) {
      Town town({{david, {{"a", conf("requires=b\n")}, {"b", conf("requires=d\n")}, {"c", conf("requires=b, d\n")}, {"d", conf()}}}});
      town.deeds.clear();
      all = town.ask_in_part({"stop", "with-dependants", "", "d"}, messages);
      town.again(read);
      const auto up = [&town](const char *name) { return town.state(name) == State::running; };
      CHECK((up("b") || (!up("a") && !up("c"))));
      CHECK((up("d") || (!up("b") && !up("c"))));
      town.ask({"stop", "with-dependants", "", "d"});
      for (const char *name : {"a", "c"}) CHECK(town.deed(std::string("stop ") + name) < town.deed("stop b"));
      CHECK(town.deed("stop b") < town.deed("stop d"));
      CHECK(town.deeds.size() == 4);
      for (const char *name : {"a", "b", "c", "d"}) CHECK(town.state(name) == State::stopped);
    }
  }
}

TEST_CASE("one that waits for others to go is stopped in the end though their confs are not read") {
  Town town({{amy, {{"app", conf("requires=david/db\n")}}}, {david, {{"db", conf()}}}});
  town.stubborn = {"app"};
  town.ask({"stop", "with-dependants", "", "david/db"});
  town.unread = {amy};
  town.again(false);
  CHECK(town.state("db") == State::running);
  town.worker->order.ties_until = now_ms();
  town.turn();
  CHECK(town.state("db") == State::stopped);
}

TEST_CASE("one that waits for another to go does so no more when that requires it no more, or is gone") {
  for (const bool gone : {false, true}) {
    Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf()}}}});
    town.stubborn = {"app"};
    town.ask({"stop", "", "", "all"});
    CHECK(town.state("db") == State::running);
    gone ? void(town.confs[david].erase("app")) : void(town.confs[david]["app"] = conf());
    town.ask({"rescan", "", ""});
    CHECK(town.state("db") == State::stopped);
  }
}

TEST_CASE("those of a knot do not wait for one another to stop") {
  Town town({{david, {{"a", conf()}, {"b", conf()}}}});
  town.confs[david] = {{"a", conf("requires=b\n")}, {"b", conf("after=a\n")}};
  town.ask({"rescan", "", ""});
  CHECK(holds(town.ask({"stop", "", "", "all"}), "end 0"));
  CHECK(town.state("a") == State::stopped);
  CHECK(town.state("b") == State::stopped);
}

TEST_CASE("a worker that ends while one waits leaves one that waits") {
  Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf()}}}});
  town.ask({"stop", "", "", "all"});
  town.slow = {"db"};
  town.ask({"start", "", "", "app"});
  town.again();
  CHECK(town.state("app") == State::waiting);
  town.executed("db");
  CHECK(town.state("app") == State::running);
}

TEST_CASE("a start takes back a stop that has not come to its turn") {
  Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf()}}}});
  town.stubborn = {"app"};
  town.ask({"stop", "", "", "all"});
  CHECK(holds(town.ask({"start", "", "", "db"}), "0 david/db: runs already"));
  town.ends("app", CLD_EXITED, 0);
  CHECK(town.state("db") == State::running);
  // Nor has one that is only being started; before its conf is read again the other may have gone.
  town.ask({"start", "", "", "app"});
  town.slow = {"db"};
  town.ends("db", CLD_EXITED, 1);
  check_timers(*town.worker, now_ms() + 2'000);
  town.turn();
  REQUIRE(town.state("db") == State::starting);
  town.ask({"stop", "", "", "all"});
  town.come(0);
  serve(*town.worker, *town.client, request({"start", "", "", "db"}));
  town.ends("app", CLD_EXITED, 0);
  town.executed("db");
  CHECK(town.state("db") == State::running);
}

TEST_CASE("one whose turn to stop is still to come may end by itself, or be started again, and nobody waits for it any more") {
  for (const std::string what : {"end", "start", "restart"}) {
    Town town({{david, {{"a", conf()}, {"m", conf("requires=a\nrestart=never\n")}, {"z", conf("requires=m\n")}}}});
    town.stubborn = {"z"};
    town.ask({"stop", "", "", "all"});
    town.unread = {david};
    if (what == "end") town.ends("m", CLD_EXITED, 0);
    else town.ask({what, "", "", "m"});
    town.ends("z", CLD_EXITED, 0);
    CHECK(town.state("m") == (what == "end" ? State::stopped : State::running));
    CHECK(town.state("a") == State::stopped);
  }
}

TEST_CASE("what is required again before its turn to stop has come runs on, is up at once, and is remembered so") {
  Town town({{david, {{"app", conf("requires=db\n")}, {"db", conf()}, {"late", conf("requires=db\nautostart=no\n")}}}});
  town.stubborn = {"app"};
  town.ask({"stop", "", "", "app", "db"});
  REQUIRE(town.at("db").lingers);
  CHECK(holds(town.ask({"start", "", "", "late"}), "0 david/late: running"));
  town.again();
  town.ends("app", CLD_EXITED, 0);
  for (const char *name : {"db", "late"}) CHECK(town.state(name) == State::running);
}

TEST_CASE("owners whose confs are tied to nothing have no table of ties") {
  Town town({{david, {{"a", conf()}, {"b", conf()}}}});
  CHECK(town.worker->owners[david].kins.empty());
  town.confs[david]["a"] = conf("after=b\n");
  town.ask({"rescan", "", ""});
  CHECK(town.worker->owners[david].kins.size() == 2);
  town.confs[david]["a"] = conf();
  town.ask({"rescan", "", ""});
  CHECK(town.worker->owners[david].kins.empty());
}
