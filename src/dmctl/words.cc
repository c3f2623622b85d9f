// Lists for programs: verbs, signals, own confs. The caller's privilege; no manager is asked.
#include "dmctl/words.hh"

#include "dmctl/command.hh"
#include "dmctl/home.hh"
#include "lib/text.hh"

#include <string>
#include <vector>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr int last_signal = 64;

// What the words behind a verb are, where they are not ids.
constexpr struct {
  std::string_view verb, takes;
} others[] = {{"check", "files"}, {"disable", "confs"}, {"edit", "confs"}, {"enable", "confs"}, {"explain", "explain"}, {"help", "verbs"}, {"kill", "kill"}, {"new", "none"}};

std::string_view takes(const Verb &verb) {
  for (const auto &other : others)
    if (other.verb == verb.name) return other.takes;
  return verb.ids == Ids::none ? "none" : "ids";
}

void print_signals(Printer &printer) {
  for (int signal = 1; signal <= last_signal; signal++)
    if (const std::string name = signal_name(signal); name.starts_with("SIG") && name.find('+') == name.npos) printer.put(name.substr(3) + "\n");
}

void print_confs(Printer &printer) {
  const Caller caller = find_caller();
  std::vector<std::string> names;
  if (caller.daemons && list_names(caller, names))
    for (const std::string &name : names) printer.put(escape(name) + "\n");
}

}  // namespace

bool print_words(std::string_view word, Printer &printer) {
  if (word == ".verbs")
    for (const Verb &verb : verbs()) printer.put(fmt::format("{}\t{}\t{}\n", verb.name, takes(verb), verb.summary));
  else if (word == ".signals") print_signals(printer);
  else if (word == ".confs") print_confs(printer);
  else return false;
  return true;
}

}  // namespace dm::dmctl
