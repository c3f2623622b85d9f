// From the master config's names to the policy's rows, with a name service made of tables. No privilege.
#include <doctest/doctest.h>

#include <map>

#include "worker/policy/config.hh"
#include "worker/policy/nss.hh"
#include "worker/policy/resolve.hh"
#include "worker/policy/writer.hh"

namespace {

using namespace dm;
using namespace dm::master;

class Tables final : public NameService {
public:
  Tables() {
    add("root", 0, 0);
    add("david", 1000, 1000);
    add("amy", 1001, 100);
    add("bob", 1002, 100);
    add("www-data", 33, 33);
    add("helpdesk", 1003, 1003);
    groups["users"] = {100, {}};
    groups["web"] = {33, {"amy", "david"}};
    groups["wheel"] = {10, {"root", "amy"}};
    groups["mixed"] = {11, {"amy", "ghost"}};
  }
  void add(const std::string &name, std::uint32_t uid, std::uint32_t gid) {
    users[name] = {name, uid, gid, "/home/" + name, "/bin/sh", {gid, 50}};
  }
  std::optional<User> user(const std::string &name) override {
    asked++;
    const auto found = users.find(name);
    return found == users.end() ? std::nullopt : std::optional<User>(found->second);
  }
  std::optional<Group> group(const std::string &name) override {
    const auto found = groups.find(name);
    return found == groups.end() ? std::nullopt : std::optional<Group>(found->second);
  }
  std::map<std::string, User> users;
  std::map<std::string, Group> groups;
  int asked = 0;
};

// A config put through the whole way: parsed, resolved, written, checked.
struct Made {
  explicit Made(const std::string &text) {
    Tables tables;
    make(text, tables);
  }
  Made(const std::string &text, Tables &tables) { make(text, tables); }
  void make(const std::string &text, Tables &tables) {
    config = parse_config(text);
    const Rows rows = resolve(config, tables);
    bytes = write_policy(config, rows);
    REQUIRE_FALSE(bytes.empty());
    REQUIRE(check_policy(bytes.data(), bytes.size(), policy));
    asked = tables.asked;
  }
  [[nodiscard]] bool runs(const char *owner, const char *target) const {
    const std::uint32_t a = policy.find_name(owner), b = policy.find_name(target);
    return a != no_user && b != no_user && policy.may_run(a, b);
  }
  [[nodiscard]] bool manages(const char *manager, const char *managed) const {
    const std::uint32_t a = policy.find_name(manager), b = policy.find_name(managed);
    return a != no_user && b != no_user && policy.may_manage(a, b);
  }
  [[nodiscard]] const PolicyUser &row(const char *name) const {
    REQUIRE(policy.find_name(name) != no_user);
    return policy.users[policy.find_name(name)];
  }
  // Faults as LINE:COL:w or LINE:COL:e, with their texts behind.
  [[nodiscard]] std::string faults() const {
    std::string out;
    for (const Fault &fault : config.faults)
      out += std::to_string(fault.place.line) + ":" + std::to_string(fault.place.column) + (fault.warning ? ":w " : ":e ") +
             fault.text + "\n";
    return out;
  }
  Config config;
  std::string bytes;
  Policy policy;
  int asked = 0;
};

}  // namespace

TEST_CASE("an empty config makes a policy without users") {
  const Made made("");
  CHECK(made.policy.count() == 0);
  CHECK(made.policy.header->shutdown_timeout_ms == 60'000);
}

TEST_CASE("a listed user may run as himself and as whom root names, and as nobody else") {
  const Made made("[runs_as]\ndavid: www-data\namy\n");
  CHECK(made.faults() == "");
  CHECK(made.runs("david", "david"));
  CHECK(made.runs("david", "www-data"));
  CHECK(made.runs("amy", "amy"));
  CHECK_FALSE(made.runs("amy", "www-data"));
  CHECK_FALSE(made.runs("amy", "david"));
  CHECK_FALSE(made.runs("www-data", "www-data"));
  CHECK((made.row("www-data").flags & user_runs) == 0);
}

TEST_CASE("each right names the first line that gives it, as root wrote it") {
  Tables tables;
  tables.groups["staff"] = {50, {"david", "amy"}};
  const Made made("[runs_as]\n  david :  www-data # sites\n@staff: www-data\n[manages]\nhelpdesk: bob, @staff\nhelpdesk: david\n", tables);
  const auto line = [&](const PolicyRule *rule) { return rule == nullptr ? std::string() : std::to_string(rule->line) + " " + made.policy.text(rule->text); };
  const auto row = [&](const char *name) { return made.policy.find_name(name); };
  CHECK(line(made.policy.why_run(row("david"), row("www-data"))) == "2 david :  www-data");
  CHECK(line(made.policy.why_run(row("david"), row("david"))) == "2 david :  www-data");
  CHECK(line(made.policy.why_run(row("amy"), row("www-data"))) == "3 @staff: www-data");
  CHECK(line(made.policy.why_manage(row("helpdesk"), row("david"))) == "5 helpdesk: bob, @staff");
  CHECK(made.policy.why_manage(row("david"), row("helpdesk")) == nullptr);
  CHECK(made.policy.why_run(row("amy"), row("david")) == nullptr);
}

TEST_CASE("a rule that is long is shown in part") {
  std::string names = "www-data";
  for (int i = 0; i < 100; i++) names += ", www-data";
  const Made made("[runs_as]\ndavid: " + names + "\n");
  const PolicyRule *rule = made.policy.why_run(made.policy.find_name("david"), made.policy.find_name("www-data"));
  REQUIRE(rule != nullptr);
  const std::string text = made.policy.text(rule->text);
  CHECK(text.size() == max_rule_text);
  CHECK(text.ends_with("..."));
}

TEST_CASE("a row has uid, gid, home, shell and groups from the name service") {
  const Made made("[runs_as]\ndavid\n[settings]\nshutdown_timeout=5s\ncgroup=no\n");
  const PolicyUser &david = made.row("david");
  CHECK(david.uid == 1000);
  CHECK(david.gid == 1000);
  CHECK(david.flags == (user_runs | user_resolved));
  CHECK(std::string(made.policy.text(david.home)) == "/home/david");
  CHECK(std::string(made.policy.text(david.shell)) == "/bin/sh");
  REQUIRE(david.groups_count == 2);
  CHECK(made.policy.groups[david.groups_at] == 1000);
  CHECK(made.policy.groups[david.groups_at + 1] == 50);
  CHECK(made.policy.header->settings == setting_no_cgroup);
  CHECK(made.policy.header->shutdown_timeout_ms == 5000);
}

TEST_CASE("rules of one user accumulate") {
  const Made made("[runs_as]\ndavid: www-data\ndavid: bob, www-data\n[can_run_as]\ndavid: amy\n");
  CHECK(made.runs("david", "www-data"));
  CHECK(made.runs("david", "bob"));
  CHECK(made.runs("david", "amy"));
}

TEST_CASE("a group is its members and the listed users whose primary group it is") {
  const Made made("[runs_as]\namy\nbob\n@web: bob\n[manages]\nhelpdesk: @users\n");
  CHECK(made.faults() == "");
  CHECK(made.runs("david", "bob"));  // a member of web, listed by it
  CHECK(made.runs("amy", "bob"));
  CHECK_FALSE(made.runs("bob", "amy"));
  CHECK(made.manages("helpdesk", "amy"));
  CHECK(made.manages("helpdesk", "bob"));
  CHECK_FALSE(made.manages("helpdesk", "david"));
}

TEST_CASE("a user whose primary group is named, but whom nobody lists, is not meant by it") {
  const Made made("[runs_as]\n@users: david\n");
  CHECK(made.policy.find_name("amy") == no_user);
  CHECK(made.policy.find_name("bob") == no_user);
}

TEST_CASE("managing goes one way and lets nobody run anything") {
  const Made made("[runs_as]\ndavid\n[manages]\nhelpdesk: david\n");
  CHECK(made.manages("helpdesk", "david"));
  CHECK_FALSE(made.manages("david", "helpdesk"));
  CHECK_FALSE(made.runs("helpdesk", "david"));
  CHECK_FALSE(made.runs("helpdesk", "helpdesk"));
  CHECK(made.row("helpdesk").flags == (user_manages | user_resolved));
}

TEST_CASE("a listed name that does not resolve keeps its row, and is not resolved in it") {
  const Made made("[runs_as]\nghost: david\n[manages]\nhelpdesk: ghost\n");
  CHECK(made.faults().starts_with("2:1:w found 'ghost', expected a user that the name service knows"));
  CHECK(made.row("ghost").flags == user_runs);
  CHECK(made.row("ghost").uid != 0);
  CHECK(made.runs("ghost", "david"));  // what runs goes on; without user_resolved the monitor starts nothing
  CHECK((made.policy.header->settings & setting_unresolved) != 0);
  CHECK(made.manages("helpdesk", "ghost"));  // his daemons may still run, and be stopped
}

TEST_CASE("a target, a managed user or a group that does not resolve grants nothing") {
  const Made made("[runs_as]\ndavid: ghost, @nogroup, @mixed, amy\n@nogroup: amy\n[manages]\nhelpdesk: spook\n");
  CHECK(made.faults().find("2:8:w found 'ghost'") != std::string::npos);
  CHECK(made.faults().find("2:15:w found '@nogroup', expected a group") != std::string::npos);
  CHECK(made.faults().find("2:25:w found 'ghost' in '@mixed'") != std::string::npos);
  CHECK(made.faults().find("3:1:w found '@nogroup'") != std::string::npos);
  CHECK(made.faults().find("5:11:w found 'spook'") != std::string::npos);
  CHECK(made.row("ghost").flags == 0);  // a target's row stays too: what runs as him is not stopped for that
  CHECK(made.row("ghost").uid != 0);
  CHECK(made.policy.find_name("spook") == no_user);
  CHECK(made.runs("david", "amy"));
  CHECK((made.policy.header->settings & setting_group_unresolved) != 0);
}

TEST_CASE("root is a target for root alone, and only when root is listed") {
  CHECK(Made("[runs_as]\nroot\n").runs("root", "root"));
  CHECK(Made("[runs_as]\nroot: david\n").runs("root", "david"));
  CHECK_FALSE(Made("[runs_as]\ndavid\n[manages]\nroot: david\n").runs("root", "root"));
  const Made made("[runs_as]\ndavid: amy, root\n");
  CHECK(made.faults().starts_with("2:13:e found 'root', expected a user other than root"));
  CHECK_FALSE(made.runs("david", "root"));
  const Made group("[runs_as]\ndavid: @wheel\n");
  CHECK(group.faults().starts_with("2:8:w found 'root' in '@wheel'"));
  CHECK_FALSE(group.runs("david", "root"));
  CHECK(group.runs("david", "amy"));
  Tables tables;
  tables.add("toor", 0, 0);
  CHECK(Made("[runs_as]\ndavid: toor\n", tables).faults().starts_with("2:8:e found 'toor', expected a user other than root"));
}

TEST_CASE("two listed names with one uid are refused") {
  Tables tables;
  tables.add("dave", 1000, 1000);
  const Made made("[runs_as]\ndavid\namy: dave\n", tables);
  CHECK(made.faults().starts_with("3:6:e found 'dave' with uid 1000, which 'david' has too"));
}

TEST_CASE("another spelling of one user is that user") {
  Tables tables;
  tables.users["DAVID"] = tables.users["david"];
  const Made made("[runs_as]\nDAVID: amy\ndavid: bob\n", tables);
  CHECK(made.faults() == "");
  CHECK(made.policy.find_name("DAVID") == no_user);
  CHECK(made.runs("david", "amy"));
  CHECK(made.runs("david", "bob"));
}

TEST_CASE("ports go to a listed user or the listed ones of a group, and add up") {
  const Made made("[runs_as]\ndavid\namy\n[ports]\ndavid: 80\n@web: 443, 80\ndavid: 8000-8100\n");
  CHECK(made.faults() == "");
  const std::uint32_t david = made.policy.find_name("david"), amy = made.policy.find_name("amy");
  for (const std::uint32_t port : {80U, 443U, 8000U, 8100U}) CHECK(made.policy.may_bind(david, port));
  CHECK(made.policy.may_bind(amy, 443));
  CHECK_FALSE(made.policy.may_bind(amy, 8000));
  CHECK_FALSE(made.policy.may_bind(david, 81));
  CHECK(made.policy.header->ports == 5);
}

TEST_CASE("ports of one who may have no daemons are a warning, and grant nothing") {
  const Made made("[runs_as]\ndavid\n[ports]\nwww-data: 80\n");
  CHECK(made.faults().starts_with("4:1:w found 'www-data', expected somebody on the left of a line in [runs_as]"));
  CHECK(made.policy.header->ports == 0);
}

TEST_CASE("limits: a user's own line speaks after his group's, and that after everybody's") {
  const Made made("[runs_as]\ndavid\namy\nbob\n[limits]\ndavid: daemons=3\n@web: daemons=5, book=2M\n*: daemons=7, starts=9\n");
  CHECK(made.faults() == "");
  CHECK(made.row("david").limits.daemons == 3);
  CHECK(made.row("david").limits.book_bytes == 2U << 20);
  CHECK(made.row("david").limits.starts == 9);
  CHECK(made.row("david").limits.connections == 16);
  CHECK(made.row("amy").limits.daemons == 5);
  CHECK(made.row("bob").limits.daemons == 7);
  CHECK(made.row("bob").limits.book_bytes == 1U << 20);
}

TEST_CASE("limits of somebody who is not listed are a warning") {
  const Made made("[runs_as]\ndavid: bob\n[limits]\nbob: daemons=3\nghost: daemons=4\n");
  CHECK(made.faults().find("4:1:w found 'bob', expected somebody on the left") != std::string::npos);
  CHECK(made.faults().find("5:1:w found 'ghost', expected a user that the name service knows") != std::string::npos);
}

TEST_CASE("the name service is asked once for each name") {
  CHECK(Made("[runs_as]\ndavid: amy\namy: david\n[manages]\ndavid: amy\n[limits]\ndavid: daemons=1\n").asked == 2);
}

TEST_CASE("more users than the policy holds make no policy") {
  Config config;
  Rows rows;
  rows.users.resize(max_users + 1);
  for (std::uint32_t i = 0; i <= max_users; i++) rows.users[i].user.name = "u" + std::to_string(i);
  CHECK(write_policy(config, rows).empty());
}

TEST_CASE("the system's name service knows root and takes no number for a user") {
  SystemNames names;
  const std::optional<User> root = names.user("root");
  REQUIRE(root.has_value());
  CHECK(root->uid == 0);
  CHECK_FALSE(root->groups.empty());
  CHECK_FALSE(names.user("0").has_value());
  CHECK_FALSE(names.user("no-such-user-here").has_value());
  CHECK_FALSE(names.group("0").has_value());
  CHECK(names.group("root").has_value());
}
