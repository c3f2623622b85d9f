// A start that is asked for a second time because the first had no answer: nothing runs twice for it. No privilege.
#include "town.hh"

namespace {

using namespace dm;
using namespace dm::town;

constexpr char task[] = "dir=/\nstart=./x\ntype=task\nautostart=no\n";
bool holds(const std::string &text, const std::string &part) { return text.find(part) != text.npos; }
std::string asked(std::int64_t at) { return std::string(flag_asked) + std::to_string(at); }

}  // namespace

TEST_CASE("when something was asked first is a time that has been, said once, or the request is none") {
  Town town({{david, {{"web", task}}}});
  for (const char *flags : {"asked=", "asked=x", "asked=1x", "asked= 1", "asked=-1", "asked=+1", "asked=0", "asked=01", "asked=1.5",
                            "asked=9223372036854775808", "asked=1,asked=1", "no-wait,asked=", "asked=,no-wait", "asked=1,long,asked=x"})
    for (const char *verb : {"start", "status"}) CHECK_MESSAGE(holds(town.ask({verb, flags, "", "web"}), "end 2"), flags);
  CHECK(town.ask({"start", asked(now_ms() + 60'000), "", "web"}).starts_with("1 : this was asked before"));
  CHECK(town.deeds.empty());
  // Other flags, those of versions to come among them, are none of this.
  for (const std::string &flags : {std::string("masked=x,asked"), asked(now_ms()), "long," + asked(1) + ",x"})
    CHECK_MESSAGE(holds(town.ask({"list", flags, "", "web"}), "end 0"), flags);
}

TEST_CASE("a task that has run since it was first asked for is not run again, whoever answers") {
  for (const std::int32_t status : {0, 3}) {
    Town town({{david, {{"web", task}}}});
    const std::int64_t first = now_ms();
    town.ask({"start", "", "", "web"});
    town.ends("web", CLD_EXITED, status);
    for (const bool read : {true, false}) {
      const std::string said = town.ask({"start", asked(first), "", "web"});
      CHECK(said == (status == 0 ? "0 david/web: done: exit code 0\nend 0\n" : "1 david/web: it ended at once: exit code 3\nend 1\n"));
      town.again(read);
    }
    CHECK(town.deeds == std::vector<std::string>{"start web"});
    // One that asks for the first time has it run, and so has one who asked after that run began.
    town.at("web").started_ms -= 2;
    town.ask({"start", asked(now_ms()), "", "web"});
    town.ends("web", CLD_EXITED, 0);
    town.ask({"start", "", "", "web"});
    CHECK(town.deeds == std::vector<std::string>{"start web", "start web", "start web"});
  }
}

TEST_CASE("a task that a family is made of is run for each of it once") {
  Town town({{david, {{"web", std::string(task) + "instances=3\n"}}}});
  const std::int64_t first = now_ms();
  town.slow = {"web:3"};
  town.ask({"start", "", "", "web"});
  town.ends("web:1", CLD_EXITED, 0);
  town.again();
  CHECK(town.ask({"start", asked(first), "", "web"}) == "0 david/web:1: done: exit code 0\n0 david/web:2: runs already, pid 1001\n");
  town.executed("web:3");
  CHECK(town.said.ends_with("\n0 david/web:3: running, pid 1002\nend 0\n"));
  CHECK(town.deeds == std::vector<std::string>{"start web:1", "start web:2", "start web:3"});
}

TEST_CASE("one who asks again goes on waiting for what is being started, and counts no end anew") {
  Town town({{david, {{"web", "dir=/\nstart=./x\nautostart=no\ngive_up_after=2/1h\n"}}}});
  const std::int64_t first = now_ms();
  town.slow = {"web"};
  town.ask({"start", "", "", "web"});
  CHECK(town.ask({"start", asked(first), "", "web"}).empty());
  town.ends("web", CLD_EXITED, 3);
  CHECK(holds(town.said, "1 david/web: it ended at once: exit code 3\nend 1\n"));
  // In its pause it is left to that.
  CHECK(holds(town.ask({"start", asked(first), "", "web"}), "1 david/web: it ended at once: exit code 3\nend 1\n"));
  CHECK(town.state("web") == State::cooldown);
  town.place("web").told.started_ms -= 5000;
  CHECK(town.deeds.size() == 1);
  town.slow.clear();
  town.broken = {"web"};
  check_timers(*town.worker, now_ms() + 2'000);
  town.turn();
  CHECK(town.at("web").rest == Rest::failed);
  CHECK(holds(town.ask({"start", asked(first), "", "web"}), "1 david/web: it ended at once: exit code 1\nend 1\n"));
  CHECK(town.deeds.size() == 2);
}

TEST_CASE("one who asks again is told how long it ran, where that was some time") {
  Town town({{david, {{"web", task}}}});
  const std::int64_t first = now_ms() - 10'000;
  town.ask({"start", "", "", "web"});
  town.place("web").told.started_ms -= 5000;
  town.ends("web", CLD_KILLED, SIGSEGV);
  CHECK(town.ask({"start", asked(first), "", "web"}) == "1 david/web: it ended after 5s: killed by SIGSEGV\nend 1\n");
}

TEST_CASE("a stop that came after the first request is not undone by the second") {
  Town town({{david, {{"web", "dir=/\nstart=./x\nautostart=no\n"}}}});
  const std::int64_t first = now_ms();
  town.ask({"start", "", "", "web"});
  town.stubborn = {"web"};
  town.ask({"stop", "", "", "web"});
  CHECK(town.ask({"start", asked(first), "", "web"}) == "1 david/web: it was stopped meanwhile\nend 1\n");
  town.ends("web", CLD_EXITED, 0);
  CHECK(town.ask({"start", asked(first), "", "web"}) == "1 david/web: it was stopped meanwhile\nend 1\n");
  CHECK(town.state("web") == State::stopped);
  CHECK(holds(town.ask({"start", "", "", "web"}), "0 david/web: running"));
}

TEST_CASE("what is required, and has failed since, is not run again either") {
  const std::string conf = "dir=/\nstart=./x\nautostart=no\n";
  Town town({{david, {{"app", conf + "requires=mid\n"}, {"mid", conf + "requires=base\n"}, {"base", task}}}});
  const std::int64_t first = now_ms();
  town.broken = {"base"};
  CHECK(holds(town.ask({"start", "", "", "app"}), "1 david/app: requires david/mid"));
  CHECK(holds(town.ask({"start", asked(first), "", "app"}), "1 david/app: requires david/base, which does not run"));
  CHECK(town.deeds == std::vector<std::string>{"start base"});
  town.at("base").started_ms -= 2;
  town.broken.clear();
  CHECK(town.ask({"start", asked(now_ms()), "", "app"}).empty());
  town.ends("base", CLD_EXITED, 0);
  CHECK(town.deeds == std::vector<std::string>{"start base", "start base", "start mid", "start app"});
}

TEST_CASE("what began and ended while the conf was being read for the second request is its answer") {
  Town town({{david, {{"web", task}}}});
  const std::int64_t first = now_ms();
  town.unread = {david};
  CHECK(town.ask({"start", asked(first), "", "web"}).empty());
  Town::Place &place = town.place("web");
  place.told.runs++;
  place.told.started_ms = place.told.ended_ms = now_ms();
  town.at("web").state = State::starting;
  town.ends("web", CLD_EXITED, 0);
  town.unread.clear();
  town.read(david);
  CHECK(holds(town.said, "0 david/web: done: exit code 0\nend 0\n"));
  CHECK(town.deeds.empty());
}

TEST_CASE("whatever is lost of what follows a success that somebody waited for, it is not run again") {
  for (const char *lines : {"type=task\n", "restart=on-failure\n"}) {
    bool all = false;
    for (unsigned messages = 0; !all; messages++) {
      Town town({{david, {{"web", std::string("dir=/\nstart=./x\nautostart=no\n") + lines}}}});
      const std::int64_t first = now_ms();
      town.slow = {"web"};
      town.ask({"start", "", "", "web"});
      all = town.ends_in_part("web", CLD_EXITED, 0, messages);
      town.again(false);
      CHECK(town.at("web").rest == Rest::done);
      CHECK(town.ask({"start", asked(first), "", "web"}) == "0 david/web: done: exit code 0\nend 0\n");
      CHECK(town.deeds == std::vector<std::string>{"start web"});
    }
  }
}
