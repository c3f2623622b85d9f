// status --watch: what status prints, again and again on one screen. The caller's privilege.
#include "dmctl/watch.hh"

#include "dmctl/colour.hh"
#include "dmctl/live.hh"
#include "dmctl/screen.hh"
#include "dmctl/status_text.hh"

#include <algorithm>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

class Watch {
public:
  Watch(const Command &command, Printer &printer) : command_(command), screen_(0, printer.out()), colours_(use_colour(command.colour, printer.out())) {}
  [[nodiscard]] bool good() const { return screen_.good(); }

  void run() {
    const unsigned interval = command_.interval_ms != 0 ? command_.interval_ms : preset_interval_ms;
    std::int64_t due = 0;
    while (screen_.good() && Screen::ended() == 0) {
      if (steady_ms() >= due) {
        look();
        due = steady_ms() + interval;
      }
      show();
      const std::int64_t left = due - steady_ms();
      const std::optional<Press> press = screen_.wait(static_cast<int>(std::clamp<std::int64_t>(left, 0, interval)));
      if (press && press->key == Key::letter && press->text == "q") return;
      if (press) move(*press);
    }
  }

private:
  void look() {
    Question question = question_of(command_);
    question.keep_text = true;
    question.long_rows = wants_pages(command_, true);
    Picture picture = take_picture(question);
    problem_ = picture.problem;
    if (!picture.answer.complete) return;  // what was known last stays, under the problem
    rows_ = std::move(picture.answer.rows);
    events_ = std::move(picture.answer.events);
    text_ = picture.answer.text;
  }

  void show() {
    const Size size = screen_.size();
    const std::vector<std::string> body = lines_of(status_text(command_, rows_, events_, true, size.columns, colours_) + text_);
    const std::size_t room = size.rows > 1 ? size.rows - 1 : 1;
    from_ = std::min(from_, body.size() > room ? body.size() - room : 0);
    const std::string title = problem_.empty() ? "dmctl status; q quits" : problem_;
    std::vector<std::string> lines{colours_ || !problem_.empty() ? paint(cut(title, size.columns), problem_.empty() ? colour::faint : colour::reverse) : cut(title, size.columns)};
    for (std::size_t i = from_; i < body.size() && lines.size() <= room; i++) lines.push_back(body[i]);
    screen_.draw(lines);
  }

  void move(const Press &press) {
    const std::size_t page = std::max<std::size_t>(1, screen_.size().rows / 2);
    const bool down = press.key == Key::down || press.text == "j", up = press.key == Key::up || press.text == "k";
    if (down) from_++;
    else if (up) from_ -= std::min<std::size_t>(from_, 1);
    else if (press.key == Key::page_down || press.text == " ") from_ += page;
    else if (press.key == Key::page_up) from_ -= std::min(from_, page);
    else if (press.key == Key::home) from_ = 0;
    else if (press.key == Key::end) from_ = SIZE_MAX / 2;
  }

  const Command &command_;
  Screen screen_;
  bool colours_;
  std::vector<Row> rows_;
  std::vector<Event> events_;
  std::string text_, problem_;
  std::size_t from_ = 0;
};

}  // namespace

Exit watch_status(const Command &command, Printer &printer) {
  {
    Watch watch(command, printer);
    if (watch.good()) {
      watch.run();
      return Exit::done;
    }
  }
  printer.complain(own_words("--watch needs a terminal; leave it out to have the state once"));
  return Exit::usage;
}

}  // namespace dm::dmctl
