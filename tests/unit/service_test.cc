// Sockets, readiness and commands of one daemon, against a monitor that is told what to say. No privilege.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "bare_worker.hh"

namespace {

using namespace dm;
using namespace dm::worker;

// david and his one daemon, web, which has a place.
struct Play : BareWorker {
  TellSlot slot{};
  Fd notify;    // the daemon's end
  Fd monitors;  // the worker's end, which the monitor has too

  explicit Play(const std::string &conf) : BareWorker(rows_of({"david"}, user_runs | user_resolved)) {
    worker->replayed = true;
    come(0);
    worker->owners[0].listening = true;
    read(conf);
    slot.kind = TellKind::Slot;
    slot.state = SlotState::idle;
    slot.handle = {0, 1};
    slot.cookie = worker->owners[0].slot_cookie;
    REQUIRE(asked() == std::vector{AskKind::Slot});
    say();
    slot.cookie = 0;
  }

  void read(const std::string &conf) { take_book(*worker, {TellKind::Book, 0, BookResult::ok, 0, 1}, book_of({{"web", "dir=/\nstart=./x\n" + conf}})); }
  Daemon &web() { return *worker->owners[0].daemons.at("web"); }
  void say() { take_slot(*worker, slot, true); }
  void runs() {
    slot.state = SlotState::running;
    slot.runs++;
    slot.pid = 4711;
    slot.report = {};
    say();
  }
  void ends(int code, int status) {
    slot.state = SlotState::idle;
    slot.pid = 0;
    slot.end_code = code;
    slot.end_status = status;
    slot.ended_ms = slot.started_ms + 1000;
    say();
  }
  void bound(std::uint32_t sockets, RunReport report = {}) {
    slot.binds++;
    slot.sockets = sockets;
    slot.report = report;
    say();
  }
  // Its sockets are gone, and are refused when they are asked for again.
  void loses_sockets() {
    slot.sockets = 0;
    say();
    bound(0, {RunStage::listen_taken, 0, 0});
  }
  void loses_its_sockets_while_watched() {
    give_notify();
    bound(1);
    runs();
    hears("READY=1");
    loses_sockets();
    asked();
  }
  void refuses(Refusal refusal) {
    slot.refusal = refusal;
    say();
    slot.refusal = Refusal::none;
  }
  // The same place, as the replay tells it to the next worker->
  void take_over(Play &old) {
    asked();
    worker->by_slot[0] = nullptr;
    worker->timers.clear();
    web().placed = false;
    slot = old.slot;
    slot.memo = write_memo(old.web());
    take_slot(*worker, slot, false);
  }
  // Likewise, by a worker that no conf has been told to.
  void take_over_unread(Play &old) {
    asked();
    worker->by_slot[0] = nullptr;
    worker->timers.clear();
    worker->owners[0].daemons.clear();
    worker->owners[0].scanned = false;
    slot = old.slot;
    slot.memo = write_memo(old.web());
    take_slot(*worker, slot, false);
  }
  void give_notify() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    notify = Fd(ends[1]);
    monitors = Fd(::fcntl(ends[0], F_DUPFD_CLOEXEC, 0));
    take_notify(*worker, {TellKind::Notify, 0, slot.handle}, Fd(ends[0]));
  }
  void hears(const std::string &text) {
    REQUIRE(::send(notify.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    notify_ready(*worker, 0);
  }
  void expire() { check_timers(*worker, web().timer_ms); }

  // The kinds of what is asked of the monitor, but for memories.
  std::vector<AskKind> asked() {
    std::vector<AskKind> kinds;
    AskKind kind;
    while (next(last)) {
      std::memcpy(&kind, last, sizeof kind);
      if (kind == AskKind::Remember || kind == AskKind::Record) continue;
      kinds.push_back(kind);
      std::memcpy(kept, last, sizeof last);
    }
    return kinds;
  }
  template <typename Ask>
  Ask ask() const {
    Ask it;
    std::memcpy(&it, kept, sizeof it);
    return it;
  }
  // What the client has been told by now.
  std::string answer() {
    char bytes[4096];
    const ssize_t size = ::recv(peer.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    return size > 0 ? std::string(bytes, static_cast<std::size_t>(size)) : std::string();
  }
  std::string requests(const char *verb) {
    serve(*worker, *client, request({verb, "", "", "david/web"}));
    advance(*worker, *client);
    return answer();
  }

private:
  std::uint8_t last[max_message], kept[max_message];
};

using Kinds = std::vector<AskKind>;
constexpr const char *one = "listen=/home/david/web.sock\n";
constexpr const char *watched = "listen=/home/david/web.sock\nready=notify\nwatchdog=2s\n";

}  // namespace

TEST_CASE("sockets are made first, and the start follows them") {
  Play play(one);
  CHECK(play.asked() == Kinds{AskKind::Bind});
  const auto bind = play.ask<AskBind>();
  CHECK(bind.count == 1);
  CHECK(bind.flags == 0);
  CHECK(bind.sockets[0].family == Family::local);
  CHECK(play.web().state == State::binding);
  play.bound(1);
  CHECK(play.asked() == Kinds{AskKind::Start});
  play.runs();
  CHECK(play.web().state == State::running);
}

TEST_CASE("sockets that cannot be had are a failed start: a cooldown, the pid that is in the way, and then another try") {
  Play play(one);
  play.asked();
  play.bound(0, {RunStage::listen_live, EADDRINUSE, 4711U << 8});
  CHECK(play.asked().empty());
  CHECK(play.web().state == State::cooldown);
  const std::string note = describe_note(*play.worker, play.web(), now_ms());
  CHECK(note.find("process 4711 listens there") != note.npos);
  CHECK(note.find("/home/david/web.sock") != note.npos);
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Bind});
}

TEST_CASE("a start that is refused for a moment needs no other sockets") {
  Play play(one);
  play.bound(1);
  play.asked();
  play.slot.refusal = Refusal::throttled;
  play.say();
  play.slot.refusal = Refusal::none;
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Start});
  CHECK(play.web().respawns == 0);
}

TEST_CASE("over a restart and a crash sockets stay; when it is stopped they go before it is said") {
  Play play(one);
  play.bound(1);
  play.runs();
  play.asked();
  play.ends(CLD_KILLED, SIGKILL);
  CHECK(play.web().state == State::cooldown);
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Start});
  play.runs();
  CHECK(play.requests("stop").empty());
  CHECK(play.asked() == Kinds{AskKind::Signal});
  play.ends(CLD_KILLED, SIGTERM);
  CHECK(play.asked().back() == AskKind::Unbind);
  CHECK(play.answer().empty());
  play.bound(0);
  CHECK(play.answer().find("stopped") != std::string::npos);
}

TEST_CASE("who starts it again while its sockets go gets new ones") {
  Play play(one);
  play.bound(1);
  play.runs();
  play.requests("stop");
  play.ends(CLD_KILLED, SIGTERM);
  play.asked();
  want_up(*play.worker, play.web());
  CHECK(play.asked().empty());
  play.bound(0);
  CHECK(play.asked() == Kinds{AskKind::Bind});
}

TEST_CASE("another listen= line takes effect at the next start: the old sockets go, new ones come") {
  Play play(one);
  play.bound(1);
  play.runs();
  play.read("listen=/home/david/other.sock\n");
  play.asked();
  play.ends(CLD_EXITED, 1);
  play.expire();
  CHECK(play.asked().back() == AskKind::Unbind);
  play.bound(0);
  CHECK(play.asked() == Kinds{AskKind::Bind});
  play.bound(1);
  CHECK(play.asked() == Kinds{AskKind::Start});
}

TEST_CASE("sockets that it has shut down are asked for again, once") {
  Play play(one);
  play.bound(1);
  play.runs();
  play.asked();
  play.slot.sockets = 0;
  play.say();
  CHECK(play.asked() == Kinds{AskKind::Bind});
  play.say();
  CHECK(play.asked().empty());
  play.bound(0, {RunStage::listen_taken, 0, 0});
  CHECK(play.asked().empty());
  CHECK(play.web().state == State::running);
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Bind});
}

TEST_CASE("with start_on=connection the first connection starts it, and a success waits for the next") {
  Play play(std::string(one) + "start_on=connection\n");
  play.asked();
  CHECK(play.ask<AskBind>().flags == bind_armed);
  play.bound(1);
  CHECK(play.web().state == State::listening);
  CHECK(play.asked().empty());
  play.slot.connected = 1;
  play.say();
  CHECK(play.asked() == Kinds{AskKind::Start});
  play.slot.connected = 0;
  play.runs();
  play.ends(CLD_EXITED, 0);
  CHECK(play.asked().back() == AskKind::Bind);
  play.bound(1);
  CHECK(play.web().state == State::listening);
  CHECK(play.web().respawns == 0);
}

TEST_CASE("with start_on=connection a failure is followed by a start") {
  Play play(std::string(one) + "start_on=connection\n");
  play.bound(1);
  play.slot.connected = 1;
  play.say();
  play.slot.connected = 0;
  play.runs();
  play.asked();
  play.ends(CLD_EXITED, 1);
  CHECK(play.web().state == State::cooldown);
  play.expire();
  CHECK(play.asked().back() == AskKind::Start);
  CHECK(play.web().respawns == 1);
}

TEST_CASE("with ready=notify it runs when it says so, also when that comes before the news of its exec") {
  for (const bool early : {false, true}) {
    Play play("ready=notify\n");
    CHECK(play.asked() == Kinds{AskKind::Start});
    CHECK((play.ask<AskStart>().flags & start_notified) != 0);
    play.give_notify();
    if (early) play.hears("READY=1");
    play.runs();
    CHECK((play.web().state == State::readying) == !early);
    if (!early) play.hears("STATUS=hello\nREADY=1\n");
    CHECK(play.web().state == State::running);
  }
}

TEST_CASE("with ready=fd a newline is enough, and nothing less") {
  Play play("ready=fd:3\n");
  play.give_notify();
  play.runs();
  play.hears("READY");
  CHECK(play.web().state == State::readying);
  play.hears("\n");
  CHECK(play.web().state == State::running);
}

TEST_CASE("who is not ready in time is killed, and that is a failed start") {
  Play play("ready=notify\nstart_timeout=5s\n");
  play.runs();
  play.asked();
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Signal, AskKind::Signal});
  CHECK(play.ask<AskSignal>().signal == SIGKILL);
  play.ends(CLD_KILLED, SIGKILL);
  CHECK(play.web().state == State::cooldown);
  const std::string note = describe_note(*play.worker, play.web(), now_ms());
  CHECK(note.find("start_timeout") != note.npos);
}

TEST_CASE("time is extended by its word, but no more than an hour beyond") {
  Play play("ready=notify\nstart_timeout=5s\n");
  play.give_notify();
  play.runs();
  const std::int64_t before = play.web().timer_ms;
  play.hears("EXTEND_TIMEOUT_USEC=1");
  CHECK(play.web().timer_ms == before);
  play.hears("EXTEND_TIMEOUT_USEC=60000000");
  CHECK(play.web().timer_ms > before);
  for (const char *text : {"EXTEND_TIMEOUT_USEC=18446744073709551615", "EXTEND_TIMEOUT_USEC=-1", "EXTEND_TIMEOUT_USEC=99999999999999999999"})
    play.hears(text);
  CHECK(play.web().timer_ms <= before + 3'600'000);
}

TEST_CASE("who falls silent gets SIGABRT, then SIGKILL, and is started again") {
  Play play("ready=notify\nwatchdog=2s\n");
  play.give_notify();
  play.runs();
  play.hears("READY=1");
  play.asked();
  const std::int64_t before = play.web().timer_ms;
  CHECK(before != 0);
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Signal});
  CHECK(play.ask<AskSignal>().signal == SIGABRT);
  play.hears("WATCHDOG=1");  // too late
  play.expire();
  CHECK(!play.asked().empty());
  CHECK(play.ask<AskSignal>().signal == SIGKILL);
  play.ends(CLD_EXITED, 0);
  CHECK(play.web().state == State::cooldown);
  CHECK(play.web().fault == Fault::silent);
}

TEST_CASE("words of a status are bounded, and those of one that is another's place are not heard") {
  Play play("ready=notify\n");
  play.give_notify();
  play.runs();
  play.hears("READY=1\nSTATUS=" + std::string(1000, 'x'));
  CHECK(play.web().status.text().size() == 200);
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  const Fd other(ends[1]);
  take_notify(*play.worker, {TellKind::Notify, 0, {0, 99}}, Fd(ends[0]));
  CHECK(::send(other.get(), "x", 1, MSG_NOSIGNAL) < 0);  // the worker has closed it
}

TEST_CASE("in one turn no more than sixteen datagrams of one daemon are read, and none too long or with a NUL is taken") {
  Play play("ready=notify\n");
  play.give_notify();
  play.runs();
  for (int i = 0; i < 100; i++) {
    const std::string text = "STATUS=" + std::to_string(i);
    if (::send(play.notify.get(), text.data(), text.size(), MSG_DONTWAIT) < 0) break;
  }
  notify_ready(*play.worker, 0);
  const int read = std::stoi(play.web().status);
  CHECK(read <= 15);
  while (::recv(play.worker->notifies.at(0).get(), nullptr, 0, MSG_DONTWAIT) >= 0) {}
  play.hears("STATUS=good");
  play.hears("STATUS=long" + std::string(5000, 'x'));
  play.hears(std::string("STATUS=n\0ul", 11));
  CHECK(play.web().status == "good");
}

TEST_CASE("what a former run left unread makes the next one not ready") {
  Play play("ready=notify\n");
  play.give_notify();
  play.runs();
  play.hears("READY=1");
  CHECK(::send(play.notify.get(), "READY=1", 7, 0) == 7);
  play.ends(CLD_EXITED, 1);
  play.expire();
  play.runs();
  notify_ready(*play.worker, 0);
  CHECK(play.web().state == State::readying);
}

TEST_CASE("after_exit= runs when nothing is left, and what it does is not taken for the daemon's end") {
  Play play("after_exit=./y\n");
  play.runs();
  play.asked();
  play.ends(CLD_KILLED, SIGSEGV);
  CHECK(play.asked() == Kinds{AskKind::Start});
  CHECK((play.ask<AskStart>().flags & start_after_exit) != 0);
  CHECK(play.web().state == State::finishing);
  CHECK(std::string(state_name(play.web())) == "cooldown");
  play.runs();
  CHECK(!play.web().slot_running);
  play.ends(CLD_EXITED, 0);
  CHECK(play.web().state == State::cooldown);
  CHECK(play.web().end_status == SIGSEGV);
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Start});
}

TEST_CASE("who stops it while after_exit= runs waits for its end, and it is not started again") {
  Play play("after_exit=./y\n");
  play.runs();
  play.ends(CLD_KILLED, SIGSEGV);
  play.runs();
  play.asked();
  CHECK(play.requests("stop").empty());
  CHECK(play.asked().empty());
  play.ends(CLD_EXITED, 0);
  CHECK(play.web().state == State::stopped);
  CHECK(play.answer().find("stopped") != std::string::npos);
  CHECK(play.asked().empty());
}

TEST_CASE("stop= is run instead of the signal; whom it leaves running gets the signal, once") {
  Play play("stop=./y\n");
  play.runs();
  play.requests("stop");
  play.asked();
  CHECK(play.ask<AskCommand>().command == Command::stop);
  play.slot.commands++;
  play.slot.command_code = CLD_EXITED;
  play.say();
  CHECK(play.asked() == Kinds{AskKind::Signal});
  CHECK(play.ask<AskSignal>().signal == SIGTERM);
  play.say();
  CHECK(play.asked().empty());
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Signal, AskKind::Signal});
  CHECK(play.ask<AskSignal>().signal == SIGKILL);
}

TEST_CASE("reload tells how its command ended, and a stop meanwhile waits for that") {
  Play play("stop=./y\nreload=./z now\n");
  play.runs();
  play.asked();
  CHECK(play.requests("reload").empty());
  CHECK(play.asked() == Kinds{AskKind::Command});
  want_down(*play.worker, play.web());
  CHECK(play.asked().empty());
  play.slot.commands++;
  play.slot.command_code = CLD_EXITED;
  play.slot.command_status = 3;
  play.say();
  CHECK(play.answer().find("exit code 3") != std::string::npos);
  CHECK(play.asked() == Kinds{AskKind::Command});
  CHECK(play.ask<AskCommand>().command == Command::stop);
}

TEST_CASE("a port that root does not grant is never asked for") {
  Play play("listen=127.0.0.1:80\n");
  CHECK(play.asked().empty());
  CHECK(play.web().problem.text().find("[ports]") != std::string::npos);
}

TEST_CASE("a worker that takes over goes on where the last one was, in every state") {
  const std::string conf = std::string(one) + "start_on=connection\n";
  Play old(conf);
  old.bound(1);
  REQUIRE(old.web().state == State::listening);
  Play next(conf);
  next.take_over(old);
  CHECK(next.web().state == State::binding);
  CHECK(next.asked() == Kinds{AskKind::Bind});  // armed anew: who was told of the connection may be dead
  CHECK(next.ask<AskBind>().flags == bind_armed);
}

TEST_CASE("a command that ended while nobody listened is over, though the place has counted further than was asked") {
  const std::string conf = "stop=./y\nreload=./z now\n";
  Play old(conf);
  old.runs();
  old.requests("reload");
  REQUIRE(old.web().underway == Underway::reload);
  old.slot.commands += 2;
  Play next(conf);
  next.take_over(old);
  CHECK(next.web().underway == Underway::none);
  next.asked();
  CHECK(next.requests("reload").empty());
  CHECK(next.asked() == Kinds{AskKind::Command});
}

TEST_CASE("and a stop that waited for that command is sent stop=") {
  const std::string conf = "stop=./y\nreload=./z now\n";
  Play old(conf);
  old.runs();
  old.requests("reload");
  want_down(*old.worker, old.web());
  REQUIRE(old.web().stop_due);
  old.slot.commands += 2;
  Play next(conf);
  next.take_over(old);
  CHECK(next.asked() == Kinds{AskKind::Command});
  CHECK(next.ask<AskCommand>().command == Command::stop);
}

TEST_CASE("one that was executed while nobody listened is ready as its conf says, though that is not read yet") {
  const std::string conf = "ready=notify\n";
  Play old(conf);
  REQUIRE(old.web().state == State::starting);
  old.slot.state = SlotState::running;
  old.slot.runs++;
  Play next(conf);
  next.take_over_unread(old);
  CHECK(next.web().state == State::readying);
  next.give_notify();
  next.hears("READY=1");
  CHECK(next.web().state == State::running);
}

TEST_CASE("whose READY=1 may have reached nobody is taken for ready at start_timeout; who was always heard is not") {
  const std::string conf = "ready=notify\n";
  Play old(conf);
  old.runs();
  old.slot.commands++;
  Play next(conf);
  next.take_over(old);
  REQUIRE(next.web().state == State::readying);
  next.asked();
  next.expire();
  CHECK(next.web().state == State::running);
  CHECK(next.asked().empty());
  old.expire();
  CHECK(old.asked() == Kinds{AskKind::Start, AskKind::Signal, AskKind::Signal});
  CHECK(old.ask<AskSignal>().signal == SIGKILL);
}

TEST_CASE("the after_exit= of one that ended while nobody listened waits for its conf, but no longer than dm-scan may take") {
  const std::string conf = "after_exit=./y\n";
  for (const bool comes : {true, false}) {
    Play old(conf);
    old.runs();
    old.slot.state = SlotState::idle;
    old.slot.end_code = CLD_KILLED;
    old.slot.end_status = SIGSEGV;
    old.slot.ended_ms = old.slot.started_ms + 1000;
    Play next(conf);
    next.take_over_unread(old);
    CHECK(next.web().state == State::finishing);
    CHECK(next.asked().empty());
    comes ? next.read(conf) : next.expire();
    CHECK(next.web().state == (comes ? State::finishing : State::cooldown));
    CHECK((next.asked() == Kinds{AskKind::Start}) == comes);
    if (comes) CHECK((next.ask<AskStart>().flags & start_after_exit) != 0);
  }
}

TEST_CASE("an after_exit= that was asked for, and that the place never had, is asked for again") {
  const std::string conf = "after_exit=./y\n";
  Play old(conf);
  old.runs();
  old.ends(CLD_KILLED, SIGSEGV);
  REQUIRE(old.web().state == State::finishing);
  Play next(conf);
  next.take_over(old);
  CHECK(next.asked() == Kinds{AskKind::Start});
  CHECK((next.ask<AskStart>().flags & start_after_exit) != 0);
  next.runs();
  next.ends(CLD_EXITED, 0);
  CHECK(next.web().state == State::cooldown);
  CHECK(next.web().end_status == SIGSEGV);
}

TEST_CASE("of one that was stopped before its start was told the next worker tells both") {
  Play old("");
  REQUIRE(old.web().state == State::starting);
  want_down(*old.worker, old.web());
  REQUIRE(old.web().state == State::stopping);
  old.slot.runs++;
  old.slot.end_code = CLD_KILLED;
  old.slot.end_status = SIGTERM;
  Play next("");
  next.take_over(old);
  std::vector<Deed> deeds;
  for (const Recorded &it : next.worker->recorded) deeds.push_back(it.event.deed);
  CHECK(deeds == std::vector{Deed::started, Deed::stopped});
}

TEST_CASE("so waits its stop=, and where the conf does not come it is sent the signal") {
  const std::string conf = "stop=./y\n";
  for (const bool comes : {true, false}) {
    Play old(conf);
    old.runs();
    old.web().wanted = false;  // it waited for those who depend on it
    Play next(conf);
    next.take_over_unread(old);
    CHECK(next.web().state == State::stopping);
    CHECK(next.asked().empty());
    Play third(conf);  // which finds it as the second did
    next.slot.commands++;
    third.take_over_unread(next);
    CHECK(third.web().state == State::stopping);
    CHECK(third.asked().empty());
    comes ? third.read(conf) : third.expire();
    CHECK(third.asked() == Kinds{comes ? AskKind::Command : AskKind::Signal});
    if (!comes) CHECK(third.ask<AskSignal>().signal == SIGTERM);
    third.expire();
    CHECK(third.asked() == Kinds{AskKind::Signal, AskKind::Signal});
    CHECK(third.ask<AskSignal>().signal == SIGKILL);
  }
}

TEST_CASE("what such a one leaves running when it ends by itself is killed in its time") {
  const std::string conf = "stop=./y\nstop_timeout=5s\n";
  Play old(conf);
  old.runs();
  old.web().wanted = false;
  Play next(conf);
  next.take_over_unread(old);
  next.slot.state = SlotState::draining;
  next.slot.end_code = CLD_EXITED;
  next.say();
  CHECK(next.asked() == Kinds{AskKind::Signal});
  CHECK(next.ask<AskSignal>().signal == SIGTERM);
  next.read(conf);
  next.asked();
  next.expire();
  CHECK(next.asked() == Kinds{AskKind::Signal, AskKind::Signal});
  CHECK(next.ask<AskSignal>().signal == SIGKILL);
}

TEST_CASE("lost sockets are asked for again when it is announced") {
  Play play(std::string(one) + "ready=notify\n");
  play.give_notify();
  play.bound(1);
  play.runs();
  REQUIRE(play.web().state == State::readying);
  play.loses_sockets();
  play.asked();
  play.hears("READY=1");
  CHECK(play.web().state == State::running);
  CHECK(play.asked() == Kinds{AskKind::Bind});
}

TEST_CASE("lost sockets are asked for again when its watchdog is heard, at most once a second") {
  Play play(watched);
  play.loses_its_sockets_while_watched();
  play.hears("WATCHDOG=1");
  CHECK(play.asked().empty());
  play.web().rebind_at = 0;
  play.hears("WATCHDOG=1");
  CHECK(play.asked() == Kinds{AskKind::Bind});
}

TEST_CASE("lost sockets put off no watchdog, and its end asks for them as well") {
  Play play(watched);
  play.loses_its_sockets_while_watched();
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Bind, AskKind::Signal});
  CHECK(play.ask<AskSignal>().signal == SIGABRT);
}

TEST_CASE("a worker that takes over asks for lost sockets again") {
  Play old(one);
  old.bound(1);
  old.runs();
  old.loses_sockets();
  REQUIRE(old.web().rebind);
  Play next(one);
  next.take_over(old);
  CHECK(next.asked() == Kinds{AskKind::Bind});
}

TEST_CASE("one that runs gets no sockets but those that it was started with") {
  Play changed(one);
  changed.bound(1);
  changed.runs();
  changed.read("listen=/home/david/other.sock\n");
  changed.asked();
  changed.slot.sockets = 0;
  changed.say();
  CHECK(changed.asked().empty());
  Play fresh("");
  fresh.runs();
  fresh.asked();
  fresh.read(one);
  CHECK(fresh.asked().empty());
}

TEST_CASE("sockets of a former run are none of this run's") {
  Play play(one);
  play.bound(1);
  play.runs();
  play.read("");
  play.ends(CLD_EXITED, 1);
  play.expire();
  play.bound(0);
  play.runs();
  play.asked();
  play.read(one);
  CHECK(play.asked().empty());
}

TEST_CASE("who is stopped while its sockets go is stopped in the end, though they never went") {
  Play play(one);
  play.bound(1);
  play.runs();
  play.requests("stop");
  play.ends(CLD_KILLED, SIGTERM);
  CHECK(play.asked().back() == AskKind::Unbind);
  CHECK(play.answer().empty());
  play.refuses(Refusal::busy);
  REQUIRE(play.web().settling);
  REQUIRE(play.web().timer_ms > now_ms());
  CHECK(play.web().timer_ms <= now_ms() + 12'000);
  play.expire();
  CHECK(!play.web().settling);
  CHECK(play.answer().find("stopped") != std::string::npos);
}

TEST_CASE("who is stopped while its sockets are made is stopped in the end, and holds no shutdown back") {
  Play play(one);
  play.asked();
  REQUIRE(play.web().state == State::binding);
  play.worker->stopping = true;
  want_down(*play.worker, play.web());
  check_shutdown(*play.worker);
  CHECK(play.asked().empty());
  want_up(*play.worker, play.web());  // somebody had asked for that before
  REQUIRE(play.web().state == State::stopped);
  REQUIRE(play.web().timer_ms != 0);
  play.expire();
  check_shutdown(*play.worker);
  CHECK(play.asked() == Kinds{AskKind::Done});
}

TEST_CASE("a start whose place has a dm-listen still is asked for again in a moment") {
  Play play(one);
  play.bound(1);
  play.asked();
  play.refuses(Refusal::busy);
  CHECK(play.web().state == State::cooldown);
  CHECK(play.web().problem.empty());
  CHECK(play.web().timer_ms <= now_ms() + 250);
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Start});
  CHECK(play.web().respawns == 0);
}

TEST_CASE("so is after_exit=, but no stop waits for that longer than a dm-listen may take") {
  Play play("after_exit=./y\n");
  play.runs();
  play.slot.started_ms = now_ms() - 1000;
  play.ends(CLD_KILLED, SIGSEGV);
  play.asked();
  play.refuses(Refusal::busy);
  CHECK(play.web().state == State::finishing);
  play.expire();
  CHECK(play.asked() == Kinds{AskKind::Start});
  CHECK((play.ask<AskStart>().flags & start_after_exit) != 0);
  play.web().ended_ms = now_ms() - 12'000;
  play.web().started_ms = play.web().ended_ms - 1000;
  play.refuses(Refusal::busy);
  CHECK(play.web().state == State::cooldown);
}

TEST_CASE("what a daemon says to a notify socket that was given back, or replaced, wakes nobody") {
  for (const bool replaced : {false, true}) {
    Play play("ready=notify\n");
    play.give_notify();
    const Fd sayer = std::move(play.notify), kept = std::move(play.monitors);
    epoll_event event;
    REQUIRE(::send(sayer.get(), "x", 1, 0) == 1);
    REQUIRE(::epoll_wait(play.worker->epoll.get(), &event, 1, 0) == 1);
    if (replaced) play.give_notify();
    else ask_free(*play.worker, play.web());
    CHECK(::epoll_wait(play.worker->epoll.get(), &event, 1, 0) == 0);
  }
}
