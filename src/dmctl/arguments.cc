// The command line of dmctl: options anywhere, the verb before or after the ids. The caller's privilege; no I/O.
#include "dmctl/command.hh"
#include "dmctl/options.hh"
#include "dmctl/plain_words.hh"
#include "lib/message.hh"
#include "lib/text.hh"

#include <utility>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

// Walks over the words once. Options are taken where they stand; what is no option waits in `plain` for its role.
class Reader {
public:
  explicit Reader(std::span<char *const> words) : words_(words) {}
  Parsed read();

private:
  bool take_option(std::string_view word);
  bool take_long(std::string_view word);
  bool take_letters(std::string_view word);
  bool take(const Option &option, std::string_view value);
  bool value_of(std::string_view name, std::string_view attached, std::string_view &value);
  bool set_signal(std::string_view name);
  void judge_options();
  void judge_words();
  void judge();
  // Always false; "" is no fault, and of several the first counts.
  bool refuse(std::string fault) {
    if (parsed_.fault.empty()) parsed_.fault = std::move(fault);
    return false;
  }

  std::span<char *const> words_;
  std::size_t next_ = 0;
  Parsed parsed_;
  PlainWords plain_;
  std::vector<const Option *> used_;
  bool help_ = false;
  bool version_ = false;
  std::string_view signal_option_;   // -HUP, -9, -s HUP as it was typed
  std::string_view number_option_;   // -9 as it was typed: lines for log and tail, else a signal
  bool two_numbers_ = false;
};

bool Reader::value_of(std::string_view name, std::string_view attached, std::string_view &value) {
  if (!attached.empty()) {
    value = attached;
    return true;
  }
  if (next_ == words_.size()) return refuse(fmt::format("{} needs a value behind it", name));
  value = words_[next_++];
  return true;
}

bool Reader::set_signal(std::string_view name) {
  if (!std::exchange(signal_option_, name).empty()) return refuse("there are two signals; expected one");
  parsed_.command.signal = parse_signal(name);
  if (parsed_.command.signal == 0) {
    const std::string meant = nearest_signal(name);
    return refuse(fmt::format("'{}' is no signal; {}", escape(name),
                              meant.empty() ? "expected a name such as HUP or a number of 1 to 64" : fmt::format("did you mean {}?", meant)));
  }
  return true;
}

bool Reader::take(const Option &option, std::string_view value) {
  used_.push_back(&option);
  if (std::string fault = option.set(parsed_.command, value); !fault.empty()) return refuse(std::move(fault));
  return true;
}

bool Reader::take_long(std::string_view word) {
  const std::size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  const Option *option = find_option(name);
  const bool takes_value = name == signal_option || (option != nullptr && option->takes_value());
  std::string_view value;
  if (takes_value && equals != word.npos) value = word.substr(equals + 1);
  else if (takes_value && !value_of(name, {}, value)) return false;
  if (name == signal_option) return set_signal(value);
  if (option != nullptr && (takes_value || equals == word.npos)) return take(*option, value);
  if (word == "--help") help_ = true;
  else if (word == "--version") version_ = true;
  else return refuse(fmt::format("there is no option '{}'; dmctl help lists them", escape(word)));
  return true;
}

// -q, -n5, -n 5; of those without a value several in one word, -lw.
bool Reader::take_letters(std::string_view word) {
  for (std::string_view rest = word.substr(1); !rest.empty(); rest.remove_prefix(1)) {
    const Option *option = find_option(rest[0]);
    const bool signal = rest[0] == 's';
    if (signal || (option != nullptr && option->takes_value())) {
      std::string_view value;
      if (!value_of(fmt::format("-{}", rest[0]), rest.substr(1), value)) return false;
      return signal ? set_signal(value) : take(*option, value);
    }
    if (rest[0] == 'h') help_ = true;
    else if (option == nullptr) return refuse(fmt::format("there is no option '{}'; dmctl help lists them", escape(word)));
    else if (!take(*option, {})) return false;
  }
  return true;
}

bool Reader::take_option(std::string_view word) {
  if (word.starts_with("--")) return take_long(word);
  const std::string_view rest = word.substr(1);
  if (all_digits(rest)) {
    two_numbers_ = !number_option_.empty();
    number_option_ = rest;
    return true;
  }
  if (parse_signal(rest) != 0) return set_signal(rest);
  return take_letters(word);
}

// Options that this verb does not take, or that contradict each other.
void Reader::judge_options() {
  Command &command = parsed_.command;
  const Verb &verb = *command.verb;
  if (!number_option_.empty()) {
    const Option &lines = *find_option('n');
    if (two_numbers_) refuse(fmt::format("-{} is a second number; expected one", number_option_));
    if (!(verb.takes_lines ? take(lines, number_option_) : set_signal(number_option_))) return;
  }
  if (verb.name == "kill" && signal_option_.empty()) refuse(choose_signal(plain_, command));
  else if (verb.name != "kill" && !signal_option_.empty()) refuse(fmt::format("{} takes no signal; only kill does", verb.name));
  for (const Option *option : used_)
    if (!option->is_for(verb.name)) refuse(refuse_option(*option, verb.name));
  if (command.quiet && command.follow.value_or(false)) refuse("--quiet shows nothing to follow; leave out one of them");
  if (!command.until.empty() && command.follow.value_or(false)) refuse("--until ends what --follow goes on with; leave out one of them");
  if (command.json && !verb.json) refuse(fmt::format("{} takes no --json; the verbs that only read do", verb.name));
  if (command.watch && (command.json || command.quiet)) refuse("--watch shows a picture that changes; leave out --json and --quiet");
  if (command.interval_ms != 0 && verb.name == "status" && !command.watch) refuse("--interval is between two pictures of --watch; add it");
}

// How many words it takes, and that they fit into one request.
void Reader::judge_words() {
  const Verb &verb = *parsed_.command.verb;
  const std::size_t count = plain_.words.size();
  if (verb.ids == Ids::none && count != 0) refuse(fmt::format("{} takes no daemon", verb.name));
  if (verb.ids == Ids::one && count != 1) refuse(fmt::format("{} takes exactly one daemon", verb.name));
  if (verb.name == "explain" && count < 3) refuse("explain needs a user, a verb and a daemon, like: dmctl explain amy stop david/web");
  if (verb.ids == Ids::some && count == 0) refuse(fmt::format("{} needs a daemon, or several, or all", verb.name));
  if (count + 4 > max_fields) refuse("too many daemons for one command; use all or several commands");
  std::size_t bytes = 64 + parsed_.command.user.size();
  for (std::string_view word : plain_.words) bytes += word.size() + 1;
  if (bytes > max_request) refuse("too many daemons for one command; use all or several commands");
  for (std::string_view word : plain_.words) {
    if (word.empty()) refuse("an empty word is no daemon");
    parsed_.command.words.emplace_back(word);
  }
}

void Reader::judge() {
  judge_options();
  if (parsed_.command.verb->name == "scale" && parsed_.fault.empty()) refuse(choose_size(plain_, parsed_.command));
  if (parsed_.fault.empty()) judge_words();
}

Parsed Reader::read() {
  bool options = true;
  while (next_ < words_.size()) {
    const std::string_view word = words_[next_++];
    if (options && word == "--") options = false;
    else if (options && word.size() > 1 && word[0] == '-') {
      if (!take_option(word)) return parsed_;
    } else plain_.words.push_back(word);
  }
  if (version_ && !help_) {
    parsed_.command.verb = find_verb("version");
    parsed_.command.words = {std::string(version_only)};
    return parsed_;
  }
  if (help_) {
    parsed_.command.verb = find_verb("help");
    for (std::string_view word : plain_.words)
      if (find_verb(word) != nullptr && parsed_.command.words.empty()) parsed_.command.words.emplace_back(word);
    return parsed_;
  }
  refuse(choose_verb(plain_, parsed_.command));
  if (parsed_.command.verb != nullptr) judge();
  return parsed_;
}

}  // namespace

Parsed parse_arguments(std::span<char *const> words) { return Reader(words).read(); }

}  // namespace dm::dmctl
