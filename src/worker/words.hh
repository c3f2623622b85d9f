// What people read of daemons: words.cc says how they are, words_failure.cc why they did not start. Sandboxed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/daemon.hh"

namespace dm::worker {

struct Worker;

std::string id_of(const Worker &worker, const Daemon &daemon);
std::string user_name(const Worker &worker, std::uint32_t user);
std::string describe_problem(const Worker &worker, std::uint32_t owner, BookProblem problem, std::uint32_t detail,
                             const std::string &path);
std::string describe_end(const Daemon &daemon);
std::string describe_fault(const Worker &worker, const Daemon &daemon);
// What to do about it, behind a colon; "" where nothing is known.
std::string describe_remedy(const Daemon &daemon);
std::string describe_command(std::int32_t code, std::int32_t status);
// True where the report is of a bind.
bool of_bind(RunStage stage);
// True where the last run came to be the daemon at all.
bool began(const Daemon &daemon);
std::string describe_failure(const Worker &worker, const Daemon &daemon);
std::string describe_note(const Worker &worker, const Daemon &daemon, std::int64_t now);
// (of a daemon of a family it is the family's)
std::string conf_path(const Worker &worker, std::uint32_t owner, std::string_view name);
std::string conf_file(const Worker &worker, std::uint32_t owner, std::string_view name);
const char *state_name(const Daemon &daemon);
// A line of the manager's log.
void note(Worker &worker, const std::string &text);

}  // namespace dm::worker
