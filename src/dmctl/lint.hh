// What a conf without a fault is likely to get wrong when it runs: warnings. The rights of the caller, who looks at no more than
// he may; nothing is opened, and nothing executed.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/conf.hh"
#include "lib/conf_expand.hh"

namespace dm::dmctl {

// The program of a command: `at` is its offset, `name` the word.
struct Program {
  std::size_t at;
  std::string_view name;
};
// The first word where it is a program for certain, behind `exec` or not; nothing where the shell makes something else of it.
std::optional<Program> program_of(std::string_view command);

// Why the command will put itself into the background, and what to write instead; "" where nothing says that it will.
// `at`: the offset of the word that says so.
std::string background_words(std::string_view command, std::size_t &at);

// Why nothing will be written where `log` (expanded) says, and what to do; "" where nothing says so.
std::string output_words(const std::string &home, const LogTerms &log);

// Whether there is such a user; nothing where that cannot be known.
std::optional<bool> user_exists(const std::string &name);
// Why `owner` cannot have daemons run as `user`, and what to do; "" where nothing says so.
std::string user_words(std::string_view owner, const std::string &user);

// Warnings about `conf`, which is not expanded and was parsed from `text`, in the order of the lines.
std::vector<ConfFault> lint(const Conf &conf, std::string_view text, const Meanings &meanings);

}  // namespace dm::dmctl
