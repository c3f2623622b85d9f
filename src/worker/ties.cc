// Judges what confs say of one another: names that are none, and cycles. Sandboxed; the confs are hostile.
#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <map>

#include "lib/conf_line.hh"
#include "worker/worker.hh"

namespace dm::worker {
namespace {

constexpr std::size_t most_drawn = 16;  // confs of a cycle that are named
constexpr std::size_t none = ~std::size_t{0};

Tie resolve(const Worker &worker, std::uint32_t owner, const std::string &written, bool needed) {
  const std::size_t slash = written.rfind('/');
  if (slash == written.npos) return {written, owner, written, needed};
  const std::uint32_t other = worker.policy.find_name(written.substr(0, slash));
  const bool may = other != no_user && (other == owner || worker.policy.may_manage(owner, other));
  return {written, may ? other : no_user, written.substr(slash + 1), needed};
}

std::string_view family_of(std::string_view name) { return name.substr(0, name.find(':')); }

// ":LINE:COLUMN" of a name in the conf, "" where it is not found any more.
std::string place_of(const Worker &worker, const Key &key, const Kin &kin, const Tie &tie) {
  const std::optional<BookConf> read = read_book_conf(worker.owners[key.first].book.get(), kin.entry);
  if (!read || key.second != read->entry.name) return {};
  std::string_view rest = read->text;
  if (rest.starts_with(utf8_mark)) rest.remove_prefix(utf8_mark.size());
  for (unsigned number = 1; !rest.empty(); number++) {
    const std::string_view line = take_line(rest);
    const ConfLine parts = split_line(line);
    if (parts.kind != LineKind::setting || parts.key != (tie.needed ? "requires" : "after")) continue;
    constexpr std::string_view between = ", \t";
    for (std::size_t at = line.find(tie.written, parts.value_at); at != line.npos; at = line.find(tie.written, at + 1)) {
      const std::size_t end = at + tie.written.size();
      const bool whole = (at == parts.value_at || between.find(line[at - 1]) != between.npos) &&
                         (end >= line.size() || between.find(line[end]) != between.npos || line[end] == '\r');
      if (whole) return fmt::format(":{}:{}", number, at + 1);
    }
  }
  return {};
}

// The first name in requires= (`needed`) or after= that is none; "" where all are. The same words whether there is no such daemon or
// its owner's are none of his business.
std::string missing(Worker &worker, const Key &key, const Kin &kin, bool needed) {
  for (const Tie &tie : kin.ties) {
    if (tie.needed != needed) continue;
    if (tie.owner != no_user) {
      if (!worker.owners[tie.owner].scanned) continue;  // nobody knows yet
      if (std::ranges::any_of(named(worker, tie.owner, tie.name), [](const Daemon *it) { return it->in_book; })) continue;
    }
    const std::string who = user_name(worker, key.first);
    return fmt::format("{}{}: found {}={}, expected a daemon of {}, or owner/name of one of those that {} manages: there is none; "
                       "correct the name, or delete it",
                       conf_path(worker, key.first, key.second), place_of(worker, key, kin, tie), tie.needed ? "requires" : "after",
                       tie.written, who, who);
  }
  return {};
}

// The confs that are tied to one another, as a graph by numbers.
struct Graph {
  std::vector<Key> keys;
  std::vector<std::vector<std::size_t>> to;
  std::vector<std::size_t> group;  // number of the strongly connected component
  std::size_t groups = 0;
};

Graph gather(Worker &worker, std::uint32_t owner) {
  Graph graph;
  std::map<Key, std::size_t> numbers;
  const auto number = [&](const Key &key) {
    const auto [at, fresh] = numbers.emplace(key, graph.keys.size());
    if (fresh) graph.keys.push_back(key);
    return at->second;
  };
  for (const auto &[family, kin] : worker.owners[owner].kins)
    if (!kin.ties.empty() || !kin.dependants.empty()) number({owner, family});
  for (std::size_t i = 0; i < graph.keys.size(); i++) {
    const Kin *kin = kin_of(worker, graph.keys[i].first, graph.keys[i].second);
    std::vector<std::size_t> to;
    if (kin != nullptr) {
      for (const Tie &tie : kin->ties)
        if (tie.owner != no_user) to.push_back(number({tie.owner, std::string(family_of(tie.name))}));
      for (const Key &key : kin->dependants) number(key);
    }
    graph.to.push_back(std::move(to));
  }
  return graph;
}

// Tarjan's strongly connected components, without recursion: a chain may have as many links as there are confs.
void group(Graph &graph) {
  const std::size_t count = graph.keys.size();
  std::vector<std::size_t> order(count, none), low(count), next(count, 0), open, path;
  graph.group.assign(count, none);
  std::size_t visited = 0;
  for (std::size_t root = 0; root < count; root++) {
    if (order[root] != none) continue;
    path.push_back(root);
    while (!path.empty()) {
      const std::size_t at = path.back();
      if (order[at] == none) order[at] = low[at] = visited++, open.push_back(at);
      if (next[at] < graph.to[at].size()) {
        const std::size_t to = graph.to[at][next[at]++];
        if (order[to] == none) path.push_back(to);
        else if (graph.group[to] == none) low[at] = std::min(low[at], order[to]);
        continue;
      }
      path.pop_back();
      if (!path.empty()) low[path.back()] = std::min(low[path.back()], low[at]);
      if (low[at] != order[at]) continue;
      for (std::size_t member = none; member != at; open.pop_back()) member = open.back(), graph.group[member] = graph.groups;
      graph.groups++;
    }
  }
}

// A shortest way from `start` back to it, or nothing.
std::vector<std::size_t> cycle_from(const Graph &graph, std::size_t start) {
  std::map<std::size_t, std::size_t> from;
  std::deque<std::size_t> queue{start};
  while (!queue.empty()) {
    const std::size_t at = queue.front();
    queue.pop_front();
    for (const std::size_t to : graph.to[at]) {
      if (to == start) {
        std::vector<std::size_t> way{start};
        for (std::size_t back = at; back != start; back = from[back]) way.insert(way.begin() + 1, back);
        return way;
      }
      if (graph.group[to] == graph.group[start] && from.emplace(to, at).second) queue.push_back(to);
    }
  }
  return {};
}

std::string draw(const Worker &worker, const Graph &graph, const std::vector<std::size_t> &way, std::uint32_t owner) {
  std::string text;
  const auto name = [&](std::size_t at) {
    const Key &key = graph.keys[at];
    return key.first == owner ? key.second : user_name(worker, key.first) + "/" + key.second;
  };
  for (std::size_t i = 0; i < way.size() && i < most_drawn; i++) text += name(way[i]) + " -> ";
  if (way.size() > most_drawn) text += fmt::format("({} more) -> ", way.size() - most_drawn);
  return text + name(way.front());
}

void take_fault(Worker &worker, const Key &key, Kin &kin, std::string fault) {
  if (kin.fault.empty() && fault.empty()) return;
  for (Daemon *daemon : named(worker, key.first, key.second)) {
    if (!daemon->in_book) continue;
    if (!kin.fault.empty() && daemon->problem == kin.fault) {
      daemon->problem.clear();
      daemon->usable = true;
      if (fault.empty() && daemon->wanted && daemon->state == State::stopped) worker.order.lifted.emplace_back(key.first, daemon->name);
    }
    if (fault.empty() || !daemon->problem.empty()) continue;
    daemon->problem = fault;
    daemon->usable = false;
  }
  kin.fault = std::move(fault);
}

// A name in after= that is none keeps nothing from starting: what is not there is not waited for.
void take_warning(Worker &worker, const Key &key, Kin &kin, std::string warning) {
  if (kin.warning.empty() && warning.empty()) return;
  for (Daemon *daemon : named(worker, key.first, key.second)) {
    if (!daemon->in_book) continue;
    if (!kin.warning.empty() && daemon->warning == kin.warning) daemon->warning.clear();
    if (daemon->warning.empty()) daemon->warning = warning;
  }
  kin.warning = std::move(warning);
}

}  // namespace

void untie(Worker &worker, std::uint32_t owner) {
  for (auto &[family, kin] : worker.owners[owner].kins) {
    for (const Tie &tie : kin.ties) {
      Kin *other = tie.owner == no_user ? nullptr : kin_of(worker, tie.owner, family_of(tie.name));
      if (other == nullptr) continue;
      other->dependants.erase({owner, family});
      worker.order.touched.emplace(tie.owner, family_of(tie.name));  // it may have waited for this one to go
    }
    kin.ties.clear();
    kin.fault.clear();
    kin.warning.clear();
  }
}

void tie(Worker &worker, std::uint32_t owner, const std::string &family, std::uint32_t entry, const Conf &conf) {
  Owner &it = worker.owners[owner];
  const auto found = it.kins.find(family);
  if (found == it.kins.end() && conf.instances == 0 && conf.needs.empty() && conf.after.empty()) return;
  Kin &kin = found == it.kins.end() ? it.kins[family] : found->second;
  kin.entry = entry;
  kin.instances = conf.instances;
  if (kin.scaled_from != kin.instances) kin.scaled = kin.scaled_from = 0;
  for (const std::string &name : conf.needs) kin.ties.push_back(resolve(worker, owner, name, true));
  for (const std::string &name : conf.after) kin.ties.push_back(resolve(worker, owner, name, false));
  for (const Tie &tie : kin.ties)
    if (tie.owner != no_user) worker.owners[tie.owner].kins[std::string(family_of(tie.name))].dependants.emplace(owner, family);
}

void drop_kins(Worker &worker, std::uint32_t owner) {
  std::erase_if(worker.owners[owner].kins, [&](const auto &it) {
    const Kin &kin = it.second;
    if (!kin.ties.empty() || !kin.dependants.empty() || kin.roll.on()) return false;
    return kin.instances == 0 || std::ranges::none_of(named(worker, owner, it.first), &Daemon::in_book);
  });
}

void judge_ties(Worker &worker, std::uint32_t owner) {
  if (worker.owners[owner].kins.empty()) return;
  Graph graph = gather(worker, owner);
  group(graph);
  std::vector<std::size_t> sizes(graph.groups, 0);
  for (const std::size_t it : graph.group) sizes[it]++;
  std::vector<std::vector<std::size_t>> drawn(graph.groups);
  for (std::size_t i = 0; i < graph.keys.size(); i++) {
    const Key &key = graph.keys[i];
    Kin *kin = kin_of(worker, key.first, key.second);
    if (kin == nullptr) continue;
    std::string fault;
    kin->cyclic = sizes[graph.group[i]] > 1 || std::ranges::count(graph.to[i], i) != 0;
    if (kin->cyclic) {
      // Its own one where that is quickly found; of a huge knot one for all.
      std::vector<std::size_t> &shared = drawn[graph.group[i]];
      const bool small = sizes[graph.group[i]] <= most_drawn;
      if (small || shared.empty()) shared = cycle_from(graph, i);
      fault = fmt::format("{}: requires/after form a cycle: {}; take one of these names out", conf_path(worker, key.first, key.second),
                          draw(worker, graph, shared, key.first));
    } else fault = missing(worker, key, *kin, true);
    take_warning(worker, key, *kin, missing(worker, key, *kin, false));
    take_fault(worker, key, *kin, std::move(fault));
    worker.order.touched.insert(key);
  }
}

}  // namespace dm::worker
