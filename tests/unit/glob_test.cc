// Patterns over names, what they may cost, and words that are near one another. No privilege.
#include <doctest/doctest.h>

#include <string>

#include "lib/glob.hh"
#include "lib/nearest.hh"

using namespace dm;

namespace {

bool matches(std::string_view pattern, std::string_view name) {
  std::uint64_t steps = 1'000'000;
  const bool is = glob_matches(pattern, name, steps);
  REQUIRE(steps != 0);
  return is;
}

std::uint64_t cost(std::string_view pattern, std::string_view name) {
  std::uint64_t steps = 1'000'000'000;
  glob_matches(pattern, name, steps);
  return 1'000'000'000 - steps;
}

std::string nearest(std::string_view word) {
  Nearest near(word);
  for (const char *known : {"start", "stop", "status", "restart", "try-restart", "wordpress", "log", "kill"}) near.offer(known);
  return near.found();
}

}  // namespace

TEST_CASE("a pattern has one of * ? [") {
  for (const char *word : {"*", "a?", "[ab]", "amy/*"}) CHECK(is_glob(word));
  for (const char *word : {"", "web", "web:1", "amy/web", "all"}) CHECK_FALSE(is_glob(word));
}

TEST_CASE("a pattern matches whole names as fnmatch(3) does") {
  for (const auto &it : {std::pair{"*", ""}, {"*", "web"}, {"wp-*", "wp-blog"}, {"wp-*", "wp-"}, {"*b", "web"}, {"w*b", "web"}, {"w*b", "wb"},
                                      {"w?b", "web"}, {"*e*", "web"}, {"a*b*c", "a-b-b-c"}, {"[vw]eb", "web"}, {"[a-z]eb", "web"}, {"[!0-9]eb", "web"},
                                      {"[^a]eb", "web"}, {"[]w]eb", "web"}, {"web:[0-9]", "web:4"}, {"web*", "web:12"}, {"[a-]b", "-b"}, {"w**b", "web"}})
    CHECK_MESSAGE(matches(it.first, it.second), it.first << " " << it.second);
  for (const auto &it : {std::pair{"", "web"}, {"?", ""}, {"wp-*", "wp"}, {"w?b", "wb"}, {"[a-c]eb", "web"}, {"[!w]eb", "web"}, {"WEB", "web"},
                                      {"web", "webs"}, {"*x", "web"}, {"[web", "web"}, {"[", "w"}, {"[]", "w"}, {"[!", "w"}, {"[a-", "a"}, {"we[b", "web"}})
    CHECK_MESSAGE(!matches(it.first, it.second), it.first << " " << it.second);
  CHECK(matches("[", "["));
}

TEST_CASE("no pattern costs more than the product of its size and the name's, and none more than it is given") {
  const std::string name(64, 'a');
  std::string stars, brackets;
  for (int i = 0; i < 2000; i++) stars += "*a", brackets += "*[!b-z]";
  CHECK(cost(stars + "b", name) <= (stars.size() + 1) * name.size());
  CHECK(cost(brackets + "b", name) <= (brackets.size() + 1) * name.size());
  CHECK(cost("*" + std::string(60'000, '['), name) <= 60'001 * name.size());
  std::uint64_t steps = 50;
  CHECK_FALSE(glob_matches(stars + "b", name, steps));
  CHECK(steps == 0);
  CHECK_FALSE(glob_matches("*", "web", steps));
}

TEST_CASE("a word of which a letter in three is wrong at most is near") {
  CHECK(nearest("restrat") == "restart");
  CHECK(nearest("stpo") == "stop");
  CHECK(nearest("statsu") == "status");
  CHECK(nearest("wordpres") == "wordpress");
  CHECK(nearest("Wordpress") == "wordpress");
  CHECK(nearest("lgo") == "log");
  CHECK(nearest("LOG") == "log");  // capitals are one mistake
  CHECK(nearest("WORDPRESS") == "wordpress");
  CHECK(nearest("LGO") == "");
  CHECK(nearest("web") == "");
  CHECK(nearest("frobnicate") == "");
  CHECK(nearest("") == "");
  CHECK(nearest(std::string(5000, 'a')) == "");
}

TEST_CASE("letters that changed places are one mistake") {
  CHECK(word_distance("stpo", "stop") == 1);
  CHECK(word_distance("", "abc") == 3);
  CHECK(word_distance("abc", "") == 3);
  CHECK(word_distance("kitten", "sitting") == 3);
  CHECK(word_distance(std::string(longest_compared, 'a'), std::string(longest_compared, 'b')) == longest_compared);
}
