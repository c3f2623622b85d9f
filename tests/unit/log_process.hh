// dm-log, the built program, as an unassigned user, with FIFOs and orders as the monitor gives them. Needs root.
#pragma once

#include "helper_process.hh"

#include <sys/socket.h>

#include <chrono>
#include <csignal>
#include <ctime>
#include <functional>
#include <map>
#include <sstream>
#include <thread>

#include "lib/helper.hh"
#include "lib/message.hh"

namespace dm::test {

inline bool eventually(const std::function<bool()> &holds) {
  for (int i = 0; i < 500; i++) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return holds();
}

// A dm-log with one open FIFO for each name, slots 0, 1, …
struct Log {
  Home home;
  Fd socket, book;
  std::vector<Fd> writers;
  pid_t pid = -1;
  std::vector<std::string> names;
  std::string more;  // of each conf, beside dir= and start=

  void launch() {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    socket = Fd(ends[0]);
    const Fd its(ends[1]);
    pid = start_helper("DM_LOG", {home.path(), "owner"}, owner_uid, its.get());
  }
  void read_confs() {
    std::vector<std::pair<std::string, std::string>> confs;
    for (const std::string &name : names) confs.emplace_back(name, "dir=/\nstart=x\n" + more);
    book = make_book(confs);
  }
  // What the monitor sees to when a dm-log has died.
  void relaunch() {
    launch();
    for (std::uint32_t i = 0; i < names.size(); i++) open(i);
  }
  void crash() {
    kill(pid, SIGKILL);
    REQUIRE(end_of(std::exchange(pid, -1)) == -SIGKILL);
  }
  explicit Log(std::vector<std::string> all = {"web"}, const std::function<void(const Home &)> &prepare = nullptr, std::string conf = "")
      : names(std::move(all)), more(std::move(conf)) {
    home.directory(".daemon-manager");
    if (prepare) prepare(home);
    read_confs();
    launch();
    for (std::uint32_t i = 0; i < names.size(); i++) {
      const std::string fifo = home.at("fifo" + std::to_string(i));
      REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
      writers.emplace_back(::open(fifo.c_str(), O_RDWR | O_CLOEXEC));
      open(i);
    }
  }
  ~Log() {
    socket.reset();
    if (pid > 0) end_of(pid);
  }
  void send(const LogOrder &order, const std::vector<int> &fds = {}, std::size_t size = sizeof(LogOrder)) const {
    std::string bytes(reinterpret_cast<const char *>(&order), sizeof order);
    bytes.resize(size, 'x');
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
      header.msg_control = control;
      header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
      cmsghdr *item = CMSG_FIRSTHDR(&header);
      item->cmsg_level = SOL_SOCKET;
      item->cmsg_type = SCM_RIGHTS;
      item->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      memcpy(CMSG_DATA(item), fds.data(), fds.size() * sizeof(int));
    }
    REQUIRE(sendmsg(socket.get(), &header, MSG_NOSIGNAL) == static_cast<ssize_t>(size));
  }
  [[nodiscard]] Fd reader(std::uint32_t slot) const {
    return Fd(::open(home.at("fifo" + std::to_string(slot)).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  }
  [[nodiscard]] Fd stage(std::uint32_t slot) const {
    return Fd(::open(home.at("stage" + std::to_string(slot)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  }
  void open(std::uint32_t slot) const {
    const Fd fifo = reader(slot), its = stage(slot);
    LogOrder order{};
    order.slot = order.entry = slot;
    order.value = 1;
    send(order, {fifo.get(), book.get(), its.get()});
  }
  void tell(LogKind kind, std::int32_t value, std::int32_t code = 0, std::uint32_t slot = 0) const {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    send({kind, slot, 0, value, code, 0, now.tv_sec * 1'000'000'000 + now.tv_nsec});
  }
  void print(std::string_view text, std::size_t slot = 0) const {
    REQUIRE(write(writers[slot].get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  // With this conf they are elsewhere.
  static constexpr const char *in_file = "output=file:%h/own/%n.out\n";
  [[nodiscard]] std::string path(std::size_t slot = 0) const {
    if (more.find(in_file) != std::string::npos) return home.at("own/" + names[slot] + ".out");
    return home.at(".daemon-manager/logs/" + names[slot] + ".log");
  }
  // The log's lines, each without its stamp, which is checked.
  [[nodiscard]] std::string text(std::size_t slot = 0) const { return strip(slurp(path(slot))); }
  static std::string strip(const std::string &log) {
    std::string out, line;
    std::istringstream lines(log);
    while (std::getline(lines, line)) {
      std::string shape = line.substr(0, 25);
      for (char &c : shape) c = c >= '0' && c <= '9' ? '0' : c;
      out += shape == "0000-00-00T00:00:00.000Z " ? line.substr(25) + "\n" : "UNSTAMPED " + line.substr(0, 60) + "\n";
    }
    return out;
  }
  int finish() {
    socket.reset();
    return end_of(std::exchange(pid, -1));
  }
};

// A daemon that writes numbered lines until it is told to stop, and ends with the number of its last as its own last line.
inline pid_t start_counting(Log &log, std::size_t slot, int stop) {
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid != 0) return pid;
  log.socket.reset();
  alarm(60);
  char text[64];
  for (unsigned i = 1;; i++) {
    // Lengths that part the pages of pipes and files in ever new places; in one log sometimes a line in two pieces (in the
    // other a note would rightly part it).
    const int size = snprintf(text, sizeof text, "line %u %.*s\n", i, static_cast<int>(i % 37), "........................................");
    const int piece = slot == 1 && i % 11 == 0 ? size / 2 : size;
    for (int at = 0; at < size; at += at == 0 ? piece : size - piece)
      if (write(log.writers[slot].get(), text + at, static_cast<std::size_t>(at == 0 ? piece : size - piece)) <= 0) _exit(2);
    char c = 0;
    if (i % 64 == 0 && read(stop, &c, 1) == 1) _exit(0);
    if (i % 512 == 0) usleep(1'000);
  }
}

inline unsigned random_below(unsigned limit) {
  static unsigned state = 20'261'123;
  state = state * 1'103'515'245 + 12'345;
  return (state >> 16) % limit;
}

// One of start_counting, whose dm-log is killed 150 times before it is told to stop; its exit is ordered, too.
inline void count_under_fire(Log &log) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const Fd stop(ends[0]), teller(ends[1]);
  const pid_t writer = start_counting(log, 0, stop.get());
  for (int i = 0; i < 150; i++) {
    std::this_thread::sleep_for(std::chrono::microseconds(random_below(i % 3 == 0 ? 2'000 : 25'000)));
    log.crash();
    log.relaunch();
  }
  REQUIRE(write(teller.get(), "x", 1) == 1);
  CHECK(end_of(writer) == 0);
  log.tell(LogKind::exited, 0, CLD_EXITED);
}

// The numbers are 1, 2, 3 … with nothing else between them: how many; a failure that shows the first that is wrong else.
inline unsigned check_counted(const std::string &text) {
  std::istringstream lines(text);
  std::string line;
  unsigned count = 0;
  while (std::getline(lines, line)) {
    if (line.rfind("---", 0) == 0) continue;
    count++;
    const std::string wanted = "line " + std::to_string(count) + " " + std::string(count % 37, '.');
    if (line == wanted) continue;
    CHECK_MESSAGE(false, "expected '" << wanted << "', found '" << line << "'");
    return 0;
  }
  return count;
}

}  // namespace dm::test
