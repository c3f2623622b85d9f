// The frames of a command socket. No privilege.
#include <doctest/doctest.h>

#include "lib/client.hh"

using namespace dm;

namespace {

std::string_view payload(const std::string &frame) { return std::string_view(frame).substr(8); }

}  // namespace

TEST_CASE("a frame is a little-endian header and NUL-terminated fields") {
  std::string frame;
  put_frame(frame, FrameKind::request, {"stop", "", "", "wordpress"});
  CHECK(frame == std::string("DMC1\x11\0\0\0stop\0\0\0wordpress\0", 25));
  std::vector<std::string_view> fields;
  REQUIRE(split_fields(payload(frame), fields));
  CHECK(fields == std::vector<std::string_view>{"stop", "", "", "wordpress"});
}

TEST_CASE("frames are appended one after the other") {
  std::string frames;
  put_frame(frames, FrameKind::text, {"x"});
  put_frame(frames, FrameKind::end, {"0"});
  CHECK(frames == std::string("\3\0\0\0\2\0\0\0x\0\4\0\0\0\2\0\0\0" "0\0", 20));
}

TEST_CASE("a NUL cannot smuggle in another field") {
  std::string frame;
  put_frame(frame, FrameKind::request, {std::string_view("stop\0all", 8), "next"});
  std::vector<std::string_view> fields;
  REQUIRE(split_fields(payload(frame), fields));
  CHECK(fields == std::vector<std::string_view>{"stop", "next"});
}

TEST_CASE("a payload whose last field does not end is refused") {
  std::vector<std::string_view> fields;
  CHECK_FALSE(split_fields("stop", fields));
  CHECK_FALSE(split_fields(std::string_view("stop\0x", 6), fields));
  CHECK(split_fields("", fields));
  CHECK(fields.empty());
}

TEST_CASE("more fields than are allowed are refused") {
  std::vector<std::string_view> fields;
  CHECK(split_fields(std::string(8192, '\0'), fields));
  CHECK(fields.size() == 8192);
  CHECK_FALSE(split_fields(std::string(8193, '\0'), fields));
  CHECK_FALSE(split_fields(std::string_view("a\0b\0", 4), fields, 1));
}
