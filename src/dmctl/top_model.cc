// What top knows and what its keys do to it. The caller's privilege; no I/O.
#include "dmctl/top_model.hh"

#include "lib/text.hh"

#include <algorithm>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

struct SortKey {
  std::string_view key, column;
};
constexpr SortKey sort_keys[] = {{"N", "name"}, {"S", "state"}, {"C", "cpu"}, {"M", "memory"}, {"U", "uptime"}, {"R", "respawns"}};

struct ActKey {
  std::string_view key, verb;
};
constexpr ActKey act_keys[] = {{"s", "start"}, {"x", "stop"}, {"r", "restart"}, {"K", "kill"}};

constexpr std::size_t longest_filter = 64;

}  // namespace

std::size_t TopModel::running() const {
  return static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), [](const Sight &sight) { return is_active(sight.row); }));
}

std::string TopModel::question() const {
  // (It may have been started since the last look, so that it may be stopped all the same.)
  const bool rests = mode_ == Mode::confirm && asked_ == "stop" && shown_[selected_].row[row_state] == "stopped";
  return mode_ == Mode::confirm ? fmt::format("{}{} {}? [y/N]", rests ? "it is stopped already; " : "", asked_ == "kill" ? "send SIGTERM to" : asked_, escape(selected_id_)) : std::string();
}

void TopModel::take(std::vector<Sight> sights, std::int64_t now_ms) {
  std::map<std::string, Sample> samples;
  for (Sight &sight : sights) {
    if (!sight.cpu_us) continue;
    const std::string &id = sight.row[row_id];
    const auto before = samples_.find(id);
    // Another main process is another run: what the one before it used is not its.
    if (before != samples_.end() && before->second.pid == sight.row[row_pid] && now_ms > before->second.at_ms && *sight.cpu_us >= before->second.cpu_us)
      sight.cpu_percent = static_cast<double>(*sight.cpu_us - before->second.cpu_us) / 10.0 / static_cast<double>(now_ms - before->second.at_ms);
    samples[id] = {*sight.cpu_us, now_ms, sight.row[row_pid]};
  }
  samples_ = std::move(samples);
  all_ = std::move(sights);
  arrange();
}

void TopModel::sort_by(std::string_view column) {
  sort_ = column;
  arrange();
}

// The selection stays with its daemon, wherever that goes.
void TopModel::arrange() {
  shown_.clear();
  for (const Sight &sight : all_)
    if (filter_.empty() || sight.row[row_id].find(filter_) != std::string::npos || sight.row[row_state].find(filter_) != std::string::npos)
      shown_.push_back(sight);
  sort_sights(shown_, sort_);
  const auto at = std::find_if(shown_.begin(), shown_.end(), [&](const Sight &sight) { return sight.row[row_id] == selected_id_; });
  const bool there = at != shown_.end();
  if (mode_ == Mode::confirm && !there) mode_ = Mode::rows;
  select(there ? static_cast<std::size_t>(at - shown_.begin()) : selected_);
}

void TopModel::select(std::size_t index) {
  selected_ = shown_.empty() ? 0 : std::min(index, shown_.size() - 1);
  selected_id_ = shown_.empty() ? "" : shown_[selected_].row[row_id];
}

void TopModel::move(std::ptrdiff_t by) {
  const auto at = static_cast<std::ptrdiff_t>(selected_) + by;
  select(at < 0 ? 0 : static_cast<std::size_t>(at));
}

Deed TopModel::press(const Press &press, std::size_t page) {
  if (press.key == Key::none) return {};
  message.clear();
  switch (mode_) {
  case Mode::rows: return press_row(press, page);
  case Mode::filter: return press_filter(press);
  case Mode::confirm: return press_confirm(press);
  case Mode::help: mode_ = Mode::rows; return {};
  }
  return {};
}

Deed TopModel::press_row(const Press &press, std::size_t page) {
  const auto step = static_cast<std::ptrdiff_t>(std::max<std::size_t>(page, 1));
  switch (press.key) {
  case Key::up: return move(-1), Deed{};
  case Key::down: return move(1), Deed{};
  case Key::page_up: return move(-step), Deed{};
  case Key::page_down: return move(step), Deed{};
  case Key::home: return select(0), Deed{};
  case Key::end: return select(shown_.size()), Deed{};
  case Key::escape: return filter_.clear(), arrange(), Deed{};
  case Key::enter: return act("log");
  case Key::none: case Key::backspace: return {};
  case Key::letter: break;
  }
  const std::string &key = press.text;
  if (key == "q") return {.kind = Deed::Kind::quit};
  if (key == " ") return {.kind = Deed::Kind::refresh};
  if (key == "k") return move(-1), Deed{};
  if (key == "j") return move(1), Deed{};
  if (key == "/") return mode_ = Mode::filter, Deed{};
  if (key == "?" || key == "h") return mode_ = Mode::help, Deed{};
  if (key == "l") return act("log");
  for (const SortKey &sort : sort_keys)
    if (key == sort.key) return sort_by(sort.column), Deed{};
  for (const ActKey &one : act_keys)
    if (key == one.key) return act(one.verb);
  message = "? shows the keys";
  return {};
}

Deed TopModel::act(std::string_view verb) {
  if (shown_.empty()) return message = "there is no daemon in this list", Deed{};
  if (verb == "log") return {.kind = Deed::Kind::log, .id = selected_id_};
  if (verb == "start") return {.kind = Deed::Kind::verb, .verb = verb, .id = selected_id_};
  asked_ = verb;
  mode_ = Mode::confirm;
  return {};
}

Deed TopModel::press_filter(const Press &press) {
  if (press.key == Key::enter) mode_ = Mode::rows;
  else if (press.key == Key::escape) mode_ = Mode::rows, filter_.clear();
  else if (press.key == Key::backspace) {
    while (!filter_.empty() && (static_cast<unsigned char>(filter_.back()) & 0xc0U) == 0x80U) filter_.pop_back();
    if (!filter_.empty()) filter_.pop_back();
  } else if (press.key == Key::letter && filter_.size() < longest_filter) filter_ += press.text;
  arrange();
  return {};
}

Deed TopModel::press_confirm(const Press &press) {
  mode_ = Mode::rows;
  if (press.key != Key::letter || (press.text != "y" && press.text != "Y")) return message = "nothing was done", Deed{};
  return {.kind = Deed::Kind::verb, .verb = asked_, .id = selected_id_};
}

}  // namespace dm::dmctl
