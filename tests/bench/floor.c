/* The benchmark's floor: the least that can be called a supervisor of N children with a command. One process, linked static; vfork and
 * exec, no descriptor for a child (each child's table of descriptors would grow with them, for good); no log, no conf. As root, or each
 * child as a user of its own; without cgroups, or each in one of its own, which vfork cannot do: clone3.
 *
 *   floor serve N PROGRAM SOCKET USERS [TREE]    N children, spread over USERS uids from 3000 on; 0: all as root; TREE: where cgroups are made
 *   floor ask SOCKET REQUEST                     one: 's7' status of child 7, 'a' of all, 'r7' restarts it, 'R' all; prints the answer */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { line = 24, first_uid = 3000 };

static pid_t *children;
static unsigned *places, mask; /* which child a pid is: open addressing, index + 1 */
static unsigned count, users;
static char *program, *tree;
static sigset_t nothing, death;

static struct sockaddr_un address(const char *path) {
  struct sockaddr_un it = {.sun_family = AF_UNIX};
  strncpy(it.sun_path, path, sizeof it.sun_path - 1);
  return it;
}

static unsigned place_of(pid_t pid) {
  unsigned at = (unsigned)pid & mask;
  while (places[at] != 0 && children[places[at] - 1] != pid) at = (at + 1) & mask;
  return at;
}

/* As fork, into the child's own cgroup, which stays for its successors. */
static pid_t fork_into_tree(unsigned i) {
  char path[256];
  snprintf(path, sizeof path, "%s/%u", tree, i);
  mkdir(path, 0755);
  const int group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct clone_args how = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned)group};
  const pid_t pid = (pid_t)syscall(SYS_clone3, &how, sizeof how);
  if (pid != 0) close(group);
  return pid;
}

static void start(unsigned i) {
  char *const arguments[] = {program, NULL}, *const environment[] = {NULL};
  const pid_t pid = tree ? fork_into_tree(i) : vfork();
  if (pid == 0) {
    const uid_t id = first_uid + (users ? i % users : 0);
    if (users && (setgroups(0, NULL) != 0 || setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0)) _exit(126);
    sigprocmask(SIG_SETMASK, &nothing, NULL);
    execve(program, arguments, environment);
    _exit(127);
  }
  if (pid < 0) exit(1);
  children[i] = pid;
  places[place_of(pid)] = i + 1;
}

/* It has been reaped: forgets it, moving up those behind it that would not be found over the gap, and starts its successor. */
static void again(pid_t pid) {
  const unsigned gap = place_of(pid), i = places[gap] - 1;
  places[gap] = 0;
  for (unsigned at = (gap + 1) & mask; places[at] != 0; at = (at + 1) & mask) {
    const unsigned moved = places[at];
    places[at] = 0;
    places[place_of(children[moved - 1])] = moved;
  }
  start(i);
}

static void reap(int signals) {
  struct signalfd_siginfo one;
  if (read(signals, &one, sizeof one) != sizeof one) return;
  pid_t pid = (pid_t)one.ssi_pid; /* first, for to look for others the kernel goes through all; their signals may be merged in this */
  if (waitpid(pid, NULL, WNOHANG) == pid) again(pid);
  while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) again(pid);
}

static size_t show(char *to, unsigned i) { return (size_t)snprintf(to, line, "%u running %d\n", i, (int)children[i]); }

static void serve(int listener, char *answer) {
  char request[line] = "";
  const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  if (read(fd, request, sizeof request - 1) > 0) {
    const unsigned i = (unsigned)atoi(request + 1) % count;
    size_t size = 0;
    if (request[0] == 'r') {
      const pid_t pid = children[i];
      kill(pid, SIGTERM);
      if (waitpid(pid, NULL, 0) == pid) again(pid);
    }
    if (request[0] == 'R') {
      for (unsigned each = 0; each < count; each++) kill(children[each], SIGTERM);
      for (unsigned each = 0; each < count; each++) {
        const pid_t pid = children[each];
        if (waitpid(pid, NULL, 0) == pid) again(pid);
      }
    }
    if (request[0] == 'a')
      for (unsigned each = 0; each < count; each++) size += show(answer + size, each);
    else
      size = show(answer, i);
    for (size_t sent = 0; sent < size;) {
      const ssize_t some = write(fd, answer + sent, size - sent);
      if (some <= 0) break;
      sent += (size_t)some;
    }
  }
  close(fd);
}

static int supervise(char **argv) {
  count = (unsigned)atoi(argv[2]), program = argv[3], users = (unsigned)atoi(argv[5]), tree = argv[6];
  for (mask = 1; mask < 2 * count;) mask = 2 * mask + 1;
  children = calloc(count, sizeof *children);
  places = calloc(mask + 1, sizeof *places);
  char *answer = malloc((size_t)count * line);
  sigemptyset(&nothing);
  sigemptyset(&death);
  sigaddset(&death, SIGCHLD);
  sigprocmask(SIG_BLOCK, &death, NULL);
  const int epoll = epoll_create1(EPOLL_CLOEXEC), signals = signalfd(-1, &death, SFD_CLOEXEC | SFD_NONBLOCK);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const struct sockaddr_un at = address(argv[4]);
  struct epoll_event asked = {.events = EPOLLIN, .data.fd = listener}, died = {.events = EPOLLIN, .data.fd = signals};
  if (!children || !places || !answer || bind(listener, (const struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 128) != 0 ||
      epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &asked) != 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &died) != 0)
    return 1;
  for (unsigned i = 0; i < count; i++) start(i);
  for (;;) {
    struct epoll_event event;
    if (epoll_wait(epoll, &event, 1, -1) == 1) event.data.fd == listener ? serve(listener, answer) : reap(signals);
  }
}

static int ask(char **argv) {
  char answer[65536];
  const struct sockaddr_un to = address(argv[2]);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0 || write(fd, argv[3], strlen(argv[3])) < 0) return 1;
  ssize_t some, all = 0;
  for (; (some = read(fd, answer, sizeof answer)) > 0; all += some)
    if (write(1, answer, (size_t)some) != some) return 1;
  return all == 0;
}

int main(int argc, char **argv) {
  if ((argc == 6 || argc == 7) && strcmp(argv[1], "serve") == 0) return supervise(argv);
  if (argc == 4 && strcmp(argv[1], "ask") == 0) return ask(argv);
  return 2;
}
