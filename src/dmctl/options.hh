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
  std::string_view value;  // what stands for its value in help; "" where it takes none
  std::string_view verbs;  // those that take it, a blank between two; "" where all do
  std::string_view summary;
  // Sets it; returns what is wrong with the value, "" where nothing is.
  std::string (*set)(Command &command, std::string_view value);
  [[nodiscard]] bool takes_value() const { return !value.empty(); }
  [[nodiscard]] bool is_for(std::string_view verb) const;
  // It is for this verb, and changes something of it.
  [[nodiscard]] bool helps(const Verb &verb) const;
  // What it does there.
  [[nodiscard]] std::string summary_for(std::string_view verb) const;
};

// By its name with the dashes, or by its letter; nullptr where there is none.
const Option *find_option(std::string_view name);
const Option *find_option(char letter);
std::span<const Option> options();

// The way in which a signal is named, which is no option like others: -HUP and -9 are one too.
inline constexpr std::string_view signal_option = "--signal";
// "start takes no --yes; only new and edit do".
std::string refuse_option(const Option &option, std::string_view verb);

}  // namespace dm::dmctl
