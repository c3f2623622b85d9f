// A terminal that is drawn on as a whole: taken over, and given back as it was. The caller's privilege.
#pragma once

#include <csignal>
#include <optional>
#include <string>
#include <termios.h>
#include <vector>

#include "dmctl/width.hh"

namespace dm::dmctl {

enum class Key { none, up, down, page_up, page_down, home, end, enter, escape, backspace, letter };

struct Press {
  Key key = Key::none;
  std::string text{};  // of letter: one character
};

// While it lives the terminal shows its alternate screen and hands over each key at once. SIGINT, SIGTERM, SIGHUP and SIGQUIT
// end nothing by themselves: ended() tells, so that whoever draws goes home, and its destructor gives the terminal back. SIGTSTP stops
// the program with the terminal as it was, and SIGCONT takes it over again. One at a time.
class Screen {
public:
  Screen(int in, int out);
  ~Screen();
  Screen(const Screen &) = delete;
  Screen &operator=(const Screen &) = delete;
  // False where it is no terminal, or went away.
  [[nodiscard]] bool good() const { return good_; }
  // A signal to end; 0 before.
  [[nodiscard]] static int ended();
  // An interrupt that was for another program.
  static void forget_interrupt();
  [[nodiscard]] Size size() const { return terminal_size(out_); }
  // Shows these lines, from the top, each cut by whoever made it; what is as it was before is not sent again.
  void draw(const std::vector<std::string> &lines);
  // Waits for a key; nothing after `ms`, or earlier where the size has changed or a signal came.
  std::optional<Press> wait(int ms);
  // Gives the terminal to another program until resume().
  void suspend();
  void resume();

private:
  void write(std::string_view text);
  void stop_for_a_while();
  std::optional<Press> take_press();
  int in_, out_;
  bool good_ = false, taken_ = false, drawn_whole_ = false;
  termios old_{};
  struct sigaction old_actions_[6] {};
  std::string typed_;                 // bytes that make no whole key yet
  std::vector<std::string> shown_;
  Size shown_size_{};
};

}  // namespace dm::dmctl
