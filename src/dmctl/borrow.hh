// The log of somebody whom the caller manages: its files come, opened, from a process of its owner's. The caller's privilege.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

#include "dmctl/logfile.hh"
#include "lib/fd.hh"

namespace dm::dmctl {

class Borrowed {
public:
  // `id`: owner/name; `owner`: the uid that alone may hand its files out.
  Borrowed(std::string id, uid_t owner) : id_(std::move(id)), owner_(owner) {}
  // Number 0 is the log itself. Asks the manager where to get it, when it has not been asked yet or whoever lent it has gone.
  OpenedLog open(std::uint32_t number, bool packed);
  // Why the last could not be had, for a person; "" where its fault says enough.
  [[nodiscard]] const std::string &why() const { return why_; }

private:
  bool meet();
  bool find(std::string &path);
  bool connect(const std::string &path);
  bool ask(std::uint32_t number, bool packed, OpenedLog &log) const;

  std::string id_, why_;
  uid_t owner_;
  Fd lender_;
};

}  // namespace dm::dmctl
