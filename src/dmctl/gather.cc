// What the system tells of daemons, for pages and tables. The caller's privilege.
#include "dmctl/fields.hh"
#include "dmctl/page.hh"
#include "dmctl/status_view.hh"

#include <algorithm>
#include <iterator>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dm::dmctl {
namespace {

// The conf that is there now is another than the one that the manager has read. Of others' the caller may not ask, and root, whom a
// path of a user's may lead anywhere, does not.
bool is_edited(const Row &row) {
  const std::string owner = row[row_id].substr(0, row[row_id].rfind('/'));
  const passwd *entry = row[row_read_ns].empty() ? nullptr : ::getpwnam(owner.c_str());
  struct stat st;
  if (entry == nullptr || entry->pw_uid != ::geteuid() || ::lstat(row[row_conf].c_str(), &st) != 0) return false;
  return std::to_string(st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec) != row[row_read_ns];
}

}  // namespace

Page gather_page(const Row &row, Processes &processes, const std::vector<Event> &events) {
  Page page{.row = row, .usage = {}, .descriptors = {}, .most_descriptors = {}, .edited = is_edited(row), .last = last_lines(row, lines_of_page), .ends = {}};
  std::copy_if(events.rbegin(), events.rend(), std::back_inserter(page.ends), [&](const Event &it) { return it[event_id] == row[row_id]; });
  const std::optional<std::uint64_t> pid = number_of(row[row_pid]);
  if (!pid || *pid == 0 || *pid > INT32_MAX) return page;
  const int main = static_cast<int>(*pid);
  page.usage = processes.of(main);
  page.descriptors = count_descriptors(main);
  page.most_descriptors = most_descriptors(main);
  for (std::size_t i = 0; i < std::min(page.usage.tree.size(), processes_of_page); i++)
    page.usage.tree[i].command = command_of(page.usage.tree[i].process);
  return page;
}

std::vector<Sight> look_at(std::vector<Row> rows) {
  Processes processes;
  std::vector<Sight> sights;
  sights.reserve(rows.size());
  for (Row &row : rows) {
    Sight sight{.row = std::move(row), .memory = {}, .cpu_us = {}, .cpu_percent = {}, .hidden = false};
    const std::optional<std::uint64_t> pid = number_of(sight.row[row_pid]);
    if (pid && *pid > 0 && *pid <= INT32_MAX) {
      const Usage usage = processes.of(static_cast<int>(*pid));
      sight.memory = usage.memory;
      sight.cpu_us = usage.cpu_us;
      sight.hidden = usage.hidden != 0;
    }
    sights.push_back(std::move(sight));
  }
  return sights;
}

}  // namespace dm::dmctl
