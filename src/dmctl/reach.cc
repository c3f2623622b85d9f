// Words for a manager that is not there, does not answer, or is another than dmctl knows. The caller's privilege; no I/O.
#include "dmctl/reach.hh"

#include "dmctl/printer.hh"
#include "lib/text.hh"
#include "settings.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

constexpr std::string_view to_start = "  to start it, as root: systemctl start daemon-manager (without systemd: daemon-manager --background)\n";
constexpr std::string_view to_see = "  its log may say why: journalctl -u daemon-manager (without systemd: where its syslog goes)\n";

const Attempt *with(std::span<const Attempt> tried, std::initializer_list<int> errors) {
  const auto found = std::ranges::find_if(tried, [&](const Attempt &it) { return std::ranges::count(errors, it.error) != 0; });
  return found == tried.end() ? nullptr : &*found;
}

}  // namespace

std::string describe_unreachable(std::span<const Attempt> tried, bool run_dir) {
  std::string list;
  for (const Attempt &it : tried) list += fmt::format("  tried {}: {}\n", escape(it.path), std::strerror(it.error));
  if (const Attempt *shut = with(tried, {EACCES, EPERM}))
    return own_words("the manager's socket does not let you in: permission denied") + list +
           fmt::format("  namei -l {} shows which folder or mode shuts you out; ask root to set it right, or to start the manager anew\n",
                       escape(shut->path));
  if (with(tried, {EAGAIN}) != nullptr)
    return own_words("the manager takes no connections: it hangs, or far too many wait") + list + std::string(to_see);
  if (with(tried, {ECONNREFUSED}) != nullptr)
    return own_words("the manager is not running: its socket is there, but nobody listens, for it has ended or was killed") + list +
           std::string(to_see) + std::string(to_start);
  if (!run_dir)
    return own_words("the manager is not running: there is no " DM_RUN_DIR ", so nobody has started it since the machine was") + list +
           std::string(to_start);
  if (std::ranges::all_of(tried, [](const Attempt &it) { return it.error == ENOENT || it.error == ENAMETOOLONG; }))
    return own_words("the manager is not running: " DM_RUN_DIR " is there, but no socket of its") + list + std::string(to_start);
  return own_words("the manager cannot be reached") + list + std::string(to_see);
}

std::string describe_silence(Patience patience) {
  return own_words(fmt::format("the manager took the request, but has not answered for {}: it hangs, is stopped, or has far too much to do",
                               short_time(static_cast<std::uint64_t>(patience.count())))) +
         "  what its processes do: ps -C daemon-manager,dm-worker -o pid,stat,args (T: stopped, D: hangs)\n" + std::string(to_see);
}

std::string differing_versions(std::string_view manager) {
  if (manager == DM_VERSION) return {};
  return fmt::format("dmctl is " DM_VERSION " and the manager {}: after an upgrade of the package the new manager takes over, without any daemon "
                     "noticing, by (as root) daemon-manager --upgrade",
                     escape(manager));
}

std::string describe_versions(std::string_view manager) {
  if (manager.empty()) return "  it does not tell its version either, dmctl is " DM_VERSION "; what listens at its socket may be no manager\n";
  const std::string differ = differing_versions(manager);
  return differ.empty() ? fmt::format("  both are " DM_VERSION ", so this is a fault of one of them: please report it\n") : "  " + differ + "\n";
}

}  // namespace dm::dmctl
