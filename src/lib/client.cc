// Frames between dmctl and the worker: put together and taken apart. Everyone's privilege; no I/O.
#include "lib/client.hh"

#include <cstring>

namespace dm {
namespace {

void put_u32(char *at, std::uint32_t value) {
  for (unsigned i = 0; i < 4; i++) at[i] = static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
}

// A NUL inside a field would become two fields at the other end: the rest of such a field is dropped instead.
std::string_view up_to_nul(std::string_view field) { return field.substr(0, field.find('\0')); }

}  // namespace

void put_frame(std::string &out, FrameKind kind, const std::vector<std::string_view> &fields) {
  const std::size_t start = out.size();
  out.resize(start + sizeof(FrameHeader));
  for (std::string_view field : fields) {
    out.append(up_to_nul(field));
    out.push_back('\0');
  }
  put_u32(&out[start], static_cast<std::uint32_t>(kind));
  put_u32(&out[start + 4], static_cast<std::uint32_t>(out.size() - start - sizeof(FrameHeader)));
}

bool split_fields(std::string_view payload, std::vector<std::string_view> &fields, std::size_t most) {
  fields.clear();
  while (!payload.empty()) {
    const std::size_t end = payload.find('\0');
    if (end == std::string_view::npos || fields.size() == most) return false;
    fields.push_back(payload.substr(0, end));
    payload.remove_prefix(end + 1);
  }
  return true;
}

}  // namespace dm
