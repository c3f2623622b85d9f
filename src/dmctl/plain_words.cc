// Which of the words that are no options is the verb, the signal, the number. The caller's privilege; no I/O.
#include "dmctl/plain_words.hh"

#include "lib/message.hh"
#include "lib/nearest.hh"
#include "lib/text.hh"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr int last_signal = 64;

}  // namespace

bool all_digits(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == text.npos; }

// The first word if it is a verb, else the second, else the last: `stop a b`, `a kill HUP`, `a b stop`.
std::string choose_verb(PlainWords &plain, Command &command) {
  std::vector<std::string_view> &words = plain.words;
  if (words.empty()) {
    command.verb = find_verb("status");
    return {};
  }
  for (std::size_t at : {std::size_t{0}, std::size_t{1}, words.size() - 1}) {
    if (at >= words.size()) continue;
    const Verb *verb = find_verb(words[at]);
    if (verb == nullptr) continue;
    command.verb = verb;
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
    plain.after_verb = at;
    return {};
  }
  const std::string word = escape(words[0]);
  for (std::size_t at : {std::size_t{0}, std::size_t{1}, words.size() - 1}) {
    const std::string meant = at < words.size() ? nearest_verb(words[at]) : std::string();
    if (meant.empty()) continue;
    return fmt::format("'{}' is not a verb; did you mean '{}'?{}", escape(words[at]), meant,
                       words.size() == 1 ? fmt::format(" (for the state of a daemon of that name: dmctl status {})", word) : "");
  }
  return words.size() == 1
             ? fmt::format("'{}' is not a verb; for the state of a daemon of that name: dmctl status {}", word, word)
             : fmt::format("there is no verb in this; '{}' is not one", word);
}

std::string nearest_signal(std::string_view word) {
  constexpr std::string_view prefix = "SIG";
  std::string upper(word);
  for (char &c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c & ~0x20);
  if (!std::all_of(upper.begin(), upper.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); })) return {};
  Nearest nearest(upper);
  for (int signal = 1; signal <= last_signal; signal++) {
    const std::string name = signal_name(signal);
    if (!name.starts_with(prefix)) continue;
    nearest.offer(name.substr(prefix.size()));
    nearest.offer(name);
  }
  return nearest.found().starts_with(prefix) ? nearest.found().substr(prefix.size()) : nearest.found();
}

// `kill HUP id`: the word right behind `kill` is the signal where it names one and no option did; else the last word where it does. All
// others are ids; a number is hardly ever one, and must not become one where it is mistyped.
std::string choose_signal(PlainWords &plain, Command &command) {
  std::vector<std::string_view> &words = plain.words;
  const std::string_view word = plain.after_verb < words.size() ? words[plain.after_verb] : std::string_view();
  const int signal = parse_signal(word);
  if (signal == 0) {
    if (words.size() >= 2 && parse_signal(words.back()) != 0) {
      command.last_signal = words.back();
      command.signal = parse_signal(words.back());
      words.pop_back();
    }
    for (const std::string_view id : words) {
      if (!all_digits(id)) continue;
      return fmt::format("'{0}' is {1} (a daemon of that name: dmctl kill -TERM {0})", id,
                         parse_signal(id) == 0 ? "no signal; expected a name such as HUP or a number of 1 to 64" : "a signal; put it first, or last");
    }
    return {};
  }
  if (words.size() == 1) {
    const std::string shown = escape(word);
    return fmt::format("kill needs a daemon; '{}' right behind it is a signal (a daemon of that name: kill TERM {})", shown, shown);
  }
  command.signal = signal;
  words.erase(words.begin() + static_cast<std::ptrdiff_t>(plain.after_verb));
  return {};
}

// `scale web 6`: the last word is how many.
std::string choose_size(PlainWords &plain, Command &command) {
  std::vector<std::string_view> &words = plain.words;
  const std::string_view word = words.empty() ? std::string_view() : words.back();
  if (words.size() < 2)
    return "scale needs the name of a conf with instances= and a number, like: dmctl scale web 4";
  unsigned size = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), size);
  if (!all_digits(word) || error != std::errc{} || end != word.data() + word.size() || size < 1 || size > max_instances) {
    return fmt::format("scale needs a number of 1 to {} as its last word{}", max_instances,
                       word.empty() ? "" : fmt::format(", and '{}' is none", escape(word)));
  }
  command.size = size;
  words.pop_back();
  return {};
}

}  // namespace dm::dmctl
