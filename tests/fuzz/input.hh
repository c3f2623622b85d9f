// The bytes that the fuzzer chose, taken piece by piece, and what a target says when something is not as it must be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace dm::fuzz {

// Every run makes all of these hold; the fuzzer keeps the input for which one does not.
inline void must(bool holds, const char *sentence) {
  if (holds) return;
  std::fprintf(stderr, "FINDING: it does not hold that %s\n", sentence);
  std::abort();
}

// Past its end it gives zeros and empty texts.
class Input {
public:
  Input(const std::uint8_t *data, std::size_t size) : rest_(reinterpret_cast<const char *>(data), size) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }
  std::string_view bytes(std::size_t count) {
    const std::string_view piece = rest_.substr(0, count);
    rest_.remove_prefix(piece.size());
    return piece;
  }
  // A text of the length that its first byte says.
  std::string_view text() { return bytes(byte()); }
  std::uint8_t byte() { return number<std::uint8_t>(); }
  template <typename T>
  T number() {
    T value{};
    const std::string_view piece = bytes(sizeof value);
    std::memcpy(&value, piece.data(), piece.size());
    return value;
  }

private:
  std::string_view rest_;
};

}  // namespace dm::fuzz
