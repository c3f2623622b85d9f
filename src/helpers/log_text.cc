// The words of a log between and around the daemon's own lines. Owner's privilege.
#include "log_text.hh"

#include <cerrno>
#include <csignal>

#include "lib/text.hh"
#include "log_lines.hh"

namespace dm {
namespace {

std::string describe(const StageNote &note) {
  if (note.kind == LogKind::started) return "started, pid " + std::to_string(note.value);
  if (note.code == CLD_EXITED) return "exited with code " + std::to_string(note.value);
  if (note.code == CLD_KILLED) return "killed by " + signal_name(note.value);
  if (note.code == CLD_DUMPED) return "killed by " + signal_name(note.value) + ", core dumped";
  return "ended";
}

std::string reason(std::uint32_t error) {
  if (error == ENOSPC) return "no space left";
  if (error == EDQUOT) return "the quota is used up";
  if (error == EBUSY) return "another daemon writes to this file";
  if (error == EAGAIN || error == ENOENT || error == ECONNREFUSED) return "syslog did not take them";
  return "the log could not be written (error " + std::to_string(error) + ")";
}

std::string describe_fault(const StageNote &note, const std::string &name) {
  const std::string family = name.substr(0, name.find(':')), file = family + ".conf";
  const std::string place = note.value == 0 ? file : file + ":" + std::to_string(note.value) + ":" + std::to_string(note.code);
  return "not started again: " + place + " has a fault, which dmctl check " + family + " tells; mend it, then dmctl start " + name;
}

void put_note(std::string &out, std::int64_t time_ns, std::int32_t offset, const std::string &words) {
  put_stamp(out, time_ns, offset);
  out += "--- " + words + " ---\n";
}

}  // namespace

void compose_plan(LogStage &stage, std::string &out) {
  const StageRecord &plan = stage.record();
  out.clear();
  if (plan.told_dropped > 0)
    put_note(out, plan.time_ns, plan.offset, std::to_string(plan.told_dropped) + " lines were dropped here: " + reason(plan.error));
  put_lines(out, stage.read(plan.from, plan.to), plan.since_ns != 0 ? plan.since_ns : plan.time_ns, plan.time_ns, plan.offset);
  for (std::uint32_t i = 0; i < plan.notes; i++) {
    const StageNote &note = stage.note(plan.first_note + i);
    if (note.kind == LogKind::started || note.kind == LogKind::exited) put_note(out, note.time_ns, plan.offset, describe(note));
    else if (note.stays_down != 0) put_note(out, note.time_ns, plan.offset, describe_fault(note, stage.name()));
  }
  if (plan.told_lost > 0)
    put_note(out, plan.time_ns, plan.offset, std::to_string(plan.told_lost) + " starts and exits are not noted here");
}

}  // namespace dm
