// A file descriptor that closes itself. Runs with whatever privilege its user has.
#pragma once

#include <unistd.h>

#include <utility>

namespace dm {

// Owns one descriptor, or none (-1). Move-only.
// Kept inside as value + 1, so that an array of empty ones is all zero bytes and costs no memory until it is used.
class Fd {
public:
  constexpr Fd() = default;
  constexpr explicit Fd(int fd) : stored_(fd < 0 ? 0 : fd + 1) {}
  Fd(Fd &&other) noexcept : stored_(std::exchange(other.stored_, 0)) {}
  Fd &operator=(Fd &&other) noexcept {
    if (this != &other) {
      reset();
      stored_ = std::exchange(other.stored_, 0);
    }
    return *this;
  }
  Fd(const Fd &) = delete;
  Fd &operator=(const Fd &) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] constexpr int get() const { return stored_ - 1; }
  constexpr explicit operator bool() const { return stored_ != 0; }
  // Gives the descriptor away; the caller closes it.
  [[nodiscard]] constexpr int release() { return std::exchange(stored_, 0) - 1; }
  void reset() {
    if (stored_ != 0) ::close(std::exchange(stored_, 0) - 1);
  }

private:
  int stored_ = 0;
};

}  // namespace dm
