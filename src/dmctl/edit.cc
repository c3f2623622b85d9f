// The verb edit: a conf in an editor, judged before it counts. The caller's privilege; the manager hears of it at the end.
#include "dmctl/editor.hh"
#include "dmctl/home.hh"
#include "dmctl/judge.hh"
#include "dmctl/place.hh"
#include "dmctl/talk.hh"
#include "dmctl/terminal.hh"
#include "dmctl/verbs.hh"
#include "helpers/own.hh"
#include "lib/book_words.hh"
#include "lib/names.hh"
#include "lib/text.hh"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

namespace dm::dmctl {
namespace {

// A directory beside the confs for the copy and whatever the editor puts next to it, as closed as they are; it goes with all of it.
class Scratch {
public:
  explicit Scratch(const Caller &caller) : path_(caller.home + "/.daemon-manager/edit.XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) error_ = errno;
  }
  ~Scratch() {
    std::error_code ignored;
    if (error_ == 0 && !kept_) std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] const std::string &path() const { return path_; }
  void keep() { kept_ = true; }

private:
  std::string path_;
  int error_ = 0;
  bool kept_ = false;
};

// A conf as it is on the disk.
struct OnDisk {
  OwnFile file;
  mode_t mode = 0600;
  gid_t group = static_cast<gid_t>(-1);
};

OnDisk read_conf(const Caller &caller, const std::string &name) {
  OnDisk found;
  Fd file = open_beneath(caller.daemons.get(), conf_file(name).c_str(), own_file_flags);
  const int error = errno;
  struct stat info {};
  if (file && ::fstat(file.get(), &info) == 0) found.mode = info.st_mode & 07777U, found.group = info.st_gid;
  errno = error;
  found.file = read_own_file(std::move(file), most_conf_bytes, most_conf_bytes);
  return found;
}

// What the editor left. Its mode is not looked at: nobody else gets into the directory.
OwnFile read_copy(const std::string &path) {
  Fd file(::open(path.c_str(), own_file_flags));
  struct stat info {};
  if (file && ::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode)) ::fchmod(file.get(), 0600);
  return read_own_file(std::move(file), most_conf_bytes, most_conf_bytes);
}

class Edit {
public:
  Edit(const Command &command, const Caller &caller, std::string name, Printer &printer)
      : command_(command), caller_(caller), name_(std::move(name)), path_(conf_path(caller, name_)), terminal_(on_terminal(printer)),
        printer_(printer) {}
  Exit run();

private:
  enum class Done { again, keep, save };
  Done judge(OwnFile copy, bool &usable);
  Exit save(const OnDisk &old, const std::string &text, Scratch &scratch, const std::string &copy_path);
  Exit fail(std::string_view why) {
    printer_.complain(safe_lines(why));
    return Exit::failed;
  }
  Exit as_it_was(std::string_view why) { return fail(fmt::format("{}{}{} is as it was", why, why.empty() ? "" : ": ", path_)); }

  const Command &command_;
  const Caller &caller_;
  const std::string name_, path_;
  const bool terminal_;
  Printer &printer_;
};

// Says what is wrong with the text, and asks what to do then.
Edit::Done Edit::judge(OwnFile copy, bool &usable) {
  const bool savable = copy.problem == BookProblem::none;
  const Judgement judgement = judge_conf(caller_, std::move(copy), path_, name_, printer_.err());
  usable = judgement.usable;
  if (!judgement.text.empty()) printer_.complain_as_it_is(judgement.text);
  if (usable) return Done::save;
  if (!terminal_) return Done::keep;
  for (;;) {
    const std::optional<std::string> answer = ask_line(printer_, savable ? "edit again, go back to the old one, or save anyhow? [E/b/s] "
                                                                         : "edit again, or go back to the old one? [E/b] ");
    if (!answer) return Done::keep;
    const char letter = answer->empty() ? 'e' : static_cast<char>((*answer)[0] | 0x20);
    if (letter == 'e') return Done::again;
    if (letter == 'b') return Done::keep;
    if (letter == 's' && savable) return Done::save;
  }
}

Exit Edit::save(const OnDisk &old, const std::string &text, Scratch &scratch, const std::string &copy_path) {
  const OnDisk now = read_conf(caller_, name_);
  if (now.file.problem != BookProblem::none || now.file.text != old.file.text) {
    printer_.complain(safe_lines(path_ + " was changed by somebody else meanwhile"));
    if (!terminal_ || !ask_yes(printer_, "put yours in its place?", false)) {
      scratch.keep();
      return fail("your text is in " + copy_path);
    }
  }
  if (const int error = place_file(caller_.daemons.get(), conf_file(name_), text, old.mode, old.group, Over::the_old); error != 0) {
    scratch.keep();
    return fail(fmt::format("{}: cannot be written: {}; your text is in {}", path_, errno_words(error), copy_path));
  }
  printer_.say(safe_lines("saved " + path_));
  return Exit::done;
}

// True where it runs, or will again by itself. Where nobody answers, the next question says so.
bool runs(const std::string &id) {
  const Fd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  Printer quiet(nowhere.get(), nowhere.get());
  Question question;
  question.verb = "status";
  question.arguments = {id};
  question.keep_text = true;
  const Answer answer = ask_manager(question, quiet);
  return std::any_of(answer.rows.begin(), answer.rows.end(), [](const Row &row) {
    return row[row_state] != "stopped" && row[row_state] != "done" && row[row_state] != "failed";
  });
}

Exit let_it_count(const Command &command, const Caller &caller, const std::string &name, bool terminal, Printer &printer) {
  const std::string id = caller.name + "/" + name;
  Question question;
  question.verb = "rescan";
  question.no_wait = command.no_wait;
  question.waits = true;
  if (runs(id)) {
    if (!command.draft.yes && !(terminal && ask_yes(printer, "it runs; restart it now?", false))) {
      printer.say(fmt::format("it runs on as it was; dmctl restart {} makes the change count\n", name));
      return Exit::done;
    }
    question.verb = "restart";
    question.arguments = {id};
  }
  return ask_manager(question, printer).code;
}

Exit Edit::run() {
  const OnDisk old = read_conf(caller_, name_);
  if (old.file.problem != BookProblem::none)
    return fail(describe_book_problem(old.file.problem, old.file.detail, path_, caller_.name));
  bool usable = false;
  {
    const Interrupts interrupts;
    Scratch scratch(caller_);
    const std::string copy_path = scratch.path() + "/" + conf_file(name_);
    if (scratch.error() != 0) return fail(fmt::format("no copy can be made in {}: {}", scratch.path(), errno_words(scratch.error())));
    const Fd directory(::open(scratch.path().c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const int error = place_file(directory.get(), conf_file(name_), old.file.text, 0600, static_cast<gid_t>(-1), Over::nothing);
    if (error != 0) return fail(fmt::format("{}: cannot be written: {}", copy_path, errno_words(error)));
    for (Done done = Done::again; done != Done::save;) {
      printer_.flush();
      if (const std::string ended = run_editor(copy_path); !ended.empty()) return as_it_was(ended);
      OwnFile copy = read_copy(copy_path);
      const std::string text = copy.text;
      if (copy.problem == BookProblem::none && text == old.file.text) {
        printer_.say(safe_lines(path_ + ": no change"));
        return Exit::done;
      }
      done = judge(std::move(copy), usable);
      if (done == Done::keep) return as_it_was("");
      if (done == Done::again) continue;
      if (const Exit code = save(old, text, scratch, copy_path); code != Exit::done) return code;
    }
  }
  if (!usable) return fail("it has a fault, so it will not start; where it runs, it runs on as it was");
  return let_it_count(command_, caller_, name_, terminal_, printer_);
}

}  // namespace

Exit run_edit(const Command &command, Printer &printer) {
  const std::string &word = command.words[0];
  const Caller caller = find_caller();
  const bool others = word.find('/') != word.npos && !word.starts_with(caller.name + "/");
  if (others || !command.user.empty()) {
    printer.complain(own_words("edit is for one's own confs alone: become their owner first"));
    return Exit::not_permitted;
  }
  if (!caller.problem.empty()) {
    printer.complain(safe_lines(caller.problem));
    return Exit::failed;
  }
  const std::optional<std::string> name = own_conf(caller, word);
  if (!name) {
    const std::string_view plain = without_suffix(conf_of(std::string_view(word).substr(word.rfind('/') + 1)));
    const std::string hint = valid_daemon_name(plain) ? fmt::format("dmctl new {} makes one", plain) : "dmctl list shows what daemons there are";
    printer.complain(safe_lines(fmt::format("there is no {}; {}", conf_path(caller, plain), hint)));
    return Exit::no_such_daemon;
  }
  return Edit(command, caller, *name, printer).run();
}

}  // namespace dm::dmctl
