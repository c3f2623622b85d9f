// Confs with instances=: their daemons, dmctl scale, restarts one by one. No privilege.
#include "town.hh"

namespace {

using namespace dm;
using namespace dm::town;

const std::string three = "dir=/\nstart=./x\ninstances=3\n";

bool holds(const std::string &text, const std::string &part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a conf with instances=3 is three daemons, which start with their numbers") {
  Town town({{david, {{"web", three}}}});
  CHECK(town.worker->owners[david].daemons.size() == 3);
  for (const char *name : {"web:1", "web:2", "web:3"}) CHECK(town.state(name) == State::running);
  CHECK(town.at("web:2").instance == 2);
  CHECK(town.did("start web:3"));
}

TEST_CASE("the name of a family is all of it, in the order of the numbers, and each has an id of its own") {
  Town town({{david, {{"web", "dir=/\nstart=./x\ninstances=11\n"}, {"web-b", "dir=/\nstart=./x\n"}}}});
  const std::string list = town.ask({"list", "", "", "web"});
  CHECK(list.starts_with("david/web:1\ndavid/web:2\n"));
  CHECK(holds(list, "david/web:9\ndavid/web:10\ndavid/web:11\n"));
  CHECK(!holds(list, "web-b"));
  CHECK(town.ask({"list", "", "", "david/web:10"}) == "david/web:10\nend 0\n");
  CHECK(holds(town.ask({"stop", "", "", "web:12"}), "5 web:12"));
  town.ask({"stop", "", "", "web:2"});
  CHECK(town.state("web:2") == State::stopped);
  CHECK(town.state("web:1") == State::running);
}

TEST_CASE("a rescan with another instances= adds and retires daemons, and the others run on") {
  Town town({{david, {{"web", three}}}});
  const auto pid = town.at("web:1").last_runs;
  town.confs[david]["web"] = "dir=/\nstart=./x\ninstances=5\n";
  CHECK(holds(town.ask({"rescan", "", ""}), "david/web:5: running"));
  CHECK(town.state("web:4") == State::running);
  town.confs[david]["web"] = "dir=/\nstart=./x\ninstances=1\n";
  town.ask({"rescan", "", ""});
  CHECK(town.worker->owners[david].daemons.size() == 1);
  CHECK(town.at("web:1").last_runs == pid);
  town.confs[david]["web"] = "dir=/\nstart=./x\n";
  town.ask({"rescan", "", ""});
  CHECK(!town.has("web:1"));
  CHECK(town.state("web") == State::running);
  CHECK(town.worker->owners[david].kins.empty());
}

TEST_CASE("a conf that is broken now keeps the daemons that it stood for") {
  Town town({{david, {{"web", three}}}});
  town.confs[david]["web"] = "dir=/\nstart=./x\ninstances=nonsense\n";
  town.ask({"rescan", "", ""});
  for (const char *name : {"web:1", "web:2", "web:3"}) CHECK(town.state(name) == State::running);
  CHECK(!town.has("web"));
  CHECK(!town.at("web:1").usable);
}

TEST_CASE("scale makes more or fewer, and waits until it is so") {
  Town town({{david, {{"web", three}}}});
  std::string said = town.ask({"scale", "", "", "5", "web"});
  CHECK(holds(said, "0 david/web:4: running"));
  CHECK(holds(said, "0 david/web:5: running"));
  CHECK(said.ends_with("end 0\n"));
  said = town.ask({"scale", "", "", "2", "david/web"});
  CHECK(holds(said, "0 david/web:5: stopped"));
  CHECK(town.worker->owners[david].daemons.size() == 2);
  CHECK(holds(town.ask({"scale", "", "", "2", "web"}), "there are 2 of it already"));
}

TEST_CASE("scale waits for one that is slow to stop and for one that is slow to start") {
  Town town({{david, {{"web", three}}}});
  town.slow = {"web:4"};
  CHECK(town.ask({"scale", "", "", "4", "web"}).empty());
  town.executed("web:4");
  CHECK(holds(town.said, "0 david/web:4: running"));
  town.stubborn = {"web:3"};
  CHECK(!holds(town.ask({"scale", "", "", "2", "web"}), "end"));
  town.ends("web:3", CLD_EXITED, 0);
  CHECK(holds(town.said, "end 0"));
}

TEST_CASE("scale refuses what is no number, no family, and more than there may be") {
  Town town({{david, {{"web", three}, {"bot", "dir=/\nstart=./x\n"}}}});
  for (const char *number : {"0", "101", "-1", "x", "", "2x", "99999999999999999999"})
    CHECK(holds(town.ask({"scale", "", "", number, "web"}), "2 : scale takes a number of 1 to 100"));
  CHECK(holds(town.ask({"scale", "", "", "3"}), "end 2"));
  CHECK(holds(town.ask({"scale", "", "", "3", "all"}), "2 all"));
  CHECK(holds(town.ask({"scale", "", "", "3", "web:1"}), "2 web:1"));
  CHECK(holds(town.ask({"scale", "", "", "3", "bot"}), "1 david/bot: its conf has no instances="));
  CHECK(holds(town.ask({"scale", "", "", "3", "nosuch"}), "5 nosuch"));
  CHECK(holds(town.ask({"scale", "", "", "3", "david/web"}, 1002), "4 david/web: not permitted"));
  CHECK(town.worker->owners[david].daemons.size() == 4);
}

TEST_CASE("the size that scale gave outlives the worker and a rescan, but not another instances=") {
  Town town({{david, {{"web", three}}}});
  town.ask({"scale", "", "", "5", "web"});
  town.again();
  CHECK(town.state("web:5") == State::running);
  CHECK(town.worker->owners[david].daemons.size() == 5);
  town.ask({"rescan", "", ""});
  CHECK(town.worker->owners[david].daemons.size() == 5);
  town.ask({"scale", "", "", "1", "web"});
  town.again();
  CHECK(town.worker->owners[david].daemons.size() == 1);
  town.confs[david]["web"] = "dir=/\nstart=./x\ninstances=2\n";
  town.ask({"rescan", "", ""});
  CHECK(town.worker->owners[david].daemons.size() == 2);
  town.again();
  CHECK(town.worker->owners[david].daemons.size() == 2);
}

TEST_CASE("a worker that ended while a family was scaled leaves what the next one completes") {
  Town town({{david, {{"web", three}}}});
  town.ask({"scale", "", "", "5", "web"});
  // As if only the first had been remembered and the others never made.
  for (const char *name : {"web:4", "web:5"}) town.place(name).told.state = SlotState::free;
  town.again();
  CHECK(town.worker->owners[david].daemons.size() == 5);
  CHECK(town.state("web:5") == State::running);
}

TEST_CASE("a whole family is restarted one by one, the next when the last one runs") {
  Town town({{david, {{"web", three}}}});
  town.deeds.clear();
  town.slow = {"web:2"};
  std::string said = town.ask({"restart", "", "", "web"});
  CHECK(town.deeds == std::vector<std::string>{"stop web:1", "start web:1", "stop web:2", "start web:2"});
  CHECK(town.state("web:3") == State::running);
  CHECK(holds(said, "0 david/web:1: running"));
  CHECK(!holds(said, "end"));
  town.executed("web:2");
  CHECK(town.deeds.back() == "start web:3");
  CHECK(holds(town.said, "0 david/web:3: running"));
  CHECK(town.said.ends_with("end 0\n"));
}

TEST_CASE("a restart one by one ends at the first that fails, and says which stay as they were") {
  Town town({{david, {{"web", three}}}});
  town.broken = {"web:2"};
  const auto runs = town.at("web:3").last_runs;
  const std::string said = town.ask({"restart", "", "", "web"});
  CHECK(holds(said, "0 david/web:1: running"));
  CHECK(holds(said, "1 david/web:2: it ended at once"));
  CHECK(holds(said, "ends here: web:3 stay as they were"));
  CHECK(said.ends_with("end 1\n"));
  CHECK(town.at("web:3").last_runs == runs);
}

TEST_CASE("a restart one by one goes on when whoever asked for it is gone") {
  Town town({{david, {{"web", three}}}});
  town.slow = {"web:1"};
  town.ask({"restart", "", "", "web"});
  town.client->closing = true;
  check_clients(*town.worker, now_ms());
  CHECK(town.worker->clients.size() < 3);
  town.executed("web:1");
  CHECK(town.deeds.back() == "start web:3");
}

TEST_CASE("a second restart of a family begins anew behind the one that is on its way, and both are told") {
  Town town({{david, {{"web", three}}}});
  town.slow = {"web:2"};
  town.ask({"restart", "", "", "web"});
  const Fd first = std::move(town.peer);
  town.deeds.clear();
  town.ask({"restart", "", "", "web"});
  town.executed("web:2");
  CHECK(std::count(town.deeds.begin(), town.deeds.end(), "start web:1") == 1);
  CHECK(std::count(town.deeds.begin(), town.deeds.end(), "start web:2") == 1);
  CHECK(std::count(town.deeds.begin(), town.deeds.end(), "start web:3") == 1);
  CHECK(town.said.ends_with("end 0\n"));
  char bytes[4096];
  CHECK(::recv(first.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0);
}

TEST_CASE("families are restarted side by side, and those of a family that somebody stops meanwhile are left out") {
  Town town({{david, {{"api", three}, {"web", three}}}});
  town.slow = {"api:1", "web:1"};
  town.ask({"restart", "", "", "all"});
  CHECK(town.did("stop api:1"));
  CHECK(town.did("stop web:1"));
  CHECK(!town.did("stop web:2"));
  town.ask({"stop", "", "", "web:2"});
  town.deeds.clear();
  town.executed("web:1");
  CHECK(town.state("web:2") == State::stopped);
  CHECK(town.deeds.back() == "start web:3");
  CHECK(town.state("api:1") == State::starting);
}

TEST_CASE("what there is no place for is told, does not keep the family from being scaled again, and is tried anew") {
  Town town({{david, {{"web", three}}}});
  town.most = 4;
  CHECK(holds(town.ask({"scale", "", "", "5", "web"}), "1 david/web:5: no place for it"));
  CHECK(holds(town.ask({"scale", "", "", "5", "web"}), "1 david/web:5: no place for it"));
  town.most = 5;
  CHECK(holds(town.ask({"scale", "", "", "5", "web"}), "0 david/web:5: running"));
  town.most = 4;
  CHECK(holds(town.ask({"scale", "", "", "6", "web"}), "1 david/web:6: no place for it"));
  CHECK(holds(town.ask({"scale", "", "", "1", "web"}), "end 0"));
  CHECK(town.worker->owners[david].daemons.size() == 1);
}

TEST_CASE("what is new in a family that was stopped is stopped, too") {
  Town town({{david, {{"web", three}}}});
  town.ask({"stop", "", "", "web"});
  CHECK(holds(town.ask({"scale", "", "", "4", "web"}), "0 david/web:4: new; stopped, like the others"));
  CHECK(town.state("web:4") == State::stopped);
  CHECK(holds(town.ask({"start", "", "", "web"}), "end 0"));
  CHECK(town.state("web:4") == State::running);
}
