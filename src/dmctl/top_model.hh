// What top knows and what its keys do to it. The caller's privilege; no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dmctl/screen.hh"
#include "dmctl/status_view.hh"

namespace dm::dmctl {

// What a key asked for that the model does not do itself.
struct Deed {
  enum class Kind { none, quit, refresh, log, verb } kind = Kind::none;
  std::string_view verb = "";  // start, stop, restart, kill
  std::string id{};
};

class TopModel {
public:
  // New rows; percent of the CPU are those since the last.
  void take(std::vector<Sight> sights, std::int64_t now_ms);
  // `page`: rows that the screen shows.
  Deed press(const Press &press, std::size_t page);

  // What passes the filter, in the order of sorting.
  [[nodiscard]] const std::vector<Sight> &shown() const { return shown_; }
  [[nodiscard]] std::size_t total() const { return all_.size(); }
  [[nodiscard]] std::size_t running() const;
  // Index in shown() of the row that keys are about; 0 where there is none.
  [[nodiscard]] std::size_t selected() const { return selected_; }
  [[nodiscard]] std::string_view sorted_by() const { return sort_; }
  [[nodiscard]] const std::string &filter() const { return filter_; }
  [[nodiscard]] bool types_filter() const { return mode_ == Mode::filter; }
  [[nodiscard]] bool shows_help() const { return mode_ == Mode::help; }
  // The question that waits for y or n; "" for none.
  [[nodiscard]] std::string question() const;
  void sort_by(std::string_view column);
  // One line under the table, until the next key.
  std::string message;

private:
  enum class Mode { rows, filter, confirm, help };
  Deed press_row(const Press &press, std::size_t page);
  Deed press_filter(const Press &press);
  Deed press_confirm(const Press &press);
  Deed act(std::string_view verb);
  void move(std::ptrdiff_t by);
  void select(std::size_t index);
  void arrange();

  struct Sample {
    std::uint64_t cpu_us;
    std::int64_t at_ms;
    std::string pid;
  };
  std::map<std::string, Sample> samples_;
  std::vector<Sight> all_, shown_;
  std::size_t selected_ = 0;
  std::string selected_id_, filter_;
  std::string_view sort_ = "name", asked_ = "";
  Mode mode_ = Mode::rows;
};

}  // namespace dm::dmctl
