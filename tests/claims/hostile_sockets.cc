// What the hostile worker does with sockets and commands. Above each: its order.
#include <csignal>
#include <cstring>

#include "hostile_worker.hh"
#include "lib/helper.hh"

namespace hostile {
namespace {

TellSlot bound(const Handle &handle, std::uint32_t binds) {
  TellSlot tell{};
  do tell = wait_slot(handle);
  while (tell.binds < binds && tell.refusal == Refusal::none);
  return tell;
}

// bind OWNER ENTRY TARGET, port OWNER ENTRY TARGET: one Unix socket, or port 871 of 127.0.0.1; says what became of it
void bind(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, words[1]);
  AskBind it = bind_of(known, number(known, words[2]), number(known, words[3]));
  if (std::strcmp(words[0], "port") == 0) it.sockets[0] = {Family::inet, 871, {127, 0, 0, 1}};
  ask(it);
  const TellSlot tell = bound(known.handle, 1);
  if (tell.refusal != Refusal::none) say("refused", static_cast<long long>(tell.refusal));
  if (is_failure(tell.report.stage)) say("failed at stage", static_cast<long long>(tell.report.stage));
  say("holds", tell.sockets);
}

// serve ENTRY: binds david's Unix socket and his port and starts it; kept: says how many sockets there are in places in which something runs
void serve(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, "david");
  AskBind it = bind_of(known, number(known, words[1]), known.owner);
  it.count = 2;
  it.sockets[1].family = Family::inet;
  ask(it);
  bound(known.handle, 1);
  ask(start_of(known, number(known, words[1]), known.owner));
  TellSlot tell{};
  do tell = wait_slot(known.handle);
  while (tell.state != SlotState::running);
  say("serves with", tell.sockets);
}

void kept(Known &known, const Words &) {
  get_ready(known);
  std::uint32_t sockets = 0;
  for (int i = 0; i < known.count; i++)
    if (known.places[i].state == SlotState::running) sockets += known.places[i].sockets;
  say("kept of them", sockets);
}

// hold ENTRY: binds david's, and lets go when amy's daemon has ended, by which the test tells it to
void hold(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, "david");
  ask(bind_of(known, number(known, words[1]), known.owner));
  say("holds", bound(known.handle, 1).sockets);
  for (int i = 0; i < known.count; i++) {
    if (known.places[i].owner != number(known, "amy") || known.places[i].state != SlotState::running) continue;
    TellSlot tell{};
    do tell = wait_slot(known.places[i].handle);
    while (tell.state == SlotState::running);
  }
  ask(AskUnbind{AskKind::Unbind, 0, known.handle});
  say("let go", bound(known.handle, 2).sockets);
}

// What is told of the place when it was asked for and all before it was done: a memory that is sent along tells that.
template <typename Ask>
TellSlot answer(Ask it, Refusal &refused) {
  static std::uint8_t mark = 0;
  AskRemember remember{AskKind::Remember, 0, it.handle, {}};
  remember.memo.bytes[0] = ++mark;
  if constexpr (requires { it.memo; }) it.memo = remember.memo;
  else ask(remember);
  ask(it);
  TellSlot tell{};
  do {
    tell = wait_slot(it.handle);
    if (tell.refusal != Refusal::none) refused = tell.refusal;
  } while (tell.memo.bytes[0] != mark);
  return tell;
}

// Asks until the place has its socket, or none, and nothing is under way there, which would be refused as busy.
template <typename Ask>
void settle(const Ask &it, std::uint32_t sockets) {
  for (int quiet = 0; quiet < 3; usleep(20'000)) {
    Refusal refused = Refusal::none;
    const TellSlot tell = answer(it, refused);
    quiet = refused == Refusal::none && tell.sockets == sockets ? quiet + 1 : 0;
  }
}

// unbinds ENTRY: of david's, in each state of its place, twice at once, and beside a bind
void unbinds(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, "david");
  const AskUnbind off{AskKind::Unbind, 0, known.handle};
  const AskBind on = bind_of(known, number(known, words[1]), known.owner);
  const AskStart go = start_of(known, on.entry, known.owner);
  ask(off), say("of an idle one", bound(known.handle, 1).sockets);
  Refusal refused = Refusal::none;
  while (refused != Refusal::busy) {  // unless it was bound before they came
    settle(off, 0);
    ask(on), ask(off), answer(off, refused);
  }
  say("beside a bind refused", static_cast<long long>(refused));
  settle(on, 1);
  TellSlot tell{};
  ask(go), ask(off);
  while (tell.state != SlotState::running) tell = answer(off, refused);
  settle(off, 0);
  say("beside a start", 0);
  ask(on), ask(AskFree{AskKind::Free, 0, known.handle}), ask(off);
  ask(signal_of(known.handle, SIGKILL, Scope::tree)), ask(off);
  do tell = wait_slot(known.handle);
  while (tell.state != SlotState::idle);
  for (int i = 0; i < 100; i++) ask(on), ask(off), usleep(1000);
  settle(off, 0);
  say("unbound in every state", 0);
}

// lend ENTRY TARGET: starts that entry with the socket of david's third, and says what became of it
void lend(Known &known, const Words &words) {
  get_ready(known);
  get_place(known, "david");
  Refusal refused = Refusal::none;
  settle(bind_of(known, 2, known.owner), 1);
  ask(start_of(known, number(known, words[1]), number(known, words[2])));
  TellSlot tell{};
  do tell = answer(AskUnbind{AskKind::Unbind, 0, known.handle}, refused);
  while (tell.state == SlotState::starting || tell.state == SlotState::draining);
  say("has been lent it, and is in state", static_cast<long long>(tell.state));
  if (is_failure(tell.report.stage)) say("failed at stage", static_cast<long long>(tell.report.stage));
}

// others: binds, and runs commands, as david beside what runs in his places as another
void others(Known &known, const Words &) {
  get_ready(known);
  get_place(known, "david");
  int asked = 0;
  for (int i = 0; i < known.count; i++) {
    known.handle = known.places[i].handle;
    if (known.places[i].owner != known.owner || known.places[i].state != SlotState::running || known.places[i].target == known.owner) continue;
    Refusal refused = Refusal::none;
    const TellSlot tell = answer(bind_of(known, 2, known.owner), refused);
    say("to bind there refused", static_cast<long long>(refused));
    refused = Refusal::none;
    answer(command_of(known, 0, known.owner, Command::stop), refused);
    say("a command there refused", static_cast<long long>(refused));
    say("it runs as ever", tell.target == known.places[i].target);
    asked++;
  }
  say("others asked:", asked);
}

// commands: stop= and reload= of a daemon that has none, a thousand times at once, and of one that does not run
void commands(Known &known, const Words &) {
  get_ready(known);
  get_place(known, "david");
  ask(command_of(known, 1, known.owner, Command::stop));
  say("of an idle one refused", static_cast<long long>(wait_slot(known.handle).refusal));
  ask(start_of(known, 1, known.owner));
  while (wait_slot(known.handle).state != SlotState::running) {}
  for (int i = 0; i < 1000; i++) ask(command_of(known, 1, known.owner, i % 2 == 0 ? Command::stop : Command::reload));
  TellSlot tell{};
  do tell = wait_slot(known.handle);
  while (tell.commands == 0);
  ask(signal_of(known.handle, SIGKILL, Scope::tree));
  do tell = wait_slot(known.handle);
  while (tell.state != SlotState::idle);
  say("commands that were run:", tell.commands);
}

// notified: starts david's web with a socket to tell of itself, and says which place that is
void notified(Known &known, const Words &) {
  get_ready(known);
  get_place(known, "david");
  AskStart it = start_of(known, 0, number(known, "www-data"));
  it.flags = start_notified;
  ask(it);
  say("may be told of place", wait_tell<TellNotify>(TellKind::Notify).handle.slot);
}

}  // namespace

const Deed socket_deeds[] = {{"bind", bind},       {"port", bind},         {"hold", hold},         {"serve", serve},     {"kept", kept},
                             {"unbinds", unbinds}, {"commands", commands}, {"lend", lend},         {"others", others},   {"notified", notified}, {nullptr, nullptr}};

}  // namespace hostile
