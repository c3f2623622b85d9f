// Lists for programs: verbs, signals, own confs, options. The caller's privilege; no manager is asked.
#include "dmctl/words.hh"

#include "dmctl/command.hh"
#include "dmctl/home.hh"
#include "dmctl/options.hh"
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
} others[] = {{"check", "files"}, {"disable", "confs"}, {"edit", "confs"}, {"enable", "confs"}, {"explain", "explain"}, {"help", "verbs"}, {"kill", "kill"}, {"new", "none"}, {"scale", "families"}};

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

// Those that change something of this verb; of all verbs where it is none.
void print_options(std::string_view name, Printer &printer) {
  const Verb *verb = find_verb(name);
  if (verb == nullptr || verb->name == "kill") printer.put(fmt::format("{}\tthe signal, by name or number\n", signal_option));
  for (const Option &option : options())
    if (verb == nullptr || option.helps(*verb)) printer.put(fmt::format("{}\t{}\n", option.name, verb == nullptr ? std::string(option.summary) : option.summary_for(verb->name)));
  printer.put("--help\twhat it does\n");
}

}  // namespace

bool print_words(std::span<const std::string> words, Printer &printer) {
  const std::string_view word = words.empty() ? std::string_view() : words[0];
  if (word == ".verbs")
    for (const Verb &verb : verbs()) printer.put(fmt::format("{}\t{}\t{}\n", verb.name, takes(verb), verb.summary));
  else if (word == ".signals") print_signals(printer);
  else if (word == ".confs") print_confs(printer);
  else if (word == ".options") print_options(words.size() > 1 ? std::string_view(words[1]) : std::string_view(), printer);
  else return false;
  return true;
}

}  // namespace dm::dmctl
