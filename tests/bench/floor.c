/* The benchmark's floor: the least that can be called a supervisor of N children with a command. One process, linked static; vfork and
 * exec, a pidfd each; no log, no cgroup, no conf. As root, or each child as a user of its own.
 *
 *   floor serve N PROGRAM SOCKET USERS    N children, spread over USERS uids from 3000 on; 0: all as root
 *   floor ask SOCKET REQUEST              one: 's7' status of child 7, 'a' of all, 'r7' restarts it; prints the answer */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { line = 24, first_uid = 3000 };
struct child {
  pid_t pid;
  int pidfd;
};

static struct child *children;
static unsigned count, users;
static char *program;
static int epoll;

static struct sockaddr_un address(const char *path) {
  struct sockaddr_un it = {.sun_family = AF_UNIX};
  strncpy(it.sun_path, path, sizeof it.sun_path - 1);
  return it;
}

static void start(unsigned i) {
  char *const arguments[] = {program, NULL}, *const environment[] = {NULL};
  const pid_t pid = vfork();
  if (pid == 0) {
    const uid_t id = first_uid + (users ? i % users : 0);
    if (users && (setgroups(0, NULL) != 0 || setresgid(id, id, id) != 0 || setresuid(id, id, id) != 0)) _exit(126);
    execve(program, arguments, environment);
    _exit(127);
  }
  children[i] = (struct child){pid, pidfd_open(pid, 0)};
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
  if (pid < 0 || children[i].pidfd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, children[i].pidfd, &event) != 0) exit(1);
}

static void again(unsigned i) {
  waitpid(children[i].pid, NULL, 0);
  close(children[i].pidfd);
  start(i);
}

static size_t show(char *to, unsigned i) { return (size_t)snprintf(to, line, "%u running %d\n", i, (int)children[i].pid); }

static void serve(int listener, char *answer) {
  char request[line] = "";
  const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  if (read(fd, request, sizeof request - 1) > 0) {
    const unsigned i = (unsigned)atoi(request + 1) % count;
    size_t size = 0;
    if (request[0] == 'r') {
      pidfd_send_signal(children[i].pidfd, SIGTERM, NULL, 0);
      again(i);
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
  count = (unsigned)atoi(argv[2]), program = argv[3], users = (unsigned)atoi(argv[5]);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  children = calloc(count, sizeof *children);
  char *answer = malloc((size_t)count * line);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const struct sockaddr_un at = address(argv[4]);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = count};
  if (!children || !answer || bind(listener, (const struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 128) != 0 ||
      epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
    return 1;
  for (unsigned i = 0; i < count; i++) start(i);
  for (;;) {
    struct epoll_event events[64];
    const int some = epoll_wait(epoll, events, 64, -1);
    int asked = 0;
    for (int i = 0; i < some; i++) {
      if (events[i].data.u32 == count)
        asked = 1; /* last: a restart makes an event of the same round stale */
      else
        again(events[i].data.u32);
    }
    if (asked) serve(listener, answer);
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
  if (argc == 6 && strcmp(argv[1], "serve") == 0) return supervise(argv);
  if (argc == 4 && strcmp(argv[1], "ask") == 0) return ask(argv);
  return 2;
}
