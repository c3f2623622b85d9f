// The keys of a conf that say where its output goes, and how the log is kept. Worker's, owner's or caller's privilege.
#include <charconv>

#include "lib/conf_expand.hh"
#include "lib/conf_match.hh"
#include "lib/conf_parser.hh"

namespace dm {
namespace {

constexpr std::string_view file_mark = "file:";

}  // namespace

void ConfParser::set_output(const ConfLine &line) {
  if (line.value == "log") conf_.log.output = Output::log;
  else if (line.value == "discard") conf_.log.output = Output::discard;
  else if (line.value == "syslog") conf_.log.output = Output::syslog;
  else if (line.value.starts_with(file_mark)) {
    const std::string_view path = line.value.substr(file_mark.size());
    if (!absolute_path(path) || !log_path(expand(path, {"n", "u", "/h/", 1})))
      return bad_value(line, "the whole path of a file behind file:, of at most 767 bytes: write it like output=file:%h/site/%n.log");
    conf_.log.output = Output::file;
    conf_.log.file = path;
  } else bad_value(line, "log, syslog, file:PATH or discard: write output=log to keep what the daemon prints");
}

void ConfParser::set_log_size(const ConfLine &line) {
  std::uint64_t size = 0;
  if (parse_size(line.value, size) && (size == 0 || (size >= least_log_size && size <= greatest_log_size))) conf_.log.size = size;
  else bad_value(line, "a size from 4K to 1024G, or 0 for a log without end: write one like log_size=10M (units K M G)");
}

void ConfParser::set_log_keep(const ConfLine &line) {
  if (!whole_number(line.value, most_logs_kept, conf_.log.keep))
    bad_value(line, "a number from 0 to 1000: write so many old logs as shall stay, like log_keep=5");
}

void ConfParser::set_log_compress(const ConfLine &line) {
  if (line.value == "yes" || line.value == "no") conf_.log.compress = line.value == "yes";
  else bad_value(line, "yes or no: write log_compress=yes to have old logs compressed with gzip");
}

void ConfParser::set_log_stamp(const ConfLine &line) {
  if (line.value == "utc") conf_.log.stamp = Stamp::utc;
  else if (line.value == "local") conf_.log.stamp = Stamp::local;
  else if (line.value == "none") conf_.log.stamp = Stamp::none;
  else bad_value(line, "utc, local or none: write log_stamp=local for the time of this machine's place");
}

// Each daemon has a log of its own: of two that write one file none could be taken up again after a crash, nor rotated.
void ConfParser::judge_output() {
  const Place *output = given("output");
  for (const char *key : {"log_size", "log_keep", "log_compress", "log_stamp"})
    if (const Place *place = given(key); place != nullptr && conf_.log.output == Output::syslog)
      fault_at(*place, "found " + std::string(key) + "= with output=syslog, expected it with output=log or output=file: alone, for syslog "
                                                     "keeps its logs itself: delete the line", true);
  if (conf_.log.output != Output::file) return;
  const bool each = holds_instance(conf_.log.file);
  if (conf_.instances > 0 && !each)
    fault_at(*output, "found " + quote(output->value) + " with instances=, expected a file for each of them: put %i, its number, into it, "
                                                        "like output=file:%h/log/%n.%i.log");
  else if (conf_.instances == 0 && each)
    fault_at(*output, "found %i without instances=, expected it with them: add a line like instances=4, or write %%i to mean those two "
                      "letters", true);
}

bool log_path(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return path.starts_with('/') && path.size() <= max_log_path && !name.empty() && name != "." && name != "..";
}

bool parse_size(std::string_view text, std::uint64_t &bytes) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const unsigned shift = unit == "K" || unit == "k" ? 10 : unit == "M" || unit == "m" ? 20 : unit == "G" || unit == "g" ? 30 : 0;
  if (error != std::errc() || (shift == 0 && !unit.empty()) || number > ~std::uint64_t{0} >> shift) return false;
  bytes = number << shift;
  return true;
}

}  // namespace dm
