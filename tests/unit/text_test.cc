// Times, signals and escaping, as people and terminals see them. No privilege.
#include <doctest/doctest.h>

#include "lib/text.hh"

#include <csignal>
#include <string>

using namespace dm;

TEST_CASE("a time is its two largest units") {
  CHECK(short_time(0) == "0s");
  CHECK(short_time(999) == "0s");
  CHECK(short_time(42'000) == "42s");
  CHECK(short_time(60'000) == "1m");
  CHECK(short_time(61'500) == "1m1s");
  CHECK(short_time(3'605'000) == "1h");
  CHECK(short_time(46'620'000) == "12h57m");
  CHECK(short_time((3ULL * 7 + 3) * 86'400'000) == "3w3d");
  CHECK(short_time(7ULL * 86'400'000 + 3'600'000) == "1w");
  CHECK(short_time(~0ULL) == "30500568904w6d");
}

TEST_CASE("printable text is left alone") {
  CHECK(escape("") == "");
  CHECK(escape("david/wordpress ~!\\") == "david/wordpress ~!\\");
  CHECK(escape("Zoë 日本 🐘") == "Zoë 日本 🐘");
}

TEST_CASE("no byte reaches the terminal that it would act on") {
  CHECK(escape("a\x1b[31mb") == "a\\x1b[31mb");
  CHECK(escape(std::string_view("a\0b\n\r\t\x7f", 7)) == "a\\x00b\\x0a\\x0d\\x09\\x7f");
  CHECK(escape("\xc2\x9b"
               "31m") == "\\xc2\\x9b31m");
  CHECK(escape("\xe2\x80\xae") == "\\xe2\\x80\\xae");
  CHECK(escape("\xe2\x80\xa8") == "\\xe2\\x80\\xa8");
  CHECK(escape("\xe2\x81\xa6") == "\\xe2\\x81\\xa6");
  CHECK(escape("\xd8\x9c") == "\\xd8\\x9c");
}

TEST_CASE("what is not UTF-8 is shown byte by byte") {
  CHECK(escape("\x9b") == "\\x9b");
  CHECK(escape("\xff\xfe") == "\\xff\\xfe");
  CHECK(escape("\xc0\xaf") == "\\xc0\\xaf");                  // overlong
  CHECK(escape("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");         // overlong
  CHECK(escape("\xed\xa0\x80") == "\\xed\\xa0\\x80");         // surrogate
  CHECK(escape("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  CHECK(escape("\xe6\x97") == "\\xe6\\x97");                  // cut off
  CHECK(escape("\xc3(") == "\\xc3(");
  for (int byte = 0; byte < 256; byte++) {
    const std::string safe = escape(std::string(1, static_cast<char>(byte)));
    CHECK((byte >= 0x20 && byte < 0x7f ? safe.size() == 1 : safe.size() == 4));
  }
}

TEST_CASE("every signal's name is understood again") {
  CHECK(signal_name(15) == "SIGTERM");
  CHECK(signal_name(9) == "SIGKILL");
  CHECK(signal_name(SIGRTMIN) == "SIGRTMIN");
  CHECK(signal_name(SIGRTMIN + 3) == "SIGRTMIN+3");
  CHECK(signal_name(99) == "signal 99");
  for (int signal = 1; signal <= 64; signal++) {
    const std::string name = signal_name(signal);
    if (name.rfind("SIG", 0) == 0) CHECK(parse_signal(name) == signal);
    CHECK(parse_signal(std::to_string(signal)) == signal);
  }
}

TEST_CASE("a signal has several spellings, and other words are none") {
  for (const char *word : {"TERM", "SIGTERM", "term", "sigterm", "15", "015"}) CHECK(parse_signal(word) == SIGTERM);
  CHECK(parse_signal("RTMAX-1") == SIGRTMAX - 1);
  CHECK(parse_signal("rtmin+2") == SIGRTMIN + 2);
  for (const char *word : {"", "0", "65", "-1", "SIG", "SIGSIGTERM", "TERM ", "wordpress", "RTMIN+99", "RTMAX-99", "RTMIN-1",
                           "RTMIN+", "1000", "99999999999999999999"})
    CHECK(parse_signal(word) == 0);
}
