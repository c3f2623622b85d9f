// Walks along one line of the master config, word by word. Runs in dm-policy, as the worker's uid.
#include "worker/policy/cursor.hh"

#include <fmt/core.h>

#include "lib/names.hh"
#include "lib/text.hh"

namespace dm::master {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

Cursor::Cursor(std::string_view line, std::uint32_t number, std::vector<Fault> &faults)
    : line_(line), number_(number), faults_(faults) {
  while (!line_.empty() && blank(line_.back())) line_.remove_suffix(1);
  skip_blanks();
}

void Cursor::skip_blanks() {
  while (!at_end() && blank(line_[at_])) at_++;
}

bool Cursor::take(char wanted) {
  if (peek() != wanted || at_end()) return false;
  at_++;
  skip_blanks();
  return true;
}

Word Cursor::rest() {
  const Word word{place(), line_.substr(at_)};
  at_ = line_.size();
  return word;
}

Word Cursor::word_until(std::string_view stops) {
  Word word{place(), line_.substr(at_)};
  std::size_t size = 0;
  while (size < word.text.size() && !blank(word.text[size]) && stops.find(word.text[size]) == std::string_view::npos) size++;
  word.text = word.text.substr(0, size);
  at_ += size;
  skip_blanks();
  return word;
}

bool Cursor::name(Name &out) {
  const Place start = place();
  const bool group = take('@');
  if (at_end()) {
    fault("the end of the line", group ? "the name of a group behind '@'; add it" : "a name; add it or remove the comma");
    return false;
  }
  const Word word = word_until(":,");
  if (word.text.empty()) {
    fault_at({word.place, line_.substr(word.place.column - 1, 1)}, "the name of a user, or @ and that of a group; add it");
    return false;
  }
  if (word.text == "*") {
    fault_at(word, "the name of a user, or @ and that of a group; '*' is for [limits], name whom you mean");
    return false;
  }
  bool sound = word.text.size() <= max_user_name;
  for (const char c : word.text) sound = sound && c != '/' && c != '[' && c != ']' && !control(c);
  if (!sound) {
    fault_at(word, fmt::format("a name of at most {} bytes without '/', brackets and control characters; correct it",
                               max_user_name));
    return false;
  }
  out.place = start;
  out.text = std::string(word.text);
  out.group = group;
  return true;
}

Word Cursor::item(std::string_view expected) {
  if (at_end() || peek() == ',') fault(at_end() ? "the end of the line" : "','", expected);
  return word_until(",");
}

bool Cursor::key_value(Word &key, Word &value) {
  key = word_until("=,:");
  if (key.text.empty()) {
    if (at_end()) fault("the end of the line", "key=value; add it or remove what leads to it");
    else fault_here("key=value; write it so");
    return false;
  }
  if (!take('=')) {
    if (at_end()) fault("the end of the line", fmt::format("'=' and a value behind '{}'; add them", escape(key.text)));
    else fault_here(fmt::format("'=' behind '{}'; write key=value", escape(key.text)));
    return false;
  }
  value = word_until(",");
  if (value.text.empty()) {
    fault(at_end() ? "the end of the line" : "','", fmt::format("a value for '{}'; add it", escape(key.text)));
    return false;
  }
  return true;
}

void Cursor::fault(std::string_view found, std::string_view expected) {
  faults_.push_back({place(), false, fmt::format("found {}, expected {}", found, expected)});
}

void Cursor::fault_here(std::string_view expected) {
  if (at_end()) return fault("the end of the line", expected);
  std::string_view text = line_.substr(at_);
  std::size_t size = 1;
  while (size < text.size() && !blank(text[size]) && text[size] != ',' && text[size] != ':') size++;
  fault_at({place(), text.substr(0, size)}, expected);
}

void Cursor::fault_at(const Word &word, std::string_view expected) {
  faults_.push_back({word.place, false, fmt::format("found '{}', expected {}", escape(word.text), expected)});
}

}  // namespace dm::master
