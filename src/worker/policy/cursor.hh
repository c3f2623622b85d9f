// Walks along one line of the master config, word by word. Runs in dm-policy, as the worker's uid.
#pragma once

#include <string_view>
#include <vector>

#include "worker/policy/config.hh"

namespace dm::master {

// A piece of the line and where it stands.
struct Word {
  Place place;
  std::string_view text;
};

class Cursor {
public:
  // `line` is without its comment; faults go to the end of `faults`.
  Cursor(std::string_view line, std::uint32_t number, std::vector<Fault> &faults);

  [[nodiscard]] bool at_end() const { return at_ == line_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : line_[at_]; }
  [[nodiscard]] Place place() const { return {number_, static_cast<std::uint32_t>(at_ + 1)}; }
  // Steps over `wanted` and the blanks behind it; false, and no step, where something else stands.
  bool take(char wanted);
  // All that is left, without the blanks at the end.
  Word rest();
  // A user's name, or a group's behind an @. False, with a fault, where there is none.
  bool name(Name &out);
  // What stands before the next blank or comma; empty, with a fault, where nothing does.
  Word item(std::string_view expected);
  // `key = value`, each without blanks and commas. False, with a fault, where it is something else.
  bool key_value(Word &key, Word &value);

  // A fault at the cursor: what was found, what was expected and what to do.
  void fault(std::string_view found, std::string_view expected);
  // The same, with the word at the cursor as what was found.
  void fault_here(std::string_view expected);
  void fault_at(const Word &word, std::string_view expected);

private:
  void skip_blanks();
  Word word_until(std::string_view stops);

  std::string_view line_;
  std::size_t at_ = 0;
  std::uint32_t number_;
  std::vector<Fault> &faults_;
};

}  // namespace dm::master
