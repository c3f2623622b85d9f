// Looks at whom user= names. The caller's privilege; a manager that answers at once is asked what root allows.
#include "dmctl/lint.hh"
#include "dmctl/talk.hh"
#include "lib/text.hh"

#include <cerrno>
#include <pwd.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {

std::optional<bool> user_exists(const std::string &name) {
  errno = 0;
  const passwd *entry = ::getpwnam(name.c_str());
  if (entry != nullptr) return true;
  // Not where the name service did not answer.
  if (errno == 0 || errno == ENOENT || errno == ESRCH) return false;
  return std::nullopt;
}

std::string user_words(std::string_view owner, const std::string &user) {
  if (user.empty() || user == owner) return {};
  if (user == "root") return "nobody may run daemons as root; expected another user: leave user= out to run as yourself";
  if (user_exists(user) == false) return "there is no such user; expected the name of one, or no user= to run as yourself";
  const Answer answer = ask_quickly({.verb = "explain", .arguments = {owner, "run-as", user}});
  for (const Reason &reason : answer.reasons)
    if (reason[reason_id].empty() && reason[reason_allowed] == "0") return escape(reason[reason_text]);
  return {};
}

}  // namespace dm::dmctl
