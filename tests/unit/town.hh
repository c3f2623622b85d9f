// A worker with a monitor that does at once what it is asked, unless a test says otherwise. No privilege.
#pragma once

#include <doctest/doctest.h>

#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "bare_worker.hh"

namespace dm::town {

using namespace dm::worker;

enum User : std::uint32_t { david, amy, bob };  // rows; amy manages david
struct Town : BareWorker {
  struct Place {
    std::uint32_t owner = 0;
    std::string name;
    TellSlot told{};
  };
  std::vector<Place> places;
  std::map<std::uint32_t, Confs> confs;
  std::map<std::uint32_t, std::uint64_t> generations;
  std::vector<std::string> deeds;                  // "start web:1", "stop web:1" as they were asked for
  std::set<std::string> slow, broken, stubborn;    // of daemons: never executed; end at once; do not mind signals
  std::set<std::uint32_t> unread;                  // owners whose homes do not answer
  std::size_t most = max_slots;                    // places that there are
  std::string said;                                // to the client: "CODE id: text" lines, and "end CODE"

  explicit Town(std::map<std::uint32_t, Confs> all) : BareWorker(town_rows()), confs(std::move(all)) { again(); }

  // A worker that knows what its predecessor left. `read`: the confs too, which after a monitor's end are read when it is there.
  void again(bool read = true) {
    begin();
    for (const auto &[owner, his] : confs)
      if (read) tell_book(owner);
    for (Place &place : places) {
      place.told.cookie = 0;
      if (place.told.state != SlotState::free) take_slot(*worker, place.told, false);
    }
    const TellReplayed replayed{TellKind::Replayed, 0};
    REQUIRE(::send(monitor.get(), &replayed, sizeof replayed, 0) == sizeof replayed);
    receive(*worker);
    worker->first_until = 0;
    come(0);
    turn();
  }

  // Asks as root, or as `uid`, and returns what was said by the time that nothing moves any more.
  std::string ask(const std::vector<std::string> &fields, std::uint32_t uid = 0) {
    come(uid);
    said.clear();
    serve(*worker, *client, request(fields));
    advance(*worker, *client);
    turn();
    return said;
  }

  // As `ask` and `ends`, but that the monitor takes so many messages of what comes of it, and the rest is lost. True where there was no more.
  bool ask_in_part(const std::vector<std::string> &fields, unsigned messages) {
    come(0);
    serve(*worker, *client, request(fields));
    return take_part(messages);
  }
  bool ends_in_part(const std::string &name, std::int32_t code, std::int32_t status, unsigned messages) {
    end(place(name), code, status);
    return take_part(messages);
  }

  Daemon &at(const std::string &name, std::uint32_t owner = david) {
    const auto found = worker->owners[owner].daemons.find(name);
    REQUIRE_MESSAGE(found != worker->owners[owner].daemons.end(), name);
    return *found->second;
  }
  bool has(const std::string &name, std::uint32_t owner = david) { return worker->owners[owner].daemons.contains(name); }
  State state(const std::string &name, std::uint32_t owner = david) { return at(name, owner).state; }
  std::size_t deed(const std::string &what) const {
    return static_cast<std::size_t>(std::find(deeds.begin(), deeds.end(), what) - deeds.begin());
  }
  bool did(const std::string &what) const { return deed(what) < deeds.size(); }

  Place &place(const std::string &name, std::uint32_t owner = david) {
    for (Place &it : places)
      if (it.name == name && it.owner == owner && it.told.state != SlotState::free) return it;
    FAIL("no place of " << name);
    return places.front();
  }
  void executed(const std::string &name, std::uint32_t owner = david) {
    slow.erase(name);
    Place &it = place(name, owner);
    it.told.state = SlotState::running;
    take_slot(*worker, it.told, true);
    turn();
  }
  void ends(const std::string &name, std::int32_t code, std::int32_t status, std::uint32_t owner = david) {
    end(place(name, owner), code, status);
    turn();
  }

  void read(std::uint32_t owner) {
    tell_book(owner);
    turn();
  }

  // Until the worker asks for nothing more.
  void turn() {
    for (bool more = true; more;) {
      check_order(*worker);
      keep_answers(*worker);
      more = false;
      for (std::uint8_t bytes[max_message]; next(bytes); more = true) take(bytes);
      flush_asks(*worker);
    }
    listen();
  }

private:
  static master::Rows town_rows() {
    master::Rows rows = rows_of({"david", "amy", "bob"}, user_runs | user_manages | user_resolved);
    rows.manages.push_back({amy, david});
    return rows;
  }
  bool take_part(unsigned messages) {
    std::uint8_t bytes[max_message];
    for (;; messages--) {
      check_order(*worker);
      keep_answers(*worker);
      if (!next(bytes)) return true;
      if (messages == 0) return false;
      take(bytes);
    }
  }
  void tell_book(std::uint32_t owner) {
    take_book(*worker, {TellKind::Book, owner, BookResult::ok, 0, ++generations[owner]}, book_of(confs[owner]));
  }
  template <typename Ask> static Ask as(const std::uint8_t *bytes) {
    Ask ask;
    std::memcpy(&ask, bytes, sizeof ask);
    return ask;
  }
  void end(Place &it, std::int32_t code, std::int32_t status) {
    it.told.state = SlotState::idle;
    it.told.end_code = code;
    it.told.end_status = status;
    it.told.ended_ms = now_ms();
    take_slot(*worker, it.told, true);
  }
  void start(const AskStart &ask) {
    Place &it = places[ask.handle.slot];
    Daemon named;
    REQUIRE(read_memo(ask.memo, named));
    CHECK(named.instance == ask.instance);
    it.name = named.name;
    it.told.memo = ask.memo;
    it.told.runs++;
    it.told.pid = 1000 + static_cast<std::int32_t>(ask.handle.slot);
    it.told.started_ms = now_ms();
    it.told.state = SlotState::starting;
    deeds.push_back("start " + named.name);
    if (slow.contains(named.name)) return take_slot(*worker, it.told, true);
    it.told.state = SlotState::running;
    if (broken.contains(named.name)) return end(it, CLD_EXITED, 1);
    take_slot(*worker, it.told, true);
  }
  void take(const std::uint8_t *bytes) {
    switch (as<AskKind>(bytes)) {
      case AskKind::Lend: return;
      case AskKind::Record: {
        const auto ask = as<AskRecord>(bytes);
        (void)!::pwrite(worker->history.get(), &ask.event, sizeof ask.event, static_cast<off_t>(history_at(ask.handle.slot, ask.at)));
        return;
      }
      case AskKind::Scan: return unread.contains(as<AskScan>(bytes).owner) ? void() : tell_book(as<AskScan>(bytes).owner);
      case AskKind::Slot: {
        const auto ask = as<AskSlot>(bytes);
        const auto used = std::ranges::count_if(places, [](const Place &it) { return it.told.state != SlotState::free; });
        if (static_cast<std::size_t>(used) >= most) {
          const TellNoSlot no{TellKind::NoSlot, ask.owner, ask.cookie, 0};
          REQUIRE(::send(monitor.get(), &no, sizeof no, 0) == sizeof no);
          return receive(*worker);
        }
        Daemon named;
        REQUIRE(read_memo(ask.memo, named));
        Place it{ask.owner, named.name, {}};
        it.told.kind = TellKind::Slot;
        it.told.owner = it.told.target = ask.owner;
        it.told.handle = {static_cast<std::uint32_t>(places.size()), 1};
        it.told.cookie = ask.cookie;
        it.told.state = SlotState::idle;
        it.told.memo = ask.memo;
        places.push_back(it);
        take_slot(*worker, it.told, true);
        places.back().told.cookie = 0;
        return;
      }
      case AskKind::Start: return start(as<AskStart>(bytes));
      case AskKind::Signal: {
        const auto ask = as<AskSignal>(bytes);
        Place &it = places[ask.handle.slot];
        it.told.memo = ask.memo;
        if (ask.scope != Scope::main) return;
        deeds.push_back((ask.signal == SIGKILL ? "kill " : "stop ") + it.name);
        const bool alive = it.told.state == SlotState::running || it.told.state == SlotState::starting;
        if (alive && (ask.signal == SIGKILL || !stubborn.contains(it.name))) end(it, CLD_KILLED, ask.signal);
        return;
      }
      case AskKind::Remember: {
        const auto ask = as<AskRemember>(bytes);
        places[ask.handle.slot].told.memo = ask.memo;
        if (ask.cookie != 0) take_kept(*worker, ask.cookie);
        return;
      }
      case AskKind::Free: places[as<AskFree>(bytes).handle.slot].told.state = SlotState::free; return;
      case AskKind::Done: deeds.push_back("done"); return;
      case AskKind::Ready: case AskKind::Listen: case AskKind::Bind: case AskKind::Unbind: case AskKind::Command: return;
    }
  }
  // (A frame may come in two halves only where the answer is huge, which no test's is.)
  void listen() {
    std::string bytes(1 << 20, '\0');
    const ssize_t size = ::recv(peer.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    for (std::size_t at = 0; size > 0 && at + sizeof(FrameHeader) <= static_cast<std::size_t>(size);) {
      FrameHeader header;
      std::memcpy(&header, bytes.data() + at, sizeof header);
      std::vector<std::string_view> fields;
      REQUIRE(split_fields(std::string_view(bytes).substr(at + sizeof header, header.size), fields));
      at += sizeof header + header.size;
      if (header.kind == FrameKind::end) said += "end " + std::string(fields[0]) + "\n";
      else if (header.kind == FrameKind::outcome) {
        said += std::string(fields[0]) + " " + std::string(fields[1]) + ": " + std::string(fields[2]);
        said += fields.size() > 3 ? " [" + std::string(fields[3]) + "]\n" : "\n";
      } else if (header.kind == FrameKind::row) said += "row " + std::string(fields[row_id]) + " " + std::string(fields[row_state]) + " " + std::string(fields[row_note]) + "\n";
      else for (std::string_view field : fields) said += field;
    }
  }
};

}  // namespace dm::town
