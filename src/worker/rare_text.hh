// A text that few daemons have: of the size of a pointer where there is none. Sandboxed.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace dm::worker {

class RareText {
 public:
  RareText() = default;
  RareText &operator=(std::string text) {
    text_ = text.empty() ? nullptr : std::make_unique<std::string>(std::move(text));
    return *this;
  }
  [[nodiscard]] bool empty() const { return text_ == nullptr; }
  void clear() { text_.reset(); }
  // As long as it is neither set nor gone.
  [[nodiscard]] std::string_view text() const { return text_ ? std::string_view(*text_) : std::string_view(); }
  operator std::string() const { return std::string(text()); }
  bool operator==(std::string_view other) const { return text() == other; }

 private:
  std::unique_ptr<std::string> text_;
};

}  // namespace dm::worker
