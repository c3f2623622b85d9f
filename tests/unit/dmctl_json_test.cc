// What dmctl says to programs: any bytes become a sound document, and nothing else stands on stdout. No privilege.
#include <doctest/doctest.h>

#include "dmctl/json.hh"
#include "dmctl/talk.hh"

#include <sys/mman.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

using namespace dm;
using namespace dm::dmctl;

namespace {

struct Collected {
  int out = ::memfd_create("out", MFD_CLOEXEC), err = ::memfd_create("err", MFD_CLOEXEC);
  Printer printer{out, err};
  ~Collected() { ::close(out), ::close(err); }
  static std::string text(int file) {
    std::string bytes(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)), '\0');
    CHECK(::pread(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    return bytes;
  }
};

Command status() {
  Command command;
  command.verb = find_verb("status");
  command.json = true;
  return command;
}

}  // namespace

TEST_CASE("bytes that are no UTF-8 stand in JSON as \\xNN, and all else as it is") {
  CHECK(json_text("") == "");
  CHECK(json_text("caf\xc3\xa9 \xf0\x9f\x90\x98") == "caf\xc3\xa9 \xf0\x9f\x90\x98");
  CHECK(json_text("caf\xe9") == "caf\\xe9");
  CHECK(json_text("\xc3") == "\\xc3");                  // cut short
  CHECK(json_text("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // half of a UTF-16 pair
  CHECK(json_text(std::string_view("a\0\x1b", 3)) == std::string_view("a\0\x1b", 3));  // JSON's own escapes take care of these
}

TEST_CASE("a field that is no number is null") {
  CHECK(json_number("17") == 17);
  CHECK(json_number("0") == 0);
  for (const char *none : {"", "x", "17x", "99999999999999999999"}) CHECK(json_number(none).is_null());
}

TEST_CASE("a document holds what was said until then, and stdout nothing but it") {
  Collected collected;
  collected.printer.collect();
  collected.printer.put("a table\n");
  collected.printer.complain("dmctl: the manager sleeps\n  wake it\n", Exit::no_manager);
  collected.printer.keep({"amy", "no \xe9 yet", Exit::done});
  Json body = Json::object();
  body["daemons"] = Json::array({"\xff", Json{{"deep", "\xfe\x1b"}}});
  CHECK(put_json(status(), collected.printer, body, Exit::no_manager) == Exit::no_manager);
  CHECK(collected.printer.has_document());
  CHECK(Collected::text(collected.err).empty());
  const std::string text = Collected::text(collected.out);
  CHECK(text.find('\n') == text.size() - 1);
  const Json read = Json::parse(text);
  CHECK(read == Json::parse(R"({"schema":1,"verb":"status","daemons":["\\xff",{"deep":"\\xfe\u001b"}],
    "notes":[{"id":"amy","text":"no \\xe9 yet"}],"errors":[{"id":null,"code":7,"text":"the manager sleeps\n  wake it"}],"exit":7})"));
}

TEST_CASE("quiet means no document either") {
  Collected collected;
  collected.printer.collect();
  collected.printer.be_quiet(true);
  CHECK(put_json(status(), collected.printer, Exit::not_running) == Exit::not_running);
  CHECK(Collected::text(collected.out).empty());
}
