// The one place where fmt is compiled, for it takes long: all others include <fmt/core.h>, which only declares. As Debian has
// libfmt only as a shared library, and the helpers are static, it is taken out of the headers.
#define FMT_HEADER_ONLY 1
// No format here groups digits; without this every program would carry all of the C++ library's locales, half a megabyte.
#define FMT_STATIC_THOUSANDS_SEPARATOR ','
#include <fmt/format.h>

namespace {

// Being used, they are emitted: what fmt::format calls once the types of its arguments are known.
[[gnu::used]] std::string (*const vformat)(fmt::string_view, fmt::format_args) = &fmt::vformat;
[[gnu::used]] void (*const assert_fail)(const char *, int, const char *) = &fmt::detail::assert_fail;
[[gnu::used]] void (*const throw_error)(const char *) = &fmt::detail::throw_format_error;

}  // namespace
