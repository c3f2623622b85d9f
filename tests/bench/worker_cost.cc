// Fixed scripts of the worker's real code, for callgrind: what lies between measured() and its end is counted. No privilege.
#include "unit/town.hh"

namespace {

using namespace dm;
using namespace dm::town;

constexpr unsigned many = 100;
std::string name_of(unsigned number) { return "d" + std::to_string(1000 + number); }

std::map<std::uint32_t, Confs> hundred() {
  Confs confs;
  for (unsigned i = 0; i < many; i++) confs[name_of(i)] = "dir=/\nstart=./x --number " + std::to_string(i) + "\noutput=log\nexport NAME=value\n";
  return {{david, confs}};
}

}  // namespace

// tests/bench/instructions looks for this name. What it calls is not inlined, and so has a name of its own.
extern "C" void measured(void (*script)(Town &), Town &town);
__attribute__((noinline)) void measured(void (*script)(Town &), Town &town) {
  script(town);
  asm volatile("" ::: "memory");
}

// In the order of tests/bench/instructions.
TEST_CASE("start of 100") {
  Town town({});
  town.confs = hundred();
  measured([](Town &it) { it.again(); }, town);
  CHECK(town.places.size() == many);
  CHECK(town.deeds.size() == many);
}

TEST_CASE("status of one, 10 times") {
  Town town(hundred());
  measured([](Town &it) { for (unsigned i = 0; i < 10; i++) it.ask({"status", "", "", name_of(i)}); }, town);
  CHECK(town.said.starts_with("row david/d1009 running"));
}

TEST_CASE("status of 100") {
  Town town(hundred());
  measured([](Town &it) { it.ask({"status", "", ""}); }, town);
  CHECK(std::ranges::count(town.said, '\n') == many + 1);
}

TEST_CASE("restart of 10, one after the other") {
  Town town(hundred());
  measured([](Town &it) { for (unsigned i = 0; i < 10; i++) it.ask({"restart", "", "", name_of(i)}); }, town);
  CHECK(town.deeds.size() == many + 20);
}

TEST_CASE("death of 100, and their start again") {
  Town town(hundred());
  for (unsigned i = 0; i < many; i++) town.place(name_of(i)).told.started_ms -= 61'000;
  measured([](Town &it) { for (unsigned i = 0; i < many; i++) it.ends(name_of(i), CLD_KILLED, SIGKILL); }, town);
  CHECK(town.deeds.size() == 2 * many);
}

TEST_CASE("the next worker takes over 100") {
  Town town(hundred());
  measured([](Town &it) { it.again(); }, town);
  CHECK(town.deeds.size() == many);
}
