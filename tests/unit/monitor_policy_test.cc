// The monitor's check of the policy against bytes that no dm-policy would write. No privilege; built with the sanitizers, and
// each policy lies in a piece of heap of exactly its size, so that one byte read beyond it is seen.
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "lib/policy.hh"

namespace {

using namespace dm;

using Bytes = std::vector<char>;

// The same numbers in each run.
class Random {
public:
  explicit Random(std::uint32_t seed) : source_(seed) {}
  std::uint32_t operator()() { return static_cast<std::uint32_t>(source_()); }

private:
  std::mt19937_64 source_;
};

template <typename T>
void put(Bytes &out, const T &value) {
  const auto at = out.size();
  out.resize(at + sizeof value);
  std::memcpy(out.data() + at, &value, sizeof value);
}

struct Parts {
  PolicyHeader header{policy_magic, 0, 60'000, 0, 0, 0, 0, 0, 0, 0, 0};
  std::vector<PolicyUser> users;
  std::vector<PolicyPair> pairs, manages;
  std::vector<PolicyPorts> ports;
  std::vector<PolicyRule> rules;
  std::vector<std::uint32_t> groups;
  Bytes strings;

  std::uint32_t text(const char *it) {
    const auto at = static_cast<std::uint32_t>(strings.size());
    strings.insert(strings.end(), it, it + std::strlen(it) + 1);
    return at;
  }
  [[nodiscard]] Bytes bytes() const {
    Bytes out;
    PolicyHeader counted = header;
    counted.users = static_cast<std::uint32_t>(users.size());
    counted.pairs = static_cast<std::uint32_t>(pairs.size());
    counted.manages = static_cast<std::uint32_t>(manages.size());
    counted.ports = static_cast<std::uint32_t>(ports.size());
    counted.rules = static_cast<std::uint32_t>(rules.size());
    counted.groups = static_cast<std::uint32_t>(groups.size());
    counted.strings = static_cast<std::uint32_t>(strings.size());
    put(out, counted);
    for (const auto &it : users) put(out, it);
    for (const auto &it : pairs) put(out, it);
    for (const auto &it : manages) put(out, it);
    for (const auto &it : ports) put(out, it);
    for (const auto &it : rules) put(out, it);
    for (const auto &it : groups) put(out, it);
    out.insert(out.end(), strings.begin(), strings.end());
    return out;
  }
};

// root, david, www-data, helpdesk, and one whom the name service does not know.
Parts good() {
  Parts parts;
  const auto user = [&](const char *name, std::uint32_t uid, std::uint32_t flags) {
    PolicyUser it{};
    it.uid = it.gid = uid;
    it.flags = flags;
    it.name = parts.text(name);
    it.home = parts.text("/home/somebody");
    it.shell = parts.text("/bin/sh");
    it.groups_at = static_cast<std::uint32_t>(parts.groups.size());
    it.groups_count = 2;
    it.limits = default_limits;
    parts.groups.push_back(uid);
    parts.groups.push_back(50);
    parts.users.push_back(it);
  };
  user("root", 0, user_runs | user_resolved);
  user("david", 1000, user_runs | user_resolved);
  user("www-data", 1002, user_resolved);
  user("helpdesk", 1003, user_manages | user_resolved);
  user("ghost", 0, user_runs);
  parts.pairs = {{0, 0}, {0, 2}, {1, 1, 1}, {1, 2, 1}};
  parts.manages = {{3, 1, 2}};
  parts.rules = {{7, parts.text("david: www-data")}, {9, parts.text("helpdesk: david")}};
  parts.header.config = parts.text("/etc/daemon-manager.conf");
  parts.ports = {{1, 80, 80}, {1, 443, 443}, {1, 8000, 8100}, {2, 1, 65535}};
  return parts;
}

// All that monitor and worker ever do with a policy that was accepted.
void use(const Policy &policy) {
  std::size_t read = 0;
  for (std::uint32_t i = 0; i < policy.count(); i++) {
    const PolicyUser &user = policy.users[i];
    for (const std::uint32_t offset : {user.name, user.home, user.shell}) read += std::strlen(policy.text(offset));
    for (std::uint32_t j = 0; j < user.groups_count; j++) read += policy.groups[user.groups_at + j] & 1;
    if ((user.flags & user_resolved) != 0) CHECK(policy.find_uid(user.uid) == i);
    CHECK(user.uid != 0xffffffff);
    CHECK(user.gid != 0xffffffff);
  }
  for (std::uint32_t i = 0; i < policy.header->pairs; i++) {
    const PolicyPair pair = policy.pairs[i];
    REQUIRE(pair.first < policy.count());
    REQUIRE(pair.second < policy.count());
    CHECK(policy.may_run(pair.first, pair.second));
    const PolicyUser &owner = policy.users[pair.first], &target = policy.users[pair.second];
    CHECK((owner.flags & user_runs) != 0);
    // The one that matters most: nobody but root becomes root. Rows that are not resolved have no uid at all.
    const bool known = (owner.flags & target.flags & user_resolved) != 0;
    CHECK((!known || target.uid != 0 || owner.uid == 0));
  }
  for (std::uint32_t i = 0; i < policy.header->manages; i++) REQUIRE(policy.manages[i].second < policy.count());
  for (std::uint32_t i = 0; i < policy.header->pairs; i++)
    if (const PolicyRule *rule = policy.why_run(policy.pairs[i].first, policy.pairs[i].second); rule != nullptr) read += std::strlen(policy.text(rule->text));
  for (std::uint32_t i = 0; i < policy.header->manages; i++)
    if (const PolicyRule *rule = policy.why_manage(policy.manages[i].first, policy.manages[i].second); rule != nullptr) read += std::strlen(policy.text(rule->text));
  read += std::strlen(policy.text(policy.header->config));
  for (std::uint32_t i = 0; i < policy.header->ports; i++) {
    const PolicyPorts &row = policy.ports[i];
    REQUIRE(row.owner < policy.count());
    CHECK((policy.may_bind(row.owner, row.first) && policy.may_bind(row.owner, row.last) && row.first >= 1 && row.last <= 65535));
  }
  read += policy.find_name("david") + policy.find_uid(4711) + (policy.may_manage(0xfffffff0, 3) ? 1U : 0U);
  CHECK(read > 0);
}

// True where the bytes are accepted.
bool judge(const Bytes &bytes) {
  const auto exact = std::make_unique<char[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  Policy policy;
  if (!check_policy(exact.get(), bytes.size(), policy)) {
    CHECK(policy.count() == 0);
    CHECK_FALSE(policy.may_run(0, 0));
    return false;
  }
  use(policy);
  return true;
}

bool judge(const Parts &parts) { return judge(parts.bytes()); }

}  // namespace

TEST_CASE("a sound policy is accepted, and says what root wrote") {
  const Bytes bytes = good().bytes();
  REQUIRE(judge(bytes));
  Policy policy;
  REQUIRE(check_policy(bytes.data(), bytes.size(), policy));
  CHECK(policy.may_run(1, 2));
  CHECK_FALSE(policy.may_run(2, 1));
  CHECK_FALSE(policy.may_run(3, 3));
  CHECK_FALSE(policy.may_run(1, 0));
  CHECK(policy.may_manage(3, 1));
  CHECK(policy.may_manage(2, 2));
  CHECK_FALSE(policy.may_manage(1, 3));
  CHECK(policy.find_uid(0) == 0);
  CHECK(policy.find_uid(1000) == 1);
  CHECK(policy.find_uid(2000) == no_user);
}

TEST_CASE("an unresolved name's numbers are nobody's") {
  Parts parts = good();
  parts.users[4].uid = 1234;
  const Bytes bytes = parts.bytes();
  Policy policy;
  REQUIRE(check_policy(bytes.data(), bytes.size(), policy));
  CHECK(policy.find_uid(1234) == no_user);
}

TEST_CASE("a policy cut short anywhere, or with anything behind it, is refused") {
  const Bytes bytes = good().bytes();
  for (std::size_t size = 0; size < bytes.size(); size++) {
    CAPTURE(size);
    CHECK_FALSE(judge(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))));
  }
  for (std::size_t more = 1; more < 64; more++) {
    Bytes longer = bytes;
    longer.resize(bytes.size() + more, '\0');
    CHECK_FALSE(judge(longer));
  }
}

TEST_CASE("whatever single bit flips, nothing out of bounds is read and nobody becomes root") {
  const Bytes bytes = good().bytes();
  unsigned accepted = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; bit++) {
    CAPTURE(bit);
    Bytes flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    if (judge(flipped)) accepted++;
  }
  CHECK(accepted > 0);                  // a letter of a home, a limit
  CHECK(accepted < bytes.size() * 8);
}

TEST_CASE("every 32-bit word may hold the numbers that break sums") {
  const Bytes bytes = good().bytes();
  for (std::size_t at = 0; at + 4 <= bytes.size(); at += 4)
    for (const std::uint32_t number : {0U, 1U, 5U, 0x7fffffffU, 0x80000000U, 0xfffffffeU, 0xffffffffU, 1U << 24, 1U << 30}) {
      Bytes changed = bytes;
      std::memcpy(changed.data() + at, &number, sizeof number);
      judge(changed);
    }
}

TEST_CASE("a hundred thousand policies with random words are judged without a slip") {
  const Bytes bytes = good().bytes();
  Random random(4);
  for (int i = 0; i < 100'000; i++) {
    Bytes changed = bytes;
    const unsigned changes = 1 + random() % 6;
    for (unsigned j = 0; j < changes; j++) {
      const std::uint32_t number = random() % 2 == 0 ? random() : random() % 8;
      const std::size_t at = random() % (bytes.size() / 4) * 4;
      std::memcpy(changed.data() + at, &number, sizeof number);
    }
    judge(changed);
  }
}

TEST_CASE("random bytes behind a sound beginning are judged without a slip") {
  Random random(5);
  for (int i = 0; i < 20'000; i++) {
    Bytes noise(sizeof(PolicyHeader) + random() % 600);
    for (char &byte : noise) byte = static_cast<char>(random());
    PolicyHeader header{policy_magic, 0, 0, random() % 3, random() % 6, random() % 6, random() % 6, random() % 6, random() % 6, random() % 6, 1 + random() % 64};
    std::memcpy(noise.data(), &header, sizeof header);
    judge(noise);
  }
}

TEST_CASE("a pair that makes anybody but root run as uid 0 is refused") {
  Parts parts = good();
  parts.pairs = {{1, 0}};
  CHECK_FALSE(judge(parts));
  parts.pairs = {{0, 0}};
  CHECK(judge(parts));
}

TEST_CASE("a pair of one who may run nothing is refused") {
  Parts parts = good();
  parts.pairs = {{2, 2}};
  CHECK_FALSE(judge(parts));
}

TEST_CASE("a pair with one who is not known just now stays, and gives nobody's uid away") {
  Parts parts = good();
  parts.pairs = {{1, 4}, {4, 4}};
  CHECK(judge(parts));
}

TEST_CASE("two users with one uid are refused") {
  Parts parts = good();
  parts.users[2].uid = 1000;
  CHECK_FALSE(judge(parts));
}

TEST_CASE("rows out of their order are refused") {
  Parts parts = good();
  parts.users[1].uid = 1002;
  parts.users[2].uid = 1000;
  CHECK_FALSE(judge(parts));
  parts = good();
  std::swap(parts.users[3], parts.users[4]);  // a resolved one behind one that is not
  parts.manages.clear();
  CHECK_FALSE(judge(parts));
}

TEST_CASE("pairs out of order or twice are refused") {
  Parts parts = good();
  parts.pairs = {{1, 2}, {1, 1}};
  CHECK_FALSE(judge(parts));
  parts.pairs = {{1, 1}, {1, 1}};
  CHECK_FALSE(judge(parts));
  parts = good();
  parts.manages = {{3, 1}, {3, 1}};
  CHECK_FALSE(judge(parts));
}

TEST_CASE("rules that there are not, and texts beyond the end, are refused") {
  Parts parts = good();
  parts.pairs[2].rule = 3;
  CHECK_FALSE(judge(parts));
  parts = good();
  parts.manages[0].rule = 0xffffffff;
  CHECK_FALSE(judge(parts));
  parts = good();
  parts.rules[1].text = static_cast<std::uint32_t>(parts.strings.size());
  CHECK_FALSE(judge(parts));
  parts = good();
  parts.header.config = static_cast<std::uint32_t>(parts.strings.size());
  CHECK_FALSE(judge(parts));
  parts = good();
  parts.pairs[2].rule = 0;
  CHECK(judge(parts));
}

TEST_CASE("ids of -1, which mean no change to the kernel, are refused") {
  Parts parts = good();
  parts.users[1].uid = 0xffffffff;
  CHECK_FALSE(judge(parts));
  parts = good();
  parts.users[1].gid = 0xffffffff;
  CHECK_FALSE(judge(parts));
}

TEST_CASE("strings that do not end within the pool are refused") {
  Parts parts = good();
  parts.strings.back() = 'x';
  CHECK_FALSE(judge(parts));
  parts = good();
  parts.users[1].home = static_cast<std::uint32_t>(parts.strings.size());
  CHECK_FALSE(judge(parts));
}

TEST_CASE("groups that reach beyond the array are refused") {
  Parts parts = good();
  parts.users[1].groups_count = 0xffffffff;
  CHECK_FALSE(judge(parts));
  parts = good();
  parts.users[1].groups_at = static_cast<std::uint32_t>(parts.groups.size()) - 1;
  CHECK_FALSE(judge(parts));
}

TEST_CASE("an owner may bind the ports that root grants him, both ends of a range, and no others") {
  const Parts parts = good();
  const Bytes bytes = parts.bytes();
  Policy policy;
  REQUIRE(check_policy(bytes.data(), bytes.size(), policy));
  for (const std::uint32_t port : {80U, 443U, 8000U, 8050U, 8100U}) CHECK(policy.may_bind(1, port));
  for (const std::uint32_t port : {0U, 79U, 81U, 442U, 7999U, 8101U, 65536U}) CHECK_FALSE(policy.may_bind(1, port));
  CHECK_FALSE(policy.may_bind(0, 80));
  CHECK_FALSE(policy.may_bind(no_user, 80));
  CHECK(policy.low_ports());
}

TEST_CASE("a policy of high ports alone needs no privilege") {
  Parts parts = good();
  parts.ports = {{1, 1024, 65535}};
  const Bytes bytes = parts.bytes();
  Policy policy;
  REQUIRE(check_policy(bytes.data(), bytes.size(), policy));
  CHECK_FALSE(policy.low_ports());
}

TEST_CASE("ports of nobody, out of their range, backwards, out of order or twice are refused") {
  const std::vector<std::vector<PolicyPorts>> wrong = {{{5, 80, 80}}, {{no_user, 80, 80}}, {{1, 0, 80}}, {{1, 81, 80}}, {{1, 80, 65536}},
                                                       {{1, 80, 80}, {1, 80, 80}}, {{1, 443, 443}, {1, 80, 80}}, {{2, 80, 80}, {1, 443, 443}}};
  for (const auto &ports : wrong) {
    Parts parts = good();
    parts.ports = ports;
    const Bytes bytes = parts.bytes();
    Policy policy;
    CHECK_FALSE(check_policy(bytes.data(), bytes.size(), policy));
  }
}
