// The one table of messages between monitor and worker: complete, small, and without a byte that nobody defined. No privilege.
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <type_traits>

#include "lib/message.hh"

namespace {

using namespace dm;

template <typename Message>
constexpr bool well_made() {
  // No padding: what is sent is what was set, and nothing of the sender's memory goes along.
  static_assert(std::has_unique_object_representations_v<Message>);
  static_assert(std::is_standard_layout_v<Message> && std::is_trivially_copyable_v<Message>);
  static_assert(offsetof(Message, kind) == 0 && sizeof(Message::kind) == sizeof(std::uint32_t));
  static_assert(sizeof(Message) <= max_message && sizeof(Message) % 4 == 0);
  return true;
}

#define DM_WELL_MADE(name) static_assert(well_made<Ask##name>());
DM_ASK_KINDS(DM_WELL_MADE)
#undef DM_WELL_MADE
#define DM_WELL_MADE(name) static_assert(well_made<Tell##name>());
DM_TELL_KINDS(DM_WELL_MADE)
#undef DM_WELL_MADE

template <typename Table>
constexpr std::size_t rows(const Table &table) { return sizeof table / sizeof *table; }

}  // namespace

TEST_CASE("at most 20 kinds in each direction, none above 512 bytes") {
  CHECK(ask_kinds <= 20);
  CHECK(tell_kinds <= 20);
  CHECK(max_message <= 512);
  for (const std::size_t size : ask_sizes) CHECK(size <= max_message);
  for (const std::size_t size : tell_sizes) CHECK(size <= max_message);
}

TEST_CASE("every kind has its size and its name, and every message holds a kind") {
  CHECK(rows(ask_sizes) == ask_kinds);
  CHECK(rows(ask_names) == ask_kinds);
  CHECK(rows(tell_sizes) == tell_kinds);
  CHECK(rows(tell_names) == tell_kinds);
  for (const std::size_t size : ask_sizes) CHECK(size >= sizeof(std::uint32_t));
  for (const std::size_t size : tell_sizes) CHECK(size >= sizeof(std::uint32_t));
  CHECK(std::set<std::string>(ask_names, ask_names + ask_kinds).size() == ask_kinds);
  CHECK(std::set<std::string>(tell_names, tell_names + tell_kinds).size() == tell_kinds);
}

TEST_CASE("kinds on the wire keep their numbers") {
  CHECK(static_cast<unsigned>(AskKind::Ready) == 0);
  CHECK(static_cast<unsigned>(AskKind::Signal) == 7);
  CHECK(static_cast<unsigned>(AskKind::Done) == 8);
  CHECK(static_cast<unsigned>(TellKind::Slot) == 0);
  CHECK(static_cast<unsigned>(TellKind::Shutdown) == 5);
}

TEST_CASE("no message of the worker's has room for a command, a path, an environment or a user's name") {
  // Beside the memo, which the monitor never reads, and the sockets that a Bind describes by families, ports and addresses, each
  // of them checked, only numbers are left: 40 bytes of them at most.
  for (std::uint32_t kind = 0; kind < ask_kinds; kind++) {
    CAPTURE(ask_names[kind]);
    const std::size_t size = ask_sizes[kind] - (kind == static_cast<std::uint32_t>(AskKind::Bind) ? sizeof(AskBind::sockets) : 0);
    CHECK((size > sizeof(Memo) ? size - sizeof(Memo) : size) <= 40);
  }
}

TEST_CASE("listeners that are nobody's are no rows of the policy") {
  CHECK(listener_root != listener_shared);
  CHECK(listener_root > max_slots);
  CHECK(listener_shared > max_slots);
}
