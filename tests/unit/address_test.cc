// Addresses of hosts out of text: whatever inet_pton(3) takes or refuses, we do, with the same bytes. No privilege.
#include <doctest/doctest.h>

#include <arpa/inet.h>

#include <cstring>
#include <random>
#include <string>

#include "lib/address.hh"

using namespace dm;

namespace {

bool agrees(const std::string &text) {
  bool same = true;
  for (const int family : {AF_INET, AF_INET6}) {
    std::uint8_t ours[16] = {}, theirs[16] = {}, expected[16] = {};
    const bool taken = family == AF_INET ? parse_inet(text, ours) : parse_inet6(text, ours);
    const bool right = inet_pton(family, text.c_str(), theirs) == 1;
    if (right) std::memcpy(expected, theirs, family == AF_INET ? 4 : 16);
    same = same && taken == right && std::memcmp(ours, expected, sizeof ours) == 0;
  }
  return same;
}

}  // namespace

TEST_CASE("an address is read as inet_pton reads it") {
  for (const char *text : {"", "0", "127.0.0.1", "255.255.255.255", "256.0.0.1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "01.2.3.4", "0.0.0.0",
                           "1.2.3.4 ", "0x1.2.3.4", ":", "::", ":::", "::1", "1::", "1:", ":1", "1::2::3", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
                           "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "fe80::1%lo", "12345::", "g::", "ABCD:abcd::",
                           "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4::", "::1.2.3.4:5", "1.2.3.4", "::1.2.3", "::ffff:1.2.3.256", "[::1]"}) {
    INFO(text);
    CHECK(agrees(text));
  }
}

TEST_CASE("so is what chance makes of the signs of addresses") {
  std::mt19937 chance(1);
  const std::string signs = "0129af:::..";
  for (int i = 0; i < 300'000; i++) {
    std::string text;
    for (std::size_t size = chance() % 20; size > 0; size--) text += signs[chance() % signs.size()];
    INFO(text);
    REQUIRE(agrees(text));
  }
}

TEST_CASE("a NUL is no end of an address") {
  std::uint8_t address[16];
  CHECK(!parse_inet(std::string_view("1.2.3.4\0", 8), address));
  CHECK(!parse_inet6(std::string_view("::1\0", 4), address));
}
