// Replaces signs in the values of a conf. Everyone's privilege but the monitor's.
#include "lib/conf_expand.hh"

#include <algorithm>

#include "lib/conf_line.hh"
#include "lib/conf_parser.hh"

namespace dm {

std::string expand(std::string_view text, const Meanings &meanings) {
  std::string out;
  for (std::size_t at = text.find('%'); at != text.npos; at = text.find('%')) {
    out += text.substr(0, at);
    const char sign = at + 1 < text.size() ? text[at + 1] : '\0';
    const bool instance = sign == 'i' && meanings.instance > 0;
    text.remove_prefix(at + (sign == 'n' || sign == 'u' || sign == 'h' || sign == '%' || instance ? 2 : 1));
    if (instance) out += std::to_string(meanings.instance);
    else if (sign == 'n') out += meanings.name;
    else if (sign == 'u') out += meanings.owner;
    else if (sign == 'h') out += meanings.home;
    else out += '%';
  }
  return out += text;
}

void expand(Conf &conf, const Meanings &meanings) {
  for (std::string *value : {&conf.dir, &conf.start, &conf.path, &conf.log.file, &conf.before, &conf.after_exit, &conf.stop_command, &conf.reload_command})
    *value = expand(*value, meanings);
  for (std::string &value : conf.listen) value = expand(value, meanings);
  conf.env_file = expand(conf.env_file, {meanings.name, meanings.owner, meanings.home});
  for (auto &[name, value] : conf.exports) value = expand(value, meanings);
}

void judge_expanded(Conf &conf, std::string_view text, const Meanings &meanings) {
  if (!conf.usable() || (conf.listen.empty() && conf.log.file.empty() && conf.needs.empty() && conf.after.empty())) return;
  const Meanings last{meanings.name, meanings.owner, meanings.home, conf.instances};
  const std::string whole = std::string(meanings.owner) + "/" + std::string(meanings.name);
  if (text.starts_with(utf8_mark)) text.remove_prefix(utf8_mark.size());
  for (std::uint32_t number = 1; !text.empty(); number++) {
    const ConfLine line = split_line(take_line(text));
    if (line.kind != LineKind::setting) continue;
    const auto fault = [&](std::string_view at, std::string words) {
      const auto within = static_cast<std::size_t>(at.data() - line.value.data());
      conf.faults.push_back({number, static_cast<std::uint32_t>(line.value_at + within + 1), false, std::move(words)});
    };
    const auto length = [&](const std::string &value) {
      return "found " + quote(line.value) + ", which is " + std::to_string(value.size()) + " bytes when its signs are replaced, expected a path of at most ";
    };
    if (const std::string value = expand(conf.log.file, last); line.key == "output" && !value.empty() && !log_path(value))
      fault(line.value, length(value) + std::to_string(max_log_path) + ": use a shorter one");
    ListenAddress address;
    if (const std::string value = expand(line.value, last); line.key == "listen" && !parse_listen(value, address))
      fault(line.value, length(value) + "107, as the kernel takes it: use a shorter one");
    if (line.key != "requires" && line.key != "after") continue;
    std::string_view rest = line.value;
    for (bool more = true; more;)
      if (const std::string_view one = take_item(rest, more); one == meanings.name || one == whole)
        fault(one, "found its own name after " + std::string(line.key) + "=, expected another daemon's: delete it");
  }
  std::stable_sort(conf.faults.begin(), conf.faults.end(), [](const auto &a, const auto &b) { return a.line < b.line; });
}

}  // namespace dm
