// Where the files of one log come from: opened with the caller's rights, or borrowed from their owner. The caller's privilege.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>

#include "dmctl/borrow.hh"
#include "dmctl/logfile.hh"

namespace dm::dmctl {

class LogSource {
public:
  // The log at `path`, which is `owner`'s (a uid), and what was rotated away beside it.
  LogSource(std::string path, uid_t owner) : path_(std::move(path)), owner_(owner) {}
  // That of daemon `id`, borrowed.
  LogSource(std::string path, uid_t owner, std::string id) : LogSource(std::move(path), owner) { borrowed_.emplace(std::move(id), owner); }

  // Number 0 is the log itself; from 1 on those that were rotated away, the youngest first, each plain or `packed`.
  OpenedLog open(std::uint32_t number = 0, bool packed = false) {
    if (borrowed_) return borrowed_->open(number, packed);
    return open_log(path_ + (number == 0 ? "" : "." + std::to_string(number)) + (packed ? ".gz" : ""), owner_);
  }
  // Why it could not be opened, where the fault does not say enough; else "".
  [[nodiscard]] std::string why() const { return borrowed_ ? borrowed_->why() : std::string(); }

private:
  std::string path_;
  uid_t owner_;
  std::optional<Borrowed> borrowed_;
};

}  // namespace dm::dmctl
