// What a conf says of the end of a run. No privilege.
#include <doctest/doctest.h>

#include <csignal>
#include <string>

#include "lib/conf.hh"

namespace {

using namespace dm;

Conf conf_with(const std::string &lines) { return parse_conf("dir=/\nstart=sleep 1\n" + lines, false); }

}  // namespace

TEST_CASE("a conf that says nothing of ends means always, 1 s to 60 s, for ever") {
  const Conf conf = conf_with("");
  CHECK(conf.policy == RunPolicy{});
  CHECK(conf.policy.again(true));
  CHECK(conf.policy.again(false));
}

TEST_CASE("a success is exit code 0, and what success_codes adds") {
  RunPolicy policy;
  CHECK(policy.success(CLD_EXITED, 0));
  CHECK(!policy.success(CLD_EXITED, 3));
  REQUIRE(parse_success_codes("3, 255,TERM ,SIGUSR1", policy));
  for (int code = 1; code < 256; code++) CHECK(policy.success(CLD_EXITED, code) == (code == 3 || code == 255));
  for (int signal = 1; signal <= 64; signal++)
    for (const int how : {CLD_KILLED, CLD_DUMPED}) CHECK(policy.success(how, signal) == (signal == SIGTERM || signal == SIGUSR1));
}

TEST_CASE("an end that is not known, or that no kernel tells, is no success") {
  RunPolicy policy;
  policy.codes.set();
  policy.signals = ~std::uint64_t{0};
  CHECK(!policy.success(0, 0));
  CHECK(!policy.success(CLD_EXITED, 256));
  CHECK(!policy.success(CLD_EXITED, -1));
  CHECK(!policy.success(CLD_KILLED, 0));
  CHECK(!policy.success(CLD_KILLED, 65));
  CHECK(!policy.success(CLD_STOPPED, 1));
}

TEST_CASE("success_codes that are none leave the policy as it was") {
  for (const char *value : {"", ",", "3,", "256", "-1", "0x3", "TERMINATE", "3 4", "99999999999999999999"}) {
    RunPolicy policy;
    CHECK_MESSAGE(!parse_success_codes(value, policy), value);
    CHECK(policy == RunPolicy{});
  }
}

TEST_CASE("cooldown takes one time or a range, within its bounds") {
  RunPolicy policy;
  CHECK(parse_cooldown("5s", policy));
  CHECK(policy.cooldown == CooldownRange{5'000, 5'000});
  CHECK(parse_cooldown("100ms .. 1h", policy));
  CHECK(policy.cooldown == CooldownRange{100, 3'600'000});
  for (const char *value : {"", "..", "1s..", "..1s", "99ms", "61m", "1s..61m", "2s..1s", "1s...2s", "1s..2s..3s", "often"})
    CHECK_MESSAGE(!parse_cooldown(value, policy), value);
  CHECK(policy.cooldown == CooldownRange{100, 3'600'000});
}

TEST_CASE("give_up_after takes a number and a time, neither of them 0") {
  RunPolicy policy;
  CHECK(parse_give_up("5/10m", policy));
  CHECK(policy.give_up_ends == 5);
  CHECK(policy.give_up_ms == 600'000);
  for (const char *value : {"", "/", "5", "5/", "/10m", "0/10m", "5/0s", "10001/1h", "-1/1h", "5/10m/1s", "five/10m"})
    CHECK_MESSAGE(!parse_give_up(value, policy), value);
}

TEST_CASE("a task is never started again unless it is to be after a failure") {
  CHECK(conf_with("type=task\n").policy.restart == Restart::never);
  CHECK(conf_with("restart=on-failure\ntype=task\n").policy.restart == Restart::on_failure);
  CHECK(conf_with("type=daemon\n").policy.restart == Restart::always);
  CHECK(!conf_with("type=task\nrestart=always\n").usable());
  CHECK(conf_with("type=task\nrestart=never\n").usable());
}
