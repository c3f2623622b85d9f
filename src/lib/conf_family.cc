// The keys of a conf that make several daemons of it, or tie it to others. Worker's, target's or caller's privilege.
#include <algorithm>

#include "lib/conf_expand.hh"
#include "lib/conf_match.hh"
#include "lib/conf_parser.hh"
#include "lib/names.hh"

namespace dm {
namespace {

constexpr std::size_t max_others = 100;  // in requires= or after=: more is no order that anyone oversees

bool names_daemon(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return valid_daemon_name(text);
  return user_name(text.substr(0, slash)) && valid_daemon_name(text.substr(slash + 1));
}

}  // namespace

bool holds_instance(std::string_view text) { return expand(text, {"n", "u", "h", 1}) != expand(text, {"n", "u", "h", 2}); }

void ConfParser::set_instances(const ConfLine &line) {
  std::uint32_t count = 0;
  if (whole_number(line.value, max_instances, count) && count > 0) conf_.instances = count;
  else bad_value(line, "a number from 1 to 100: write one like instances=4, or delete the line for a daemon without a number");
}

void ConfParser::take_names(const ConfLine &line, std::vector<std::string> &names) {
  std::string_view rest = line.value;
  for (bool more = true; more;) {
    const std::string_view one = take_item(rest, more);
    if (one.find(':') != one.npos)
      return bad_item(line, one, "a name without the number of an instance: name the conf, which means all of its instances");
    if (!names_daemon(one))
      return bad_item(line, one, "the name of a daemon, or owner/name: write them like " + std::string(line.key) +
                                     "=database, amy/cache, with commas between");
    if (std::find(names.begin(), names.end(), one) != names.end())
      return bad_item(line, one, "each name once: delete it here");
    if (names.size() == max_others) return bad_item(line, one, "at most 100 names: name only those that it needs itself");
    names.emplace_back(one);
  }
}

void ConfParser::set_requires(const ConfLine &line) { take_names(line, conf_.needs); }
void ConfParser::set_after(const ConfLine &line) { take_names(line, conf_.after); }

// Only with all lines read is it known whether there are instances, and how many.
void ConfParser::judge_instances() {
  const Place *env_file = given("env_file");
  if (conf_.instances > 0 && env_file != nullptr && holds_instance(conf_.env_file))
    fault_at(*env_file, "found %i in env_file=, expected a path without: the file is read once for all instances; use export for "
                        "what differs");
  for (const Place &listen : listens_) {
    const bool each = holds_instance(listen.value);
    const auto parses = [&](std::uint32_t instance) {
      ListenAddress address;
      return parse_listen(expand(listen.value, {"n", "u", "/h", instance}), address);
    };
    if (conf_.instances > 0 && !each)
      fault_at(listen, "found " + quote(listen.value) + " with instances=, expected an address for each of them: put %i, its "
                                                        "number, into it, like listen=%h/run/%n.%i.sock");
    else if (conf_.instances == 0 && each)
      fault_at(listen, "found %i without instances=, expected it with them: add a line like instances=4, or write %%i to "
                       "mean those two letters", parses(0));
    else if (conf_.instances > 0 && !parses(conf_.instances))
      fault_at(listen, "found " + quote(listen.value) + ", which is no address for instance " + std::to_string(conf_.instances) +
                           ", expected one for each of them: ports end at 65535");
  }
}

}  // namespace dm
