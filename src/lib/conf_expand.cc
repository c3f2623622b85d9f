// Replaces signs in the values of a conf. Everyone's privilege but the monitor's.
#include "lib/conf_expand.hh"

namespace dm {

std::string expand(std::string_view text, const Meanings &meanings) {
  std::string out;
  for (std::size_t at = text.find('%'); at != text.npos; at = text.find('%')) {
    out += text.substr(0, at);
    const char sign = at + 1 < text.size() ? text[at + 1] : '\0';
    text.remove_prefix(at + (sign == 'n' || sign == 'u' || sign == 'h' || sign == '%' ? 2 : 1));
    if (sign == 'n') out += meanings.name;
    else if (sign == 'u') out += meanings.owner;
    else if (sign == 'h') out += meanings.home;
    else out += '%';
  }
  return out += text;
}

void expand(Conf &conf, const Meanings &meanings) {
  for (std::string *value : {&conf.dir, &conf.start, &conf.path, &conf.env_file}) *value = expand(*value, meanings);
  for (auto &[name, value] : conf.exports) value = expand(value, meanings);
}

}  // namespace dm
