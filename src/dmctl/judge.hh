// Judges the text of one conf as dm-scan and the worker would, and warns of what is likely to go wrong. The caller's privilege.
#pragma once

#include <string>
#include <vector>

#include "dmctl/home.hh"
#include "helpers/scan_file.hh"
#include "lib/conf.hh"

namespace dm::dmctl {

struct Judgement {
  bool usable = false;            // nothing but warnings
  std::string text;               // all that there is to say, whole lines, made safe; "" where it is well
  std::vector<ConfFault> faults{};  // the same, one by one; line 0: of the whole file
};

// `read` is what read_own_file made of the file; it is called `path`, and its daemon `name`. Where `err` is a terminal, the text is wrapped
// for it.
Judgement judge_conf(const Caller &caller, OwnFile read, const std::string &path, const std::string &name, int err);

inline constexpr std::uint32_t most_conf_bytes = 1U << 28;  // above any [limits] book, which only the manager knows

}  // namespace dm::dmctl
