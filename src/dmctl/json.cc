// What the reading verbs say to programs: one JSON document for a verb. The caller's privilege; no I/O.
#include "dmctl/json.hh"

#include "lib/text.hh"

#include <charconv>
#include <cstdint>

#include <nlohmann/json.hpp>

namespace dm::dmctl {
namespace {

// Strings of a whole document, wherever they stand; names of members are our own words.
void make_valid(Json &value) {
  if (value.is_string()) value = json_text(value.get_ref<const std::string &>());
  else if (value.is_structured())
    for (Json &part : value) make_valid(part);
}

Json said(const Said &one) {
  Json object = Json::object();
  object["id"] = one.id.empty() ? Json() : Json(one.id);
  if (one.code != Exit::done) object["code"] = static_cast<int>(one.code);
  object["text"] = one.text;
  return object;
}

Json begin(const Command &command) {
  Json document = Json::object();
  document["schema"] = json_schema;
  document["verb"] = command.verb == nullptr ? Json() : Json(std::string(command.verb->name));
  return document;
}

void put(Printer &printer, Json &document) {
  make_valid(document);
  // All in ASCII: safe on a terminal as it stands, and whatever the reader takes for his encoding.
  printer.put_document(document.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n");
}

}  // namespace

std::string json_text(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(bytes[0]);
      text += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    } else text += bytes.substr(0, length);
    bytes.remove_prefix(length == 0 ? 1 : length);
  }
  return text;
}

Json json_or_null(const std::string &field) { return field.empty() ? Json() : Json(field); }

Json json_number(std::string_view field) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  return error == std::errc{} && end == field.data() + field.size() ? Json(value) : Json();
}

Exit put_json(const Command &command, Printer &printer, Json body, Exit code) {
  Json document = begin(command);
  document.update(body);
  Json notes = Json::array(), errors = Json::array();
  for (const Said &one : printer.said()) (one.code == Exit::done ? notes : errors).push_back(said(one));
  document["notes"] = std::move(notes);
  document["errors"] = std::move(errors);
  document["exit"] = static_cast<int>(code);
  put(printer, document);
  printer.documented();
  return printer.flush() || code != Exit::done ? code : Exit::failed;
}

Exit put_json(const Command &command, Printer &printer, Exit code) { return put_json(command, printer, Json::object(), code); }

void put_json_line(const Command &command, Printer &printer, Json record) {
  Json document = begin(command);
  document.update(record);
  put(printer, document);
}

}  // namespace dm::dmctl
