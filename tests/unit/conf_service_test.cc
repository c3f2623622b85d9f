// What a conf says of sockets, readiness, commands around a run, and families of daemons. No privilege.
#include <doctest/doctest.h>

#include <csignal>

#include "lib/conf.hh"
#include "lib/conf_expand.hh"
#include "lib/conf_line.hh"

using namespace dm;

namespace {

// The lines begin with the third.
Conf conf_with(const std::string &lines) { return parse_conf("dir=/\nstart=./x\n" + lines, false); }

// The only fault of a conf that is right but for these lines.
ConfFault fault_of(const std::string &lines) {
  const Conf conf = conf_with(lines);
  REQUIRE_MESSAGE(conf.faults.size() == 1, lines);
  return conf.faults.front();
}

bool says(const ConfFault &fault, std::string_view words) { return fault.text.find(words) != std::string::npos; }

void refused_at(const std::string &lines, std::uint32_t line, std::uint32_t column, std::string_view words) {
  const ConfFault fault = fault_of(lines);
  INFO(lines, ": ", fault.line, ":", fault.column, ": ", fault.text);
  CHECK(!fault.warning);
  CHECK(fault.line == line);
  CHECK(fault.column == column);
  CHECK(says(fault, words));
  CHECK(says(fault, "found "));
  CHECK(says(fault, "expected "));
}

void warned_at(const std::string &lines, std::uint32_t line, std::uint32_t column, std::string_view words) {
  const ConfFault fault = fault_of(lines);
  INFO(lines, ": ", fault.line, ":", fault.column, ": ", fault.text);
  CHECK(fault.warning);
  CHECK(fault.line == line);
  CHECK(fault.column == column);
  CHECK(says(fault, words));
}

bool good(const std::string &lines) {
  const Conf conf = conf_with(lines);
  INFO(lines, ": ", conf.faults.empty() ? "" : conf.faults.front().text);
  CHECK(conf.faults.empty());
  return conf.faults.empty();
}

ListenAddress address_of(std::string_view text) {
  ListenAddress address;
  REQUIRE_MESSAGE(parse_listen(text, address), std::string(text));
  return address;
}

const std::string sock = "listen=/run/x.sock\n";

}  // namespace

TEST_CASE("a conf that says nothing of sockets has none, and is ready when it was started") {
  const Conf conf = conf_with("");
  CHECK(conf.listen.empty());
  CHECK(conf.listen_mode == 0660);
  CHECK(conf.listen_backlog == 511);
  CHECK(conf.listen_pass == ListenPass::fitting);
  CHECK(!conf.on_connection);
  CHECK(conf.ready == Ready::started);
  CHECK(conf.start_timeout_ms == 60'000);
  CHECK(conf.watchdog_ms == 0);
  CHECK(conf.instances == 0);
  CHECK((conf.before + conf.after_exit + conf.stop_command + conf.reload_command).empty());
}

TEST_CASE("every key that the parser knows is known to the redaction, and the other way round") {
  for (const std::string_view key : known_keys()) {
    CHECK_MESSAGE(known_key(key), std::string(key));
    for (const ConfFault &fault : parse_conf(std::string(key) + "=\n", false).faults) CHECK_MESSAGE(!says(fault, "unknown key"), fault.text);
    CHECK(redact_conf(std::string(key) + "=a b") == std::string(key) + "=a b");
  }
  CHECK(known_keys().size() == 35);
}

TEST_CASE("an address is a path, an IPv4 address, localhost or an IPv6 address in brackets, with a port") {
  CHECK(address_of("/run/a.sock").family == Family::local);
  CHECK(address_of("/run/a.sock").path == "/run/a.sock");
  CHECK(address_of("/a:b").path == "/a:b");
  CHECK(address_of("/" + std::string(106, 'a')).path.size() == 107);
  const ListenAddress four = address_of("127.0.0.1:8000"), local = address_of("localhost:80"), any = address_of("0.0.0.0:65535");
  CHECK(four.family == Family::inet);
  CHECK(four.port == 8000);
  CHECK(four.address[0] == 127);
  CHECK(four.address[3] == 1);
  CHECK(local.address[0] == 127);
  CHECK(local.port == 80);
  CHECK(any.port == 65535);
  const ListenAddress six = address_of("[::1]:1");
  CHECK(six.family == Family::inet6);
  CHECK(six.port == 1);
  CHECK(six.address[15] == 1);
}

TEST_CASE("what is no address is none, and leaves what was there") {
  for (const std::string &text :
       {std::string(""), std::string("/"), std::string("/run/"), std::string("x.sock"), std::string("./x"), "/" + std::string(107, 'a'),
        std::string("/a\0b", 4), std::string("8000"), std::string(":8000"), std::string("127.0.0.1"), std::string("127.0.0.1:"),
        std::string("127.0.0.1:0"), std::string("127.0.0.1:65536"), std::string("127.0.0.1:+1"), std::string("127.0.0.1: 1"),
        std::string("127.0.0.1:99999999999"), std::string("127.1:80"), std::string("256.0.0.1:80"), std::string("example.org:80"),
        std::string("*:80"), std::string("::1:80"), std::string("[::1]"), std::string("[::1]80"), std::string("[]:80"),
        std::string("[127.0.0.1]:80"), std::string("[fe80::1%eth0]:80"), std::string("[::1:80"), std::string("LOCALHOST:80"),
        std::string("127.0.0.1\0x:80", 14)}) {
    ListenAddress address;
    address.port = 7;
    CHECK_MESSAGE(!parse_listen(text, address), text);
    CHECK(address.port == 7);
  }
}

TEST_CASE("listen= comes up to eight times, and is kept as it was written") {
  const Conf conf = conf_with("listen=%h/run/%n.sock\nlisten=127.0.0.1:8000\nlisten=[::1]:8000\n");
  CHECK(conf.faults.empty());
  CHECK(conf.listen == std::vector<std::string>{"%h/run/%n.sock", "127.0.0.1:8000", "[::1]:8000"});
  std::string lines;
  for (int i = 1; i <= 8; i++) lines += "listen=127.0.0.1:" + std::to_string(i) + "\n";
  CHECK(good(lines));
  refused_at(lines + "listen=127.0.0.1:9\n", 11, 8, "at most 8");
  refused_at("listen=/a\nlisten = /a\n", 4, 10, "each address once");
}

TEST_CASE("a listen= that is no address is refused where it begins, with what to write") {
  refused_at("listen=run/x.sock\n", 3, 8, "found 'run/x.sock' after listen=, expected an absolute path");
  refused_at("listen=\n", 3, 8, "found nothing");
  refused_at("  listen = example.org:80\n", 3, 12, "listen=127.0.0.1:8000");
  refused_at("listen=/" + std::string(107, 'a') + "\n", 3, 8, "at most 107 bytes");
  CHECK(good("listen=/" + std::string(106, 'a') + "\n"));
  refused_at("listen=%h\n", 3, 8, "expected");
  refused_at("listen=%h:80\n", 3, 8, "expected");
  refused_at("listen=127.0.0.1:80 # web\n", 3, 8, "a comment needs a line of its own");
}

TEST_CASE("listen_mode, listen_backlog and listen_pass have their ranges") {
  const Conf conf = conf_with(sock + "listen_mode=0777\nlisten_backlog=65535\nlisten_pass=fds\n");
  CHECK(conf.faults.empty());
  CHECK(conf.listen_mode == 0777);
  CHECK(conf.listen_backlog == 65535);
  CHECK(conf.listen_pass == ListenPass::fds);
  CHECK(conf_with(sock + "listen_mode=0\nlisten_backlog=1\nlisten_pass=stdin\n").listen_mode == 0);
  CHECK(conf_with(sock + "listen_backlog=1\n").listen_backlog == 1);
  CHECK(conf_with(sock + "listen_pass=stdin\n").listen_pass == ListenPass::stdin);
  for (const char *value : {"1000", "8", "", "00660", "u+rw", "-1"})
    refused_at(sock + "listen_mode=" + value + "\n", 4, 13, "octal");
  for (const char *value : {"0", "65536", "", "-1", "many"})
    refused_at(sock + "listen_backlog=" + value + "\n", 4, 16, "1 to 65535");
  for (const char *value : {"", "fd", "STDIN", "0"}) refused_at(sock + "listen_pass=" + value + "\n", 4, 13, "stdin or fds");
}

TEST_CASE("what belongs to listen= is a warning without it, and start_on=connection is refused") {
  warned_at("listen_mode=0600\n", 3, 13, "without listen=");
  warned_at("listen_backlog=1\n", 3, 16, "without listen=");
  warned_at("listen_pass=fds\n", 3, 13, "without listen=");
  refused_at("start_on=connection\n", 3, 10, "without listen=");
  CHECK(good("start_on=boot\n"));
  CHECK(conf_with(sock + "start_on=connection\n").on_connection);
  CHECK(!conf_with(sock + "start_on=boot\n").on_connection);
  refused_at(sock + "start_on=demand\n", 4, 10, "boot or connection");
  // A listen= that is refused is the one fault.
  refused_at("listen=x\nstart_on=connection\nready=connect\nlisten_mode=0600\n", 3, 8, "absolute path");
}

TEST_CASE("descriptor 0 takes one socket") {
  refused_at("listen=/a\nlisten_pass=stdin\nlisten=/b\n", 4, 13, "found listen_pass=stdin with 2 listen lines");
  CHECK(good("listen=/a\nlisten_pass=fds\nlisten=/b\n"));
}

TEST_CASE("ready= is started, notify, connect or a descriptor") {
  CHECK(conf_with("ready=started\n").ready == Ready::started);
  CHECK(conf_with("ready=notify\n").ready == Ready::notify);
  CHECK(conf_with(sock + "ready=connect\n").ready == Ready::connect);
  CHECK(conf_with("ready=fd:3\n").ready == Ready::fd);
  CHECK(conf_with("ready=fd:3\n").ready_fd == 3);
  CHECK(conf_with("ready=fd:31\n").ready_fd == 31);
  CHECK(good("ready=fd:31\n"));
  for (const char *value : {"", "fd", "fd:", "fd:2", "fd:32", "fd:-3", "fd: 3", "yes", "NOTIFY"})
    refused_at("ready=" + std::string(value) + "\n", 3, 7, "ready=notify for");
  refused_at("ready=connect\n", 3, 7, "without listen=");
}

TEST_CASE("the descriptor of ready= is none of the sockets'") {
  CHECK(good(sock + "ready=fd:3\n"));  // one socket is descriptor 0
  refused_at(sock + "listen_pass=fds\nready=fd:3\n", 5, 7, "write ready=fd:4 or higher");
  CHECK(good(sock + "listen_pass=fds\nready=fd:4\n"));
  refused_at("ready=fd:4\nlisten=/a\nlisten=/b\n", 3, 7, "write ready=fd:5 or higher");
  CHECK(good("ready=fd:5\nlisten=/a\nlisten=/b\n"));
}

TEST_CASE("start_timeout and watchdog are times, and have something to wait for") {
  CHECK(conf_with("ready=notify\nstart_timeout=1ms\n").start_timeout_ms == 1);
  CHECK(good("ready=notify\nstart_timeout=2147483648ms\n"));
  for (const char *value : {"0", "", "25d", "soon"})
    refused_at("ready=notify\nstart_timeout=" + std::string(value) + "\n", 4, 15, "not 0");
  CHECK(conf_with("ready=notify\nwatchdog=30s\n").watchdog_ms == 30'000);
  CHECK(conf_with("ready=notify\nwatchdog=1000ms\n").watchdog_ms == 1'000);
  for (const char *value : {"999ms", "0", "", "often"})
    refused_at("ready=notify\nwatchdog=" + std::string(value) + "\n", 4, 10, "from 1s");
  refused_at("watchdog=5s\n", 3, 10, "without ready=notify");
  refused_at("ready=fd:3\nwatchdog=5s\n", 4, 10, "without ready=notify");
  warned_at("start_timeout=5s\n", 3, 15, "nothing is waited for");
  CHECK(good("start_timeout=5s\nbefore=./migrate\n"));
}

TEST_CASE("a task is ready when it was started") {
  CHECK(good("type=task\nready=started\n"));
  refused_at("ready=notify\ntype=task\n", 3, 7, "found ready=notify with type=task");
  refused_at("type=task\nready=fd:3\n", 4, 7, "a task is ready when it has been started");
}

TEST_CASE("reload= is a signal or a command, and neither by mistake") {
  CHECK(conf_with("reload=HUP\n").reload_signal == SIGHUP);
  CHECK(conf_with("reload=sigusr1\n").reload_signal == SIGUSR1);
  CHECK(conf_with("reload=12\n").reload_signal == 12);
  CHECK(conf_with("reload=HUP\n").reload_command.empty());
  const Conf command = conf_with("reload=nginx -s reload\n");
  CHECK(command.reload_signal == 0);
  CHECK(command.reload_command == "nginx -s reload");
  for (const char *value : {"SIGHUPP", "65", "0", "SIG"}) refused_at("reload=" + std::string(value) + "\n", 3, 8, "a signal by name");
  for (const char *value : {"KILL", "SIGSTOP", "9"}) refused_at("reload=" + std::string(value) + "\n", 3, 8, "that the daemon can take");
  refused_at("reload=\n", 3, 8, "found nothing");
}

TEST_CASE("stop=, before= and after_exit= are commands of one line") {
  const Conf conf = conf_with("stop=./x --stop\nbefore=a; b\nafter_exit=c $EXIT_CODE\n");
  CHECK(conf.faults.empty());
  CHECK(conf.stop_command == "./x --stop");
  CHECK(conf.before == "a; b");
  CHECK(conf.after_exit == "c $EXIT_CODE");
  const std::pair<const char *, std::uint32_t> keys[] = {{"stop", 6}, {"before", 8}, {"after_exit", 12}};
  for (const auto &[key, column] : keys) {
    refused_at(std::string(key) + "=\n", 3, column, "found nothing");
    refused_at(std::string(key) + "=" + std::string(131072, 'a') + "\n", 3, column, "at most 131071");
    CHECK(good(std::string(key) + "=" + std::string(131071, 'a') + "\n"));
  }
}

TEST_CASE("instances= is 1 to 100, and each listens for itself") {
  CHECK(conf_with("instances=1\n").instances == 1);
  CHECK(conf_with("instances=100\n").instances == 100);
  for (const char *value : {"0", "101", "", "-1", "two", "4294967297"})
    refused_at("instances=" + std::string(value) + "\n", 3, 11, "from 1 to 100");
  CHECK(good("instances=4\nlisten=/run/%n.%i.sock\n"));
  CHECK(good("listen=127.0.0.1:800%i\ninstances=9\n"));
  refused_at("listen=/run/%n.sock\ninstances=4\n", 3, 8, "put %i");
  refused_at("instances=4\nlisten=/run/%i.sock\nlisten=/run/%%i.sock\n", 5, 8, "put %i");
  refused_at("listen=127.0.0.1:800%i\ninstances=100\n", 3, 8, "no address for instance 100");
  warned_at("listen=/run/%i.sock\n", 3, 8, "without instances=");
  refused_at("listen=127.0.0.1:800%i\n", 3, 8, "without instances=");
  refused_at("instances=2\nenv_file=%h/%i.env\n", 4, 10, "read once for all");
  CHECK(good("env_file=%h/%i.env\n"));
}

TEST_CASE("requires= and after= take names and owner/name, on one line or several") {
  const Conf conf = conf_with("requires=db, amy/cache\nrequires=ann@corp/x.y\nafter=log\nafter=db\n");
  CHECK(conf.faults.empty());
  CHECK(conf.needs == std::vector<std::string>{"db", "amy/cache", "ann@corp/x.y"});
  CHECK(conf.after == std::vector<std::string>{"log", "db"});
  refused_at("requires=db, amy/\n", 3, 14, "found 'amy/' after requires=");
  refused_at("requires=db,\n", 3, 13, "found nothing");
  refused_at("after=\n", 3, 7, "found nothing");
  refused_at("after=db, db\n", 3, 11, "each name once");
  refused_at("requires=db\nrequires= x,db\n", 4, 13, "each name once");
  refused_at("requires=web:1\n", 3, 10, "without the number of an instance");
  for (const char *value : {"/db", "a/b/c", ".db", "@web/db", "a b", "-db"})
    refused_at("after=" + std::string(value) + "\n", 3, 7, "the name of a daemon");
  std::string many = "requires=d1";
  for (int i = 2; i <= 100; i++) many += ",d" + std::to_string(i);
  CHECK(good(many + "\n"));
  refused_at(many + ",e\n", 3, static_cast<std::uint32_t>(many.size() + 2), "at most 100");
}

TEST_CASE("faults come in the order of their lines, those of the whole conf last") {
  const Conf conf = parse_conf("start_on=connection\nlisten_mode=0600\nready=connect\nwatchdog=2s\n", false);
  REQUIRE(conf.faults.size() == 6);
  for (std::size_t i = 0; i < 4; i++) CHECK(conf.faults[i].line == i + 1);
  CHECK(conf.faults[4].line == 0);
  CHECK(conf.faults[5].line == 0);
}

TEST_CASE("the signs are replaced in all values that may hold them, %i only where there are instances") {
  const std::string text = "dir=/%i\nstart=s %n %i\nbefore=b %i\nafter_exit=a %i\nstop=t %i\nreload=r %i\nlisten=/%u/%i\nenv_file=/%i\n"
                           "path=/%i/bin\nexport A=%i%%i\n";
  Conf one = parse_conf(text, false), none = one;
  expand(one, {"web", "david", "/home/david", 12});
  CHECK(one.dir == "/12");
  CHECK(one.start == "s web 12");
  CHECK(one.before == "b 12");
  CHECK(one.after_exit == "a 12");
  CHECK(one.stop_command == "t 12");
  CHECK(one.reload_command == "r 12");
  CHECK(one.listen == std::vector<std::string>{"/david/12"});
  CHECK(one.env_file == "/%i");
  CHECK(one.path == "/12/bin");
  CHECK(one.exports[0].second == "12%i");
  expand(none, {"web", "david", "/home/david"});
  CHECK(none.start == "s web %i");
  CHECK(none.exports[0].second == "%i%i");
}

TEST_CASE("an address that is too long only with the real home is refused where it stands, and so is a need of oneself") {
  const std::string home = "/home/" + std::string(90, 'd');  // 96 bytes
  const auto faults = [&](const std::string &lines, std::string_view name) {
    const std::string text = "dir=/\nstart=./x\n" + lines;
    Conf conf = parse_conf(text, false);
    REQUIRE(conf.faults.empty());
    judge_expanded(conf, text, {name, "david", home});
    return conf.faults;
  };
  CHECK(faults("listen=%h/%n.sock\n", "abcde").empty());  // 107
  const std::vector<ConfFault> longer = faults("# one\nlisten = %h/%n.sock\n", "abcdef");
  REQUIRE(longer.size() == 1);
  CHECK(longer[0].line == 4);
  CHECK(longer[0].column == 10);
  CHECK(says(longer[0], "108 bytes"));
  CHECK(!longer[0].warning);
  CHECK(faults("instances=9\nlisten=%h/%n%i.sock\n", "abcd").empty());
  CHECK(faults("instances=10\nlisten=%h/%n%i.sock\n", "abcd").size() == 1);
  const std::vector<ConfFault> itself = faults("requires=db, web\nafter=david/web\n", "web");
  REQUIRE(itself.size() == 2);
  CHECK(itself[0].line == 3);
  CHECK(itself[0].column == 14);
  CHECK(says(itself[0], "its own name after requires="));
  CHECK(itself[1].line == 4);
  CHECK(itself[1].column == 7);
  CHECK(faults("requires=amy/web\n", "web").empty());
}
