// The master config with a name service that does not know everybody, down to the policy that the monitor would take. Where
// somebody is not known, nothing is granted that would not be granted if he were.
#include <algorithm>
#include <map>
#include <set>

#include "input.hh"
#include "lib/text.hh"
#include "worker/policy/resolve.hh"
#include "worker/policy/writer.hh"

namespace dm::fuzz {
namespace {

using namespace master;

// Everybody has a uid that his name decides, so that any name the fuzzer writes may be somebody; a few are well known.
class Names final : public NameService {
public:
  explicit Names(std::uint8_t unknown) : unknown_(unknown) {}

  std::optional<User> user(const std::string &name) override {
    std::uint32_t sum = 0;
    for (const char c : name) sum = sum * 31 + static_cast<unsigned char>(c);
    if ((unknown_ >> sum % 8 & 1) != 0 || name.size() > 30) return std::nullopt;
    User user{name, 1000 + sum % 5000, 1000 + sum % 7, "/home/" + name, "/bin/sh", {}};
    if (name == "root" || name == "toor") user.uid = user.gid = 0;
    if (name == "Amy") user.name = "amy", user.uid = 1001;  // as some directories answer
    if (name == "amy") user.uid = 1001;
    if (name == "twin") user.uid = 1001;
    user.groups = {user.gid, 50};
    return user;
  }

  std::optional<Group> group(const std::string &name) override {
    if (name.size() % 5 == 4 || (unknown_ & 128) != 0) return std::nullopt;
    return Group{static_cast<std::uint32_t>(1000 + name.size() % 7), {"amy", "Amy", "root", "ann" + name}};
  }

private:
  std::uint8_t unknown_;
};

struct Outcome {
  bool taken = false;  // no error: dm-policy hands it over
  std::set<std::pair<std::string, std::string>> pairs, manages;  // of those who are resolved
};

void judge_faults(const Config &config, std::string_view text) {
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  for (const Fault &fault : config.faults) {
    must(fault.place.line >= 1 && fault.place.line <= lines && fault.place.column >= 1 && fault.place.column <= text.size() + 1,
         "a fault is at a place that there is");
    must(escape(fault.text) == fault.text && fault.text.starts_with("found "), "a fault is said in words that can be shown");
  }
}

void judge_rows(const Policy &policy) {
  std::set<std::uint32_t> uids;
  for (std::uint32_t i = 0; i < policy.count(); i++) {
    const PolicyUser &user = policy.users[i];
    const bool known = (user.flags & user_resolved) != 0;
    must(!known || uids.insert(user.uid).second, "a uid has one row");
    must(!known || policy.find_uid(user.uid) == i, "and it is found");
    must(policy.find_name(policy.text(user.name)) == i, "a name has one row");
    must(policy.may_manage(i, i), "everyone manages himself");
    for (std::uint32_t j = 0; j < policy.count(); j++) {
      const bool both = known && (policy.users[j].flags & user_resolved) != 0;
      must(!both || !policy.may_run(i, j) || policy.users[j].uid != 0 || user.uid == 0, "nobody but root runs as root");
      must(!policy.may_run(i, j) || (user.flags & user_runs) != 0, "who runs daemons is listed");
    }
  }
}

Outcome take(std::string_view text, std::uint8_t unknown) {
  Config config = parse_config(text);
  judge_faults(config, text);
  Names names(unknown);
  const Rows rows = resolve(config, names);
  judge_faults(config, text);
  Outcome out;
  out.taken = std::ranges::all_of(config.faults, &Fault::warning);
  const std::string bytes = write_policy(config, rows);
  must(!bytes.empty(), "a policy of few users can be written");
  Policy policy;
  must(check_policy(bytes.data(), bytes.size(), policy), "the monitor takes what dm-policy writes");
  judge_rows(policy);
  const auto name_them = [&](const PolicyPair *from, std::uint32_t count, auto &into) {
    for (std::uint32_t i = 0; i < count; i++) {
      const PolicyUser &first = policy.users[from[i].first], &second = policy.users[from[i].second];
      if ((first.flags & second.flags & user_resolved) != 0) into.emplace(policy.text(first.name), policy.text(second.name));
    }
  };
  name_them(policy.pairs, policy.header->pairs, out.pairs);
  name_them(policy.manages, policy.header->manages, out.manages);
  return out;
}

}  // namespace
}  // namespace dm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  using namespace dm::fuzz;
  Input input(data, size);
  const std::uint8_t unknown = input.byte();
  const Outcome all = take(input.rest(), 0), some = take(input.rest(), unknown);
  if (!all.taken || !some.taken) return 0;
  must(std::ranges::includes(all.pairs, some.pairs), "whom the name service does not know makes nobody run as more users");
  must(std::ranges::includes(all.manages, some.manages), "nor manage more");
  return 0;
}
