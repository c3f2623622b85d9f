// dmctl's view of confs: the place of a fault as it is shown, what is warned of, files put in their place. No privilege.
#include <doctest/doctest.h>

#include "dmctl/command.hh"
#include "dmctl/excerpt.hh"
#include "dmctl/lint.hh"
#include "dmctl/place.hh"
#include "dmctl/words.hh"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/stat.h>

#include "lib/fd.hh"

using namespace dm;
using namespace dm::dmctl;

namespace {

struct Folder {
  std::string path = "/tmp/dm-confs-XXXXXX";
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  void file(const std::string &name, mode_t mode) const {
    std::ofstream(path + "/" + name) << "x";
    ::chmod((path + "/" + name).c_str(), mode);
  }
};

std::string text_of(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The column of the caret in the lower line, from 0, less what stands before the line itself.
std::size_t caret(const std::string &shown) { return shown.size() - shown.rfind('\n') - 1 - std::string("   1 | ^").size(); }

bool goes_away(std::string_view command) {
  std::size_t at = 0;
  return !background_words(command, at).empty();
}

// Places and words of what is warned of, for daemon web of david's.
std::string warned(const std::string &text, const std::string &home) {
  std::string all;
  for (const ConfFault &fault : lint(parse_conf(text, false), text, {"web", "david", home})) {
    CHECK(fault.warning);
    all += std::to_string(fault.line) + ":" + std::to_string(fault.column) + " " + fault.text + "\n";
  }
  return all;
}

bool holds(const std::string &text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a line is shown with a caret below the column") {
  CHECK(excerpt("dir=/\nstop_timeout=ten\n", 2, 14) == "   2 | stop_timeout=ten\n     |              ^");
  CHECK(excerpt("\xef\xbb\xbf" "dir=x", 1, 5) == "   1 | dir=x\n     |     ^");
  CHECK(excerpt("dir=\r\n", 1, 5) == "   1 | dir=\n     |     ^");
}

TEST_CASE("tabs, wide, combining and escaped characters leave the caret below its character") {
  CHECK(caret(excerpt("dir=\tx", 1, 6)) == 8);                              // a tab up to column 8
  CHECK(excerpt("dir=\tx", 1, 6).find('\t') == std::string::npos);
  CHECK(caret(excerpt("dir=\xe6\xbc\xa2x", 1, 8)) == 6);                    // a wide character
  CHECK(caret(excerpt("dir=e\xcc\x81x", 1, 8)) == 5);                       // a combining one
  CHECK(caret(excerpt("dir=\x1bx", 1, 6)) == 8);                            // \x1b
  CHECK(caret(excerpt("dir=\xffx", 1, 6)) == 8);                            // no UTF-8
  CHECK(excerpt("dir=\x1b[2Jx", 1, 5).find('\x1b') == std::string::npos);
}

TEST_CASE("a long line is shown around its column") {
  const std::string shown = excerpt("start=" + std::string(5000, 'a') + "B" + std::string(5000, 'c'), 1, 5007);
  CHECK(shown.size() < 300);
  const std::string first = shown.substr(0, shown.find('\n'));
  CHECK(first[shown.size() - shown.find('\n') - 2] == 'B');
}

TEST_CASE("what may be a secret is not shown, and no line that is none") {
  for (const char *text : {"export A=geheim", "export A geheim", "geheim", "#geheim", "TOKENtokenGeheim1=geheim", "colour=geheim"})
    for (std::uint32_t column = 1; column < 20; column++) CHECK_FALSE(holds(excerpt(text, 1, column), "geheim"));
  CHECK(excerpt("colour=geheim", 1, 1) == "   1 | colour=...\n     | ^");
  CHECK(excerpt("dir=/", 2, 1).empty());
  CHECK(excerpt("dir=/", 0, 0).empty());
  CHECK(excerpt("dir=/", 1, 99).empty());
}

TEST_CASE("a command that puts itself into the background is known by its own manual, and no other") {
  for (const char *command : {"server &", "exec server &", "nginx", "exec nginx -c x.conf", "/usr/sbin/nginx", "gunicorn a:b -D", "gunicorn --daemon a:b",
                              "memcached -d", "redis-server --daemonize yes", "php-fpm8.2 -y x", "setsid -f server", "mongod --fork --logpath=x",
                              "uwsgi --daemonize=/tmp/log x", "deluged", "apachectl start", "sshd -p 2222", "gunicorn a:b -D >log 2>&1"})
    CHECK_MESSAGE(goes_away(command), command);
  for (const char *command : {"server", "a && b", "echo \\&", "nginx -g 'daemon off;'", "nginx -t", "gunicorn a:b", "deluged -d", "sshd -De", "sshd -D -p 2222",
                              "redis-server --daemonize no", "php-fpm8.2 -F", "myserver -d", "myserver --daemon", "x; gunicorn -D",
                              "gunicorn a:b; other -D", "$nginx", "'nginx'", "nginx() { :; }; nginx", "python3 -m http.server -d /srv", "apache2 -DFOREGROUND"})
    CHECK_MESSAGE(!goes_away(command), command);
  std::size_t at = 0;
  CHECK(holds(background_words("gunicorn a:b -D", at), "gunicorn with -D"));
  CHECK(at == 13);
  background_words("server &", at);
  CHECK(at == 7);
}

TEST_CASE("a program is the first word where the shell makes nothing else of it") {
  CHECK(program_of("exec  ./server -x")->name == "./server");
  CHECK(program_of("exec  ./server -x")->at == 6);
  CHECK(program_of("server>log")->name == "server");
  for (const char *command : {"cd x && y", "A=1 x", "exec -a y x", "'x y'", "$x", "f() { x; }", "f () { x; }", "", "exec", "[ a ]", "x* y"})
    CHECK_MESSAGE(!program_of(command), command);
}

TEST_CASE("directories and programs that are not there are warned of, where they stand") {
  const Folder folder;
  folder.file("run", 0755);
  folder.file("data", 0644);
  std::filesystem::create_directory(folder.path + "/sub");
  const auto told = [&](const std::string &rest) { return warned("dir=%h\n" + rest + "\n", folder.path); };
  CHECK(told("start=./run").empty());
  CHECK(told("start=exec %h/run").empty());
  CHECK(told("start=sh -c x").empty());
  CHECK(told("start=cd sub && x").empty());
  CHECK(holds(told("start=exec ./none"), "2:12 found './none', and there is no " + folder.path + "/./none"));
  CHECK(holds(told("start=./data"), "2:7 found './data'"));
  CHECK(holds(told("start=./sub"), "is a directory"));
  CHECK(holds(told("start=run"), "write ./run"));
  CHECK(holds(told("start=./run\nbefore=./none"), "3:8 "));
  CHECK(holds(told("start=bin/sh x"), "did you mean /bin/sh?"));
  CHECK(holds(told("start=./run etc/passwd"), "2:13 found 'etc/passwd'"));
  CHECK(holds(told("start=./run --file=etc/passwd"), "2:20 "));
  CHECK(told("start=./run sub/none").empty());
  CHECK(holds(warned("dir=%h/none/x\nstart=./run\n", folder.path), "1:5 found dir=%h/none/x, and there is no " + folder.path + "/none;"));
  CHECK(holds(warned("dir=%h/run\nstart=./run\n", folder.path), "is no directory"));
}

TEST_CASE("a PATH of the conf's own is searched, and one that is an export is not shown") {
  const Folder folder;
  folder.file("tool", 0755);
  CHECK(warned("dir=/\npath=%h\nstart=tool\n", folder.path).empty());
  CHECK(warned("dir=/\nexport PATH=%h\nstart=tool\n", folder.path).empty());
  const std::string told = warned("dir=/\nexport PATH=%h/geheim\nstart=tool\n", folder.path);
  CHECK(holds(told, "in no directory of PATH"));
  CHECK_FALSE(holds(told, "geheim"));
}

TEST_CASE("what runs on another host is not looked for on this one, and a signal is no program") {
  CHECK(warned("dir=/nowhere\nhost=no-such-host-at-all\nstart=./none\n", "/").empty());
  CHECK(warned("dir=/\nstart=sh\nreload=HUP\n", "/").empty());
}

TEST_CASE("a place of output= where no log will be written is warned of") {
  const Folder folder;
  const std::string text = "dir=" + folder.path + "\nstart=./run\noutput=file:%h/log/%n.log\n", log = folder.path + "/log";
  folder.file("run", 0755);
  const auto words = [&] { return warned(text, folder.path); };
  CHECK(words().starts_with("3:8 found 'file:%h/log/%n.log', and there is no " + log + ";"));
  std::filesystem::create_directory(folder.path + "/real");
  std::filesystem::create_symlink("real", log);
  CHECK(holds(words(), "a symbolic link is in " + log));
  std::filesystem::remove(log);
  folder.file("log", 0600);
  CHECK(holds(words(), log + " is no directory"));
  std::filesystem::remove(log);
  std::filesystem::create_directory(log);
  CHECK(words().empty());
  REQUIRE(::chmod(log.c_str(), 0770) == 0);
  CHECK(holds(words(), "others may write to " + log + " (mode 770)"));
  REQUIRE(::chmod(log.c_str(), 01777) == 0);
  CHECK(words().empty());
  folder.file("log/web.log", 0600);
  CHECK(words().empty());
  std::filesystem::create_hard_link(log + "/web.log", log + "/second");
  CHECK(holds(words(), "has a second name"));
  std::filesystem::remove(log + "/web.log");
  std::filesystem::create_symlink("second", log + "/web.log");
  CHECK(holds(words(), "web.log is a symbolic link"));
  std::filesystem::remove(log + "/web.log");
  REQUIRE(::mkfifo((log + "/web.log").c_str(), 0600) == 0);
  CHECK(holds(words(), "web.log is no plain file"));
  CHECK(holds(warned("dir=" + folder.path + "\nstart=./run\noutput=file:/dev/null\n", folder.path), "output=discard"));
}

TEST_CASE("a file takes its place whole, over another only where that is wanted, and leaves nothing beside it") {
  const Folder folder;
  const Fd directory(::open(folder.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto none = static_cast<gid_t>(-1);
  CHECK(place_file(directory.get(), "a.conf", "one", 0640, none, Over::nothing) == 0);
  CHECK(place_file(directory.get(), "a.conf", "two", 0600, none, Over::nothing) == EEXIST);
  CHECK(text_of(folder.path + "/a.conf") == "one");
  CHECK(place_file(directory.get(), "a.conf", "two", 0644, none, Over::the_old) == 0);
  CHECK(text_of(folder.path + "/a.conf") == "two");
  struct stat info {};
  REQUIRE(::stat((folder.path + "/a.conf").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777U) == 0644);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("completions are told each verb of the table") {
  char name[] = "/tmp/dm-words-XXXXXX";
  const Fd file(::mkstemp(name));
  Printer printer(file.get(), file.get());
  const auto print = [&printer](std::vector<std::string> words) { return print_words(words, printer); };
  CHECK(print({".verbs"}));
  CHECK(print({".signals"}));
  CHECK(print({".options", "kill"}));
  CHECK_FALSE(print({"verbs"}));
  CHECK_FALSE(print({}));
  printer.flush();
  const std::string told = text_of(name);
  std::filesystem::remove(name);
  for (const Verb &verb : verbs()) CHECK(holds("\n" + told, "\n" + std::string(verb.name) + "\t"));
  for (const char *line : {"\nkill\tkill\t", "\ncheck\tfiles\t", "\nrescan\tnone\t", "\nstop\tids\t", "\nHUP\n", "\n--signal\t", "\n--quiet\t", "\nRTMIN\n"}) CHECK(holds(told, line));
}
