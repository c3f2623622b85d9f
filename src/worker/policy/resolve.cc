// From names to rows: who may have daemons, as whom, who manages whom, and within which limits. Runs in dm-policy, as the
// worker's uid. Where something does not resolve it grants less, never more.
#include "worker/policy/resolve.hh"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "lib/text.hh"

namespace dm::master {
namespace {

using Indices = std::vector<std::uint32_t>;

class Resolver {
public:
  Resolver(Config &config, NameService &names) : config_(config), names_(names) {}

  Rows run() {
    // All left sides first: a group on either side also means those listed users whose primary group it is.
    for (const Rule &rule : config_.runs_as) list(rule.left);
    for (const Rule &rule : config_.manages) list(rule.left);
    listed_ = static_cast<std::uint32_t>(rows_.users.size());
    for (const Rule &rule : config_.runs_as) grant_running(rule);
    for (const Rule &rule : config_.manages) grant_managing(rule);
    for (std::uint32_t i = 0; i < rows_.users.size(); i++) {
      const std::uint32_t wanted = user_runs | user_resolved;
      if ((rows_.users[i].flags & wanted) == wanted) rows_.pairs.push_back({i, i, listed_by_[i]});  // everyone may run as himself
    }
    for (const PortRule &rule : config_.ports) grant_ports(rule);
    apply_limits();
    sort(rows_.pairs);
    sort(rows_.manages);
    return std::move(rows_);
  }

private:
  struct Known {
    bool resolved = false;
    bool refused = false;  // another name has its uid
    std::uint32_t row = no_user;
  };

  void list(const Name &name) {
    if (!name.group) return keep(name.text, name.place);
    if (const Group *group = find_group(name.text); group != nullptr)
      for (const std::string &member : group->members) keep(member, name.place);
  }

  // A listed name has a row even where the name service does not know it: his daemons are not to be stopped for that.
  void keep(const std::string &name, Place place) {
    Known &known = find(name, place);
    if (known.row != no_user || known.refused) return;
    config_.unresolved = true;
    known.row = add({User{.name = name, .home = "/", .shell = "/bin/sh", .groups = {}}, 0, default_limits});
  }

  std::uint32_t add(Row row) {
    by_name_.emplace(row.user.name, static_cast<std::uint32_t>(rows_.users.size()));
    rows_.users.push_back(std::move(row));
    return static_cast<std::uint32_t>(rows_.users.size() - 1);
  }

  // What is known of a name as it was typed; asks the name service once.
  Known &find(const std::string &name, Place place) {
    const auto [entry, fresh] = known_.try_emplace(name);
    Known &known = entry->second;
    if (!fresh) return known;
    std::optional<User> user = names_.user(name);
    if (!user) return known;
    known.resolved = true;
    if (const auto same = by_name_.find(user->name); same != by_name_.end()) {
      // A row that was kept under this very name without an answer gets no second chance within one run.
      known.resolved = (rows_.users[same->second].flags & user_resolved) != 0;
      known.row = same->second;
      return known;
    }
    if (const auto same = by_uid_.find(user->uid); same != by_uid_.end()) {
      const Row &other = rows_.users[same->second];
      known.refused = true;
      error(place, fmt::format("found '{}' with uid {}, which '{}' has too, expected one name for each uid; "
                               "remove one of the two", escape(user->name), user->uid, escape(other.user.name)));
      return known;
    }
    by_uid_.emplace(user->uid, static_cast<std::uint32_t>(rows_.users.size()));
    known.row = add({std::move(*user), user_resolved, default_limits});
    return known;
  }

  const Group *find_group(const std::string &name) {
    const auto [entry, fresh] = groups_.try_emplace(name);
    if (fresh) entry->second = names_.group(name);
    if (!entry->second) config_.unresolved = config_.group_unresolved = true;
    return entry->second ? &*entry->second : nullptr;
  }

  // The rows that a name stands for; warns of what does not resolve.
  Indices expand(const Name &name) {
    Indices out;
    if (!name.group) {
      take(name.text, name.place, "", out);
      return out;
    }
    const Group *group = find_group(name.text);
    if (group == nullptr) {
      warn(name.place, fmt::format("found '@{0}', expected a group that the name service knows; this entry grants nothing "
                                   "until 'getent group {0}' finds it", escape(name.text)));
      return out;
    }
    for (const std::string &member : group->members) take(member, name.place, name.text, out);
    for (std::uint32_t i = 0; i < listed_; i++)
      if ((rows_.users[i].flags & user_resolved) != 0 && rows_.users[i].user.gid == group->gid) out.push_back(i);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  void take(const std::string &name, Place place, const std::string &group, Indices &out) {
    const Known known = find(name, place);
    if (known.row != no_user) out.push_back(known.row);
    if (known.resolved || known.refused) return;
    const std::string of_group = group.empty() ? "" : fmt::format(" in '@{}'", escape(group));
    warn(place, fmt::format("found '{0}'{1}, expected a user that the name service knows; this entry grants him nothing "
                            "until 'getent passwd {0}' finds him", escape(name), of_group));
  }

  void grant_running(const Rule &rule) {
    const Indices owners = expand(rule.left);
    const std::uint32_t number = keep_rule(rule);
    for (const std::uint32_t owner : owners) rows_.users[owner].flags |= user_runs, listed_by_.try_emplace(owner, number);
    for (const Name &name : rule.right) {
      // A target that is not known just now keeps his row too: what runs as him is not to be stopped for that.
      if (!name.group) keep(name.text, name.place);
      const Indices targets = expand(name);
      for (const std::uint32_t target : targets) {
        bool refused = false;
        for (const std::uint32_t owner : owners) refused = !pair(owner, target, number) || refused;
        if (refused) refuse_root(name, rows_.users[target].user.name);
      }
    }
  }

  // False where it would make anyone but root run as root; that is never granted.
  bool pair(std::uint32_t owner, std::uint32_t target, std::uint32_t rule) {
    const Row &from = rows_.users[owner], &to = rows_.users[target];
    const bool known = (from.flags & to.flags & user_resolved) != 0;
    if (known && to.user.uid == 0 && from.user.uid != 0) return false;
    rows_.pairs.push_back({owner, target, rule});
    return true;
  }

  // Its number, from 1 on.
  std::uint32_t keep_rule(const Rule &rule) {
    rows_.rules.push_back({rule.left.place.line, rule.text});
    return static_cast<std::uint32_t>(rows_.rules.size());
  }

  void refuse_root(const Name &name, const std::string &target) {
    if (name.group)
      warn(name.place, fmt::format("found '{}' in '@{}', expected no user with uid 0; nobody but root runs daemons as root, "
                                   "and this grants nothing", escape(target), escape(name.text)));
    else
      error(name.place, fmt::format("found '{}', expected a user other than root; nobody but root runs daemons as root: "
                                    "remove it, or write the conf in root's own home and list root", escape(target)));
  }

  void grant_managing(const Rule &rule) {
    const Indices managers = expand(rule.left);
    const std::uint32_t number = keep_rule(rule);
    for (const std::uint32_t manager : managers) rows_.users[manager].flags |= user_manages;
    for (const Name &name : rule.right)
      for (const std::uint32_t managed : expand(name))
        for (const std::uint32_t manager : managers)
          if (manager != managed) rows_.manages.push_back({manager, managed, number});
  }

  void grant_ports(const PortRule &rule) {
    bool used = false;
    for (const std::uint32_t owner : expand(rule.who)) {
      if ((rows_.users[owner].flags & user_runs) == 0) continue;
      for (const PortRule::Range &range : rule.ranges) rows_.ports.push_back({owner, range.first, range.last});
      used = true;
    }
    if (!used) means_nobody(rule.who, "in [runs_as]", "these ports are for");
  }

  // The closer a line is to a user, the later it speaks: `*`, then groups, then his own name.
  void apply_limits() {
    for (const LimitRule &rule : config_.limits)
      if (rule.everyone)
        for (Row &row : rows_.users) apply(rule, row.limits);
    for (const bool groups : {true, false})
      for (const LimitRule &rule : config_.limits)
        if (!rule.everyone && rule.who.group == groups) limit(rule);
  }

  void limit(const LimitRule &rule) {
    bool used = false;
    for (const std::uint32_t index : expand(rule.who)) {
      Row &row = rows_.users[index];
      if ((row.flags & (user_runs | user_manages)) == 0) continue;
      apply(rule, row.limits);
      used = true;
    }
    if (!used) means_nobody(rule.who, "in [runs_as] or [manages]", "these limits mean");
  }

  // Warns, unless it has been said that the name service does not know him.
  void means_nobody(const Name &who, std::string_view where, std::string_view what) {
    if (who.group || find(who.text, who.place).resolved)
      warn(who.place, fmt::format("found '{}{}', expected somebody on the left of a line {}; {} nobody", who.group ? "@" : "",
                                  escape(who.text), where, what));
  }

  static void apply(const LimitRule &rule, Limits &limits) {
    limits.daemons = rule.value[limit_daemons].value_or(limits.daemons);
    limits.book_bytes = rule.value[limit_book].value_or(limits.book_bytes);
    limits.starts = rule.value[limit_starts].value_or(limits.starts);
    limits.connections = rule.value[limit_connections].value_or(limits.connections);
  }

  // (Of several rules that say the same the first is kept.)
  static void sort(std::vector<PolicyPair> &pairs) {
    std::stable_sort(pairs.begin(), pairs.end(), [](const PolicyPair &a, const PolicyPair &b) {
      return a.first != b.first ? a.first < b.first : a.second < b.second;
    });
    const auto same = [](const PolicyPair &a, const PolicyPair &b) { return a.first == b.first && a.second == b.second; };
    pairs.erase(std::unique(pairs.begin(), pairs.end(), same), pairs.end());
  }

  void warn(Place place, std::string text) { config_.faults.push_back({place, true, std::move(text)}); }
  void error(Place place, std::string text) { config_.faults.push_back({place, false, std::move(text)}); }

  Config &config_;
  NameService &names_;
  Rows rows_;
  std::uint32_t listed_ = 0;
  std::map<std::string, Known> known_;
  std::map<std::string, std::optional<Group>> groups_;
  std::map<std::string, std::uint32_t> by_name_;
  std::map<std::uint32_t, std::uint32_t> by_uid_;  // resolved rows
  std::map<std::uint32_t, std::uint32_t> listed_by_;  // row: the first rule that lets him have daemons
};

}  // namespace

Rows resolve(Config &config, NameService &names) { return Resolver(config, names).run(); }

}  // namespace dm::master
