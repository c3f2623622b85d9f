// All that there is to know of one daemon, as a page for people. The caller's privilege; no I/O.
#include "dmctl/page.hh"

#include "dmctl/colour.hh"
#include "dmctl/fields.hh"
#include "dmctl/width.hh"
#include "lib/text.hh"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::size_t label_width = 12;
constexpr std::string_view not_shown = "not shown to you", not_told = "not known: its conf has a fault";

std::string time_of(const std::string &field) {
  const std::optional<std::uint64_t> ms = number_of(field);
  return ms ? short_time(*ms) : escape(field);
}

// A line of a log: tabs become blanks, for how far they go is the terminal's business.
std::string safe_line(std::string_view text) {
  std::string line;
  for (std::size_t tab; (tab = text.find('\t')) != text.npos; text.remove_prefix(tab + 1)) line += escape(text.substr(0, tab)) + "    ";
  return line + escape(text);
}

class Drawing {
public:
  Drawing(const Page &page, std::size_t columns, bool colours) : page_(page), columns_(columns), colours_(colours), utf8_(knows_utf8()) {}
  std::string draw() {
    head();
    files();
    run();
    processes();
    endings();
    log();
    return std::move(out_);
  }

private:
  const std::string &field(RowField which) const { return page_.row[which]; }
  std::string in_colour(std::string_view text, std::string_view which) const { return colours_ ? paint(text, which) : std::string(text); }
  // "label: text", wrapped under where it begins.
  void put(std::string_view label, std::string_view text, std::string_view which = colour::none) {
    const std::size_t room = columns_ == 0 ? 0 : columns_ > label_width + 22 ? columns_ - label_width - 2 : 20;
    std::string begin = fmt::format("{:>{}}{} ", label, label_width, label.empty() ? ' ' : ':');
    for (const std::string &line : room == 0 ? std::vector<std::string>{std::string(text)} : wrap(text, room)) {
      out_ += begin + in_colour(line, which) + "\n";
      begin.assign(label_width + 2, ' ');
    }
  }
  // A line that is cut rather than wrapped.
  void put_cut(const std::string &line) { out_ += (columns_ == 0 ? line : cut(line, columns_)) + "\n"; }

  void head() {
    const std::string_view state = field(row_state), shade = colour_of_state(state);
    const std::string dot = utf8_ ? "\xe2\x97\x8f" : "*";
    out_ += in_colour(dot, shade) + " " + in_colour(escape(field(row_id)), colour::bold) + ": " + in_colour(escape(state), shade);
    if (is_running()) out_ += " for " + time_of(field(row_uptime_ms));
    if (!field(row_target).empty()) out_ += fmt::format("{} {}", is_running() ? " as" : ", runs as", escape(field(row_target)));
    out_ += "\n";
    if (!field(row_note).empty()) put("note", escape(field(row_note)), shade == colour::red || shade == colour::yellow ? shade : colour::none);
  }
  [[nodiscard]] bool is_running() const { return !field(row_pid).empty(); }

  void files() {
    if (field(row_conf).empty()) return;
    put("conf", escape(field(row_conf)));
    const std::string id = escape(field(row_id));
    if (field(row_stale) == "gone") put("", "it is gone; what runs is ended when nothing of it is needed any more", colour::yellow);
    else if (is_running() && (page_.edited || field(row_stale) == "changed"))
      put("", fmt::format("changed on disk since it was started; dmctl restart {} makes it count", id), colour::yellow);
    else if (page_.edited) put("", "changed on disk since the manager read it; dmctl rescan makes it count", colour::yellow);
    put("command", !field(row_start).empty() ? escape(field(row_start)) : std::string(field(row_shown) == "yes" ? not_told : not_shown));
    if (!field(row_autostart).empty()) put("starts", field(row_autostart) == "yes" ? "with the manager" : "by dmctl start only (autostart=no)");
  }

  void run() {
    put("runs", fmt::format("{} in all; respawns: {}", time_of(field(row_total_ms)), escape(field(row_respawns))));
    if (!is_running()) return;
    put("memory", page_.usage.memory ? short_size(*page_.usage.memory) : std::string(not_shown));
    put("cpu", page_.usage.cpu_us ? short_cpu(*page_.usage.cpu_us) : std::string(not_shown));
    std::string open = page_.descriptors ? std::to_string(*page_.descriptors) : std::string(not_shown);
    if (page_.descriptors && page_.most_descriptors) open += fmt::format(" of {}", *page_.most_descriptors);
    put("descriptors", open);
  }

  // True where no later process of the tree is a sibling of the one at `at`.
  [[nodiscard]] bool is_last(std::size_t at) const {
    const std::vector<Branch> &tree = page_.usage.tree;
    for (std::size_t i = at + 1; i < tree.size() && tree[i].depth >= tree[at].depth; i++)
      if (tree[i].depth == tree[at].depth) return false;
    return true;
  }

  void processes() {
    const Usage &usage = page_.usage;
    if (!is_running()) return;
    if (usage.tree.empty()) return put("processes", fmt::format("{}; its main one is {}", not_shown, escape(field(row_pid))));
    const std::string_view branch = utf8_ ? "\xe2\x94\x9c\xe2\x94\x80" : "|-", last = utf8_ ? "\xe2\x94\x94\xe2\x94\x80" : "`-",
                           line = utf8_ ? "\xe2\x94\x82 " : "| ";
    std::vector<bool> ends;  // of each level: the last of its siblings has been drawn
    for (std::size_t i = 0; i < std::min(usage.tree.size(), processes_of_page); i++) {
      const Branch &one = usage.tree[i];
      std::string text = fmt::format("{:>{}}  ", i == 0 ? "processes:" : "", label_width + 1);
      text.pop_back();
      ends.resize(one.depth + 1);
      ends[one.depth] = is_last(i);
      for (std::size_t level = 1; level < one.depth; level++) text += ends[level] ? std::string_view("  ") : line;
      if (one.depth != 0) text += ends[one.depth] ? last : branch;
      put_cut(text + fmt::format("{} {}", one.process.pid, escape(one.command)));
    }
    if (usage.tree.size() > processes_of_page) put("", fmt::format("and {} more", usage.tree.size() - processes_of_page));
    if (usage.hidden != 0) put("", fmt::format("and {} {}", usage.hidden, not_shown));
  }

  void endings() {
    const std::optional<std::uint64_t> status = number_of(field(row_end_status));
    // Who stopped it the history knows.
    if (!field(row_end).empty() && !page_.ends.empty() && page_.ends.front()[event_deed] == "stopped") put("last exit", ending(page_.ends.front()));
    else if (!field(row_end).empty() && status)
      put("last exit", fmt::format("{} {}, {} ago, after {}", field(row_end) == "exited" ? "exit code" : "killed by",
                                   field(row_end) == "exited" ? std::to_string(*status) : signal_name(static_cast<int>(*status)),
                                   time_of(field(row_end_ago_ms)), time_of(field(row_end_ran_ms))));
    // Of one that is down the latest stands there already.
    std::string_view label = field(row_end).empty() ? "last exits" : "before it";
    for (std::size_t i = field(row_end).empty() ? 0 : 1; i < page_.ends.size(); i++, label = "") put(label, ending(page_.ends[i]));
    if (const std::optional<std::uint64_t> left = number_of(field(row_cooldown_ms)); left && *left != 0)
      put("next start", fmt::format("in {}; dmctl start {} does it now", short_time(*left), escape(field(row_id))));
  }

  static std::string ending(const Event &event) {
    return fmt::format("{}, {} ago", escape(event[event_text]), short_time(ms_since(event[event_seconds])));
  }

  void log() {
    put("log", field(row_log).empty() ? "none; output=log in its conf keeps what it says" : escape(field(row_log)));
    if (field(row_log).empty() || field(row_log) == in_syslog) return;
    if (!page_.last.shown) return put("", "it cannot be read, or is not there yet");
    for (const std::string &text : page_.last.lines) put_cut("  " + safe_line(text));
  }

  const Page &page_;
  std::size_t columns_;
  bool colours_, utf8_;
  std::string out_;
};

}  // namespace

std::string draw_page(const Page &page, std::size_t columns, bool colours) { return Drawing(page, columns, colours).draw(); }

}  // namespace dm::dmctl
