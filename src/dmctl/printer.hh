// stdout and stderr of dmctl: buffered, complete or an error, never cut short in silence. The caller's privilege.
#pragma once

#include <string>
#include <string_view>

namespace dm::dmctl {

class Printer {
public:
  explicit Printer(int out = 1, int err = 2) : out_(out), err_(err) {}
  // Adds bytes to stdout; what a user chose is escaped by then.
  void put(std::string_view text) {
    if (quiet_) return;
    buffer_ += text;
    if (buffer_.size() >= flush_at) flush();
  }
  // A whole line, or several, on stderr, behind all that went to stdout.
  void complain(std::string_view text);
  // Everything out. False from the first failed write on; says once why, unless the reader went away (EPIPE).
  bool flush();
  [[nodiscard]] bool good() const { return good_; }
  // From now on nothing more goes to stdout; what failed is said all the same.
  void be_quiet(bool quiet) { quiet_ = quiet; }
  [[nodiscard]] int out() const { return out_; }

private:
  static constexpr std::size_t flush_at = 64 * 1024;
  int out_, err_;
  bool good_ = true, quiet_ = false;
  std::string buffer_;
};

// "dmctl: " and one line of text for stderr.
std::string own_words(std::string_view text);
// Text for a person, made safe line by line; each line but the first is indented, each ends with a newline.
std::string safe_lines(std::string_view text);

}  // namespace dm::dmctl
