// Takes an owner's book: which daemons there are, what each conf says, what has changed. Sandboxed; the book is hostile.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "worker/worker.hh"

namespace dm::worker {
namespace {

std::optional<Conf> parse(const Worker &worker, std::uint32_t owner, const BookConf &read) {
  if (read.entry.problem != BookProblem::none) return std::nullopt;
  Conf conf = parse_conf(read.text, true);
  const PolicyUser &user = worker.policy.users[owner];
  judge_expanded(conf, read.text, {read.entry.name, worker.policy.text(user.name), worker.policy.text(user.home)});
  return conf;
}

// And how many more there are; all of them dmctl check tells.
std::string first_fault(const Worker &worker, const Daemon &daemon, const Conf &conf, bool warning) {
  const auto first = std::ranges::find(conf.faults, warning, &ConfFault::warning);
  if (first == conf.faults.end()) return {};
  const std::string path = conf_path(worker, daemon.owner, daemon.name);
  const auto more = std::ranges::count(conf.faults, warning, &ConfFault::warning) - 1;
  return (first->line == 0 ? path : fmt::format("{}:{}:{}", path, first->line, first->column)) + ": " + first->text +
         (more == 0 ? "" : fmt::format(" (and {} more: dmctl check {})", more, daemon.family()));
}

// Why the daemon may not run as whom its conf says, "" when it may; sets its target.
std::string judge_target(const Worker &worker, Daemon &daemon, const Conf &conf) {
  const Policy &policy = worker.policy;
  const std::uint32_t target = conf.user.empty() ? daemon.owner : policy.find_name(conf.user);
  const std::string owner = user_name(worker, daemon.owner);
  if (!may_have_daemons(worker, daemon.owner)) return no_confs_of(worker, owner);
  if (!resolved(worker, daemon.owner)) return unresolved_text(worker, daemon.owner);
  if (conf.user == "root" && owner != "root")  // which no line can allow
    return fmt::format("{}: user=root: nobody may run daemons as root. Leave user= out to run as yourself",
                       conf_path(worker, daemon.owner, daemon.name));
  if (target == no_user || !policy.may_run(daemon.owner, target))
    return fmt::format("{}: user={}: {} may not run daemons as {}. Leave user= out to run as yourself, or ask root for "
                       "the line \"{}: {}\" under [runs_as] in the master config",
                       conf_path(worker, daemon.owner, daemon.name), conf.user, owner, conf.user, owner, conf.user);
  daemon.target = target;
  if (!resolved(worker, target))
    return unresolved_text(worker, target);
  return {};
}

// `parsed`: the conf that was read; nothing where it could not be.
void take_conf(const Worker &worker, Daemon &daemon, const BookConf &read, const std::optional<Conf> &parsed) {
  daemon.problem.clear();
  daemon.warning.clear();
  daemon.elsewhere = false;
  if (!parsed) {
    const std::string path = conf_path(worker, daemon.owner, daemon.name);
    const std::string place = read.entry.line == 0 ? path : fmt::format("{}:{}:{}", path, read.entry.line, read.entry.column);
    daemon.problem = describe_problem(worker, daemon.owner, read.entry.problem, read.entry.detail, place);
  } else {
    const Conf &conf = *parsed;
    // The values of exports are not here, so the file's own mark stands for them.
    constexpr std::uint64_t low = 0xffffffff;
    const std::uint64_t whole = hash(read.text) ^ static_cast<std::uint64_t>(read.entry.modified_ns) ^ read.entry.inode, run = hash(lines_of_run(read.text));
    daemon.conf_hash = ((whole ^ whole >> 32) & low) << 32 | ((run ^ run >> 32) & low);
    daemon.autostart = conf.autostart;
    daemon.secrets = !conf.exports.empty() || !conf.env_file.empty();
    daemon.problem = first_fault(worker, daemon, conf, false);
    daemon.warning = first_fault(worker, daemon, conf, true);
    if (daemon.problem.empty()) daemon.problem = judge_target(worker, daemon, conf);
    if (daemon.problem.empty()) daemon.problem = judge_listen(worker, daemon, conf);
    daemon.elsewhere = daemon.problem.empty() && !host_matches(conf.hosts, worker.host);
    if (daemon.elsewhere)
      daemon.problem = fmt::format("it runs on other hosts: host= in {} does not mean {}",
                                   conf_path(worker, daemon.owner, daemon.name), worker.host);
    if (daemon.problem.empty()) {
      take_output(worker, daemon, conf);
      daemon.particular = !(conf.policy == RunPolicy{});
      daemon.task = conf.policy.task;
      // A daemon that is being stopped is stopped the way it was begun.
      daemon.stop_signal = conf.stop_signal;
      daemon.stop_timeout_ms = conf.stop_timeout_ms;
      daemon.terms = read_terms(worker, daemon, conf);
    }
  }
  daemon.usable = daemon.problem.empty();
}

// A daemon in the book, and what it was before.
struct Seen {
  Daemon *daemon;
  std::uint64_t hash;
  bool usable, fresh;
};

// Whether one that is met for the first time shall run. What dmctl scale made, and had no place yet when the manager was killed, is
// what the others of its family are.
bool shall_run(Worker &worker, const Daemon &daemon) {
  const Kin *kin = kin_of(worker, daemon.owner, daemon.family());
  if (kin == nullptr || kin->scaled == 0) return daemon.autostart;
  return std::ranges::any_of(named(worker, daemon.owner, daemon.family()), &Daemon::wanted);
}

void tell_apart(Worker &worker, Owner &owner, const Seen &before, Changes &changes) {
  Daemon &daemon = *before.daemon;
  // As long as it could not run as its conf was, and nobody has asked for it, its conf alone says whether it shall.
  const bool unasked = !before.fresh && !before.usable && daemon.by == by_autostart && daemon.last_runs == 0 && !daemon.lingers;
  const bool mended = !before.usable && daemon.usable && daemon.state == State::stopped && (daemon.wanted || unasked);
  if (before.fresh || mended) changes.fresh.push_back(daemon.name);
  else if (before.hash != 0 && before.hash != daemon.conf_hash) changes.changed.push_back(daemon.name);
  if (before.fresh) daemon.by = by_autostart;
  // The place's memory must say from the first moment whether it is meant to run.
  if (before.fresh || unasked) daemon.wanted = shall_run(worker, daemon);
  // One that got no place before asks again: there may be room now.
  if (!daemon.placed && !daemon.queued) owner.unplaced.push_back(daemon.name), daemon.queued = true;
  // (What is wrong with a conf is said once, however many daemons it stands for.)
  const bool said = !changes.bad.empty() && changes.bad.back() == daemon.problem;
  if (!daemon.problem.empty() && !daemon.elsewhere && !said) changes.bad.push_back(daemon.problem);
  const bool warned = !changes.warned.empty() && changes.warned.back() == daemon.warning;
  if (!daemon.warning.empty() && before.hash != daemon.conf_hash && !warned) changes.warned.push_back(daemon.warning);
}

Changes read_entries(Worker &worker, std::uint32_t index, const BookHeader &header) {
  Owner &owner = worker.owners[index];
  Changes changes;
  owner.misnamed.clear();
  for (auto &[name, daemon] : owner.daemons) daemon->in_book = false;
  untie(worker, index);
  std::vector<Seen> seen;
  const BookReader book(owner.book.get(), header);
  for (std::uint32_t i = 0; i < header.entries; i++) {
    const std::optional<BookConf> read = book.read(i);
    if (!read || read->entry.problem == BookProblem::bad_name) {
      const std::string name = read ? std::string(read->entry.name) : "?";
      owner.misnamed.push_back(fmt::format("{}: this is no name for a daemon: it takes letters, digits, _ and (not first) "
                                           ". and -, at most {}. Rename the file",
                                           conf_file(worker, index, name), max_name));
      changes.bad.push_back(owner.misnamed.back());
      continue;
    }
    const std::optional<Conf> conf = parse(worker, index, *read);
    const bool sound = conf && conf->usable();
    if (sound) tie(worker, index, read->entry.name, i, *conf);
    for (const std::string &name : members(worker, index, read->entry.name, sound ? std::optional(conf->instances) : std::nullopt)) {
      const auto found = owner.daemons.find(name);
      const bool fresh = found == owner.daemons.end();
      Daemon &daemon = fresh ? add_daemon(worker, index, name) : *found->second;
      seen.push_back({&daemon, daemon.conf_hash, daemon.usable, fresh});
      daemon.in_book = true;
      daemon.entry = i;
      take_conf(worker, daemon, *read, conf);
    }
  }
  drop_kins(worker, index);
  judge_ties(worker, index);
  std::vector<Daemon *> all;
  for (const Seen &it : seen) all.push_back(it.daemon);
  warn_of_shared_logs(worker, all);
  for (const Seen &it : seen) tell_apart(worker, owner, it, changes);
  for (auto &[name, daemon] : owner.daemons)
    if (!daemon->in_book) changes.gone.push_back(name);
  return changes;
}

// A home that cannot be read just now is no reason to forget who lives in it: what runs goes on, nothing new starts.
void bar_all(Worker &worker, std::uint32_t index) {
  const Owner &owner = worker.owners[index];
  for (auto &[name, daemon] : worker.owners[index].daemons) {
    daemon->usable = false;
    daemon->problem = describe_problem(worker, index, owner.problem, owner.detail, "");
  }
}

}  // namespace

// FNV-1a (Fowler, Noll, Vo).
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return value;
}

bool confs_known(const Owner &owner) {
  return owner.scanned && owner.result == BookResult::ok && (owner.problem == BookProblem::none || owner.problem == BookProblem::missing);
}

bool awaits_conf(const Worker &worker, const Daemon &daemon) {
  if (daemon.owner == no_user || worker.owners[daemon.owner].scanned) return false;
  return is_served(worker, daemon.owner);
}

void aim(const Worker &worker, Daemon &daemon) {
  const std::optional<Conf> conf = read_conf(worker, daemon);
  daemon.astray = false;
  if (conf) daemon.problem = judge_target(worker, daemon, *conf);
  daemon.usable = conf && daemon.problem.empty();
}

Daemon &add_daemon(Worker &worker, std::uint32_t index, const std::string &name) {
  auto daemon = std::make_unique<Daemon>();
  daemon->name = name;
  daemon->owner = index;
  if (const std::size_t colon = name.find(':'); colon != name.npos)
    std::from_chars(name.data() + colon + 1, name.data() + name.size(), daemon->instance);
  Daemon &it = *daemon;
  worker.owners[index].daemons[name] = std::move(daemon);
  return it;
}

void read_again(Worker &worker, Daemon &daemon, std::uint32_t entry) {
  const std::optional<BookConf> read = read_book_conf(worker.owners[daemon.owner].book.get(), entry);
  if (!read || daemon.family() != read->entry.name) return;
  daemon.entry = entry;
  take_conf(worker, daemon, *read, parse(worker, daemon.owner, *read));
  const Kin *kin = kin_of(worker, daemon.owner, daemon.family());
  if (kin != nullptr && daemon.warning.empty()) daemon.warning = kin->warning;
  if (kin == nullptr || kin->fault.empty() || !daemon.problem.empty()) return;
  daemon.problem = kin->fault;
  daemon.usable = false;
}

void place_next(Worker &worker, std::uint32_t index) {
  Owner &owner = worker.owners[index];
  if (!worker.replayed || owner.slot_cookie != 0 || !is_served(worker, index)) return;
  const auto settled = [&owner] {
    const auto found = owner.daemons.find(owner.unplaced.front());
    return found == owner.daemons.end() || found->second->placed;
  };
  while (!owner.unplaced.empty() && settled()) owner.unplaced.pop_front();
  if (!owner.unplaced.empty()) ask_slot(worker, index);
}

std::optional<BookConf> read_entry(const Worker &worker, const Daemon &daemon) {
  if (daemon.owner == no_user || !daemon.in_book) return std::nullopt;
  std::optional<BookConf> read = read_book_conf(worker.owners[daemon.owner].book.get(), daemon.entry);
  if (read && daemon.family() != read->entry.name) read.reset();
  return read;
}

std::optional<Conf> read_conf(const Worker &worker, const Daemon &daemon) {
  const std::optional<BookConf> read = read_entry(worker, daemon);
  if (!read) return std::nullopt;
  Conf conf = parse_conf(read->text, true);
  const Policy &policy = worker.policy;
  expand(conf, {daemon.family(), policy.text(policy.users[daemon.owner].name), policy.text(policy.users[daemon.owner].home), daemon.instance});
  return conf;
}

void take_book(Worker &worker, const TellBook &tell, Fd book) {
  if (tell.owner >= worker.owners.size()) return;
  Owner &owner = worker.owners[tell.owner];
  if (is_struck(worker, tell.owner)) return;  // what was read while he had daemons
  Changes changes;
  owner.scanned = true;
  owner.result = tell.result;
  owner.scan_errno = tell.errno_value;
  owner.scan_asked = false;
  const std::optional<BookHeader> header = book ? read_book_header(book.get()) : std::nullopt;
  if (tell.result == BookResult::ok && !header) owner.result = BookResult::failed;
  if (header) {
    owner.problem = header->problem;
    owner.detail = header->detail;
    owner.where = header->where;
    owner.generation = tell.generation;
    owner.book = std::move(book);
    if (owner.problem == BookProblem::none) changes = read_entries(worker, tell.owner, *header);
    else bar_all(worker, tell.owner);
  } else {
    owner.scanned = worker.replayed;
  }
  std::vector<ScanWaiter> waiting;
  waiting.swap(owner.waiting);
  if (worker.replayed) {
    for (const std::string &name : changes.gone) {
      const auto found = owner.daemons.find(name);
      if (found != owner.daemons.end()) retire(worker, *found->second, why_gone(worker, *found->second));
    }
    if (!owner.listening && !owner.listen_asked && owner.problem == BookProblem::none && is_served(worker, tell.owner))
      ask_listen(worker, tell.owner);
  }
  answer_scan(worker, tell.owner, waiting, changes);
  std::vector<Daemon *> undecided;
  for (auto &[name, daemon] : owner.daemons)
    if (daemon->undecided) undecided.push_back(daemon.get());
  for (Daemon *daemon : undecided) decide(worker, *daemon, now_ms(), false);
  // Daemons that are meant to run and had to wait for a sound conf.
  for (auto &[name, daemon] : owner.daemons) {
    if (!worker.replayed || !daemon->placed) continue;
    tend_sockets(worker, *daemon);
    if (daemon->wanted && daemon->state == State::stopped && daemon->usable && owner.result == BookResult::ok) resume(worker, *daemon);
    else if (daemon->elsewhere) daemon->by = by_conf, raise(worker, *daemon, Event::down);  // it has moved; the wish stays, should it come back
  }
  touch_all(worker, tell.owner);
  place_next(worker, tell.owner);
  if (!owner.waiting_next.empty()) {
    owner.waiting.swap(owner.waiting_next);
    owner.scan_asked = true;
    ask_scan(worker, tell.owner, std::exchange(owner.scan_create, false));
  }
  serve_deferred(worker, now_ms());
  for (const ScanWaiter &waiter : waiting)
    if (Client *client = find_client(worker, waiter.client)) advance(worker, *client);
}

}  // namespace dm::worker
