// The table of dmctl's options: what each is called, which verbs take it, and what it sets. The caller's privilege; no I/O.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "dmctl/command.hh"

namespace dm::dmctl {

struct Option {
  std::string_view name;   // with its dashes
  char letter;             // 0 where it has none
  bool takes_value;
  std::string_view verbs;  // those that take it, a blank between two; "" where all do
  // Sets it; returns what is wrong with the value, "" where nothing is.
  std::string (*set)(Command &command, std::string_view value);
  [[nodiscard]] bool is_for(std::string_view verb) const;
};

// By its name with the dashes, or by its letter; nullptr where there is none.
const Option *find_option(std::string_view name);
const Option *find_option(char letter);
std::span<const Option> options();
// "start takes no --yes; only new and edit do".
std::string refuse_option(const Option &option, std::string_view verb);

}  // namespace dm::dmctl
