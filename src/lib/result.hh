// A value or the reason why there is none. For everything but the monitor, which has no use for text.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace dm {

// What failed, at which errno (0 when the kernel had no part in it), and on what: ready to be shown to a person.
struct Error {
  std::string operation;
  int errno_value = 0;
  std::string subject;
};

template <typename T>
class [[nodiscard]] Result {
public:
  Result(T value) : value_(std::move(value)) {}        // NOLINT: a value is a result
  Result(Error error) : value_(std::move(error)) {}    // NOLINT: so is an error
  explicit operator bool() const { return std::holds_alternative<T>(value_); }
  T &operator*() { return *std::get_if<T>(&value_); }
  const T &operator*() const { return *std::get_if<T>(&value_); }
  T *operator->() { return std::get_if<T>(&value_); }
  const T *operator->() const { return std::get_if<T>(&value_); }
  [[nodiscard]] const Error &error() const { return *std::get_if<Error>(&value_); }

private:
  std::variant<T, Error> value_;
};

}  // namespace dm
