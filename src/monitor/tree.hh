// A daemon's tree of processes: its cgroup (v2) where there is one, else its process group. Root.
#pragma once

#include <cstdint>

#include "lib/fd.hh"

namespace dm::monitor {

// The directory that holds a cgroup for each slot; empty: there is no cgroup v2, process groups must do.
struct Trees {
  Fd base;
  bool unwanted = false;  // cgroup=no: none for whatever is started from now on; who has one keeps it
  [[nodiscard]] bool used() const { return base && !unwanted; }
};

// Makes <own cgroup>/daemon-manager.<instance>. False (errno set) where there is no usable cgroup v2. At start, root.
bool open_trees(Trees &trees, std::uint64_t instance);
// The slot's cgroup, made if need be; empty with errno set on failure.
Fd open_tree(const Trees &trees, std::uint32_t slot);
// What tells of the slot's cgroup, for tree_left and for epoll; empty where there are no cgroups, or (errno set) none of this slot's.
Fd watch_tree(const Trees &trees, std::uint32_t slot);
// True while any process of the tree is left. `events` is of watch_tree: until it is read anew, epoll (EPOLLPRI) reports it for ever
// when something has changed since. `pid` is the main process (already reaped), for process groups.
bool tree_left(const Trees &trees, const Fd &events, std::int32_t pid);
// Sends `signal` to all that is left of the tree. Exact: a process is signalled by a pidfd that was opened before it was
// seen (again) in the cgroup, so a pid that was used again is never hit.
void signal_tree(const Trees &trees, std::uint32_t slot, std::int32_t pid, int signal);
// Calls `visit(context, slot)` for each slot's cgroup that exists. At start.
void each_tree(const Trees &trees, void (*visit)(void *context, std::uint32_t slot), void *context);
// Removes the slot's cgroup, which is empty.
void remove_tree(const Trees &trees, std::uint32_t slot);

}  // namespace dm::monitor
