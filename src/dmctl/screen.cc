// A terminal that is drawn on as a whole: taken over, and given back as it was. The caller's privilege.
#include "dmctl/screen.hh"

#include "lib/text.hh"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <poll.h>
#include <unistd.h>
#include <utility>

namespace dm::dmctl {
namespace {

constexpr int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
constexpr int escape_ms = 50;  // within which what follows an ESC belongs to it: terminals send a key at once

// A handler reaches nothing but what is static.
volatile std::sig_atomic_t end_signal = 0, stop_asked = 0, resized = 0;

void note_signal(int signal) {
  if (signal == SIGTSTP) stop_asked = 1;
  else if (signal == SIGWINCH) resized = 1;
  else end_signal = signal;
}

constexpr std::string_view take_over = "\x1b[?1049h\x1b[?25l\x1b[?7l", give_back = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

struct Sequence {
  std::string_view bytes;
  Key key;
};
constexpr Sequence sequences[] = {
    {"\x1b[A", Key::up},       {"\x1bOA", Key::up},     {"\x1b[B", Key::down},     {"\x1bOB", Key::down},   {"\x1b[5~", Key::page_up},
    {"\x1b[6~", Key::page_down}, {"\x1b[H", Key::home}, {"\x1bOH", Key::home},     {"\x1b[1~", Key::home}, {"\x1b[F", Key::end},
    {"\x1bOF", Key::end},      {"\x1b[4~", Key::end},
};

}  // namespace

int Screen::ended() { return end_signal; }

void Screen::forget_interrupt() {
  if (end_signal == SIGINT) end_signal = 0;
}

Screen::Screen(int in, int out) : in_(in), out_(out) {
  end_signal = 0;
  stop_asked = 0;
  resized = 0;
  if (::isatty(in_) == 0 || ::isatty(out_) == 0 || ::tcgetattr(in_, &old_) != 0) return;
  good_ = true;
  struct sigaction action {};
  action.sa_handler = note_signal;  // without SA_RESTART, so that waiting ends
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < std::size(handled); i++) ::sigaction(handled[i], &action, &old_actions_[i]);
  resume();
}

Screen::~Screen() {
  if (!good_ && !taken_) return;
  suspend();
  for (std::size_t i = 0; i < std::size(handled); i++) ::sigaction(handled[i], &old_actions_[i], nullptr);
}

void Screen::resume() {
  termios raw = old_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
  raw.c_iflag &= ~static_cast<tcflag_t>(IXON);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (::tcsetattr(in_, TCSADRAIN, &raw) != 0) good_ = false;
  taken_ = true;
  drawn_whole_ = false;
  write(take_over);
}

void Screen::suspend() {
  if (!std::exchange(taken_, false)) return;
  write(give_back);
  while (::tcsetattr(in_, TCSADRAIN, &old_) != 0 && errno == EINTR) {}
}

void Screen::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(out_, text.data(), text.size());
    if (n >= 0) text.remove_prefix(static_cast<std::size_t>(n));
    else if (errno == EAGAIN) {
      pollfd on{out_, POLLOUT, 0};
      ::poll(&on, 1, 1000);
    } else if (errno != EINTR) {
      good_ = false;  // the terminal is gone
      return;
    }
    if (end_signal == SIGHUP) return;
  }
}

void Screen::draw(const std::vector<std::string> &lines) {
  const Size now = size();
  const bool whole = !drawn_whole_ || now.columns != shown_size_.columns || now.rows != shown_size_.rows;
  std::string out = whole ? "\x1b[H\x1b[2J" : "";
  const std::size_t count = std::min(now.rows, std::max(lines.size(), shown_.size()));
  for (std::size_t i = 0; i < count; i++) {
    const std::string_view line = i < lines.size() ? std::string_view(lines[i]) : std::string_view();
    if (!whole && i < shown_.size() && shown_[i] == line) continue;
    if (whole && line.empty()) continue;
    // Wiped before, in the same write: behind a line that ends in the last column the cursor stands on its last character.
    out += "\x1b[" + std::to_string(i + 1) + ";1H\x1b[2K" + std::string(line) + "\x1b[0m";
  }
  write(out);
  shown_ = lines;
  shown_size_ = now;
  drawn_whole_ = true;
}

void Screen::stop_for_a_while() {
  stop_asked = 0;
  suspend();
  ::kill(::getpid(), SIGSTOP);
  resume();
}

std::optional<Press> Screen::take_press() {
  if (typed_.empty()) return std::nullopt;
  if (typed_[0] == '\x1b' && typed_.size() > 1 && (typed_[1] == '[' || typed_[1] == 'O')) {
    for (const Sequence &sequence : sequences)
      if (typed_.starts_with(sequence.bytes)) {
        typed_.erase(0, sequence.bytes.size());
        return Press{sequence.key};
      }
    // Another key's: to its last byte, a letter or ~.
    std::size_t end = 2;
    while (end < typed_.size() && typed_[end] < '@') end++;
    if (end == typed_.size()) return std::nullopt;
    typed_.erase(0, end + 1);
    return Press{};
  }
  const char first = typed_[0];
  const std::size_t length = std::max<std::size_t>(1, utf8_length(typed_));
  Press press{Key::letter, typed_.substr(0, length)};
  typed_.erase(0, length);
  if (first == '\x1b') press = {Key::escape};
  else if (first == '\n' || first == '\r') press = {Key::enter};
  else if (first == '\x7f' || first == '\b') press = {Key::backspace};
  else if (static_cast<unsigned char>(first) < 0x20) press = {Key::none};
  return press;
}

std::optional<Press> Screen::wait(int ms) {
  const bool begun = typed_.starts_with('\x1b') && typed_.size() < 3;
  if (!begun)
    if (std::optional<Press> press = take_press()) return press;
  // Signals come in the wait itself or before it, never between the look and the wait.
  sigset_t block, old;
  sigemptyset(&block);
  for (const int signal : handled) sigaddset(&block, signal);
  ::sigprocmask(SIG_BLOCK, &block, &old);
  int ready = 0;
  if (end_signal == 0 && stop_asked == 0 && resized == 0) {
    const int most = begun && ms > escape_ms ? escape_ms : ms;
    const timespec time{most / 1000, (most % 1000) * 1'000'000L};
    pollfd on{in_, POLLIN, 0};
    ready = ::ppoll(&on, 1, &time, &old);
  }
  ::sigprocmask(SIG_SETMASK, &old, nullptr);
  resized = 0;
  if (stop_asked != 0) stop_for_a_while();
  if (ready > 0) {
    char bytes[256];
    const ssize_t size = ::read(in_, bytes, sizeof bytes);
    if (size == 0 || (size < 0 && errno != EINTR && errno != EAGAIN)) good_ = false;
    if (size > 0) typed_.append(bytes, static_cast<std::size_t>(size));
    return typed_ == "\x1b" ? std::nullopt : take_press();
  }
  return begun ? take_press() : std::nullopt;
}

}  // namespace dm::dmctl
