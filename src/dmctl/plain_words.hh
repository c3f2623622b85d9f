// Which of the words that are no options is the verb, the signal, the number. The caller's privilege; no I/O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "dmctl/command.hh"

namespace dm::dmctl {

struct PlainWords {
  std::vector<std::string_view> words;
  std::size_t after_verb = 0;  // the first behind the verb
};

// Each takes its word out and sets it in the command; they return what is wrong, "" where nothing is.
std::string choose_verb(PlainWords &plain, Command &command);
// Of kill, where no option named it.
std::string choose_signal(PlainWords &plain, Command &command);
// Of scale.
std::string choose_size(PlainWords &plain, Command &command);

// The signal, without SIG, that somebody may have meant by this word; "" where none is near.
std::string nearest_signal(std::string_view word);

bool all_digits(std::string_view text);

}  // namespace dm::dmctl
