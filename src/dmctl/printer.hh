// stdout and stderr of dmctl: buffered, complete or an error, never cut short in silence. The caller's privilege.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/client.hh"

namespace dm::dmctl {

// What was said of a daemon or an owner (id), or of none; done is a note, all else an error.
struct Said {
  std::string id, text;
  Exit code = Exit::failed;
};

class Printer {
public:
  explicit Printer(int out = 1, int err = 2) : out_(out), err_(err) {}
  // Adds bytes to stdout; what a user chose is escaped by then.
  void put(std::string_view text) {
    if (!collects_) put_bytes(text);
  }
  // Words for a person, whole lines: on a terminal as wide as that is.
  void say(std::string_view text);
  // The same on stderr, behind all that went to stdout.
  void complain(std::string_view text, Exit code = Exit::failed);
  // What is laid out already.
  void complain_as_it_is(std::string_view text, Exit code = Exit::failed);
  // What is said from now on is kept for a document (dmctl/json.hh) instead of printed, and put() does nothing.
  void collect() { collects_ = true; }
  [[nodiscard]] bool collects() const { return collects_; }
  void keep(Said said) { said_.push_back(std::move(said)); }
  [[nodiscard]] const std::vector<Said> &said() const { return said_; }
  // The document, or a line of it, whole.
  void put_document(std::string_view text) { put_bytes(text); }
  // It is complete.
  void documented() { documented_ = true; }
  [[nodiscard]] bool has_document() const { return documented_; }
  // Everything out. False from the first failed write on; says once why, unless the reader went away (EPIPE).
  bool flush();
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool quiet() const { return quiet_; }
  [[nodiscard]] int err() const { return err_; }
  // What could not be written is gone; from now on somebody else reads.
  void renew() {
    buffer_.clear();
    good_ = true;
  }
  // From now on nothing more goes to stdout; what failed is said all the same.
  void be_quiet(bool quiet) { quiet_ = quiet; }
  [[nodiscard]] int out() const { return out_; }

private:
  static constexpr std::size_t flush_at = 64 * 1024;
  void put_bytes(std::string_view text) {
    if (quiet_) return;
    buffer_ += text;
    if (buffer_.size() >= flush_at) flush();
  }
  int out_, err_;
  bool good_ = true, quiet_ = false, collects_ = false, documented_ = false;
  std::vector<Said> said_;
  std::string buffer_;
};

// "dmctl: " and one line of text for stderr.
std::string own_words(std::string_view text);
// Text for a person, made safe line by line; each line but the first is indented, each ends with a newline.
std::string safe_lines(std::string_view text);

}  // namespace dm::dmctl
