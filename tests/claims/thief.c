// thief PID UID leads|follows: waits until PID is free, makes a process of UID's that has that very pid, as if pids had just come
// round to it, and prints whether a signal came to it within half a second. Runs as root, for the kernel to take its wish.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 4) return 1;
  const int wanted = atoi(argv[1]), uid = atoi(argv[2]), last = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
  char before[16];
  const int size = snprintf(before, sizeof before, "%d", wanted - 1);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  struct pollfd old = {(int)syscall(SYS_pidfd_open, wanted, 0), POLLIN, 0};
  if (old.fd < 0) return 1;
  puts("ready");
  fflush(stdout);
  poll(&old, 1, -1);                                                 // it has ended
  while (syscall(SYS_pidfd_send_signal, old.fd, 0, NULL, 0) == 0) {}  // and is reaped
  for (int i = 0; i < 100; i++) {
    if (pwrite(last, before, (size_t)size, 0) != size) return 1;
    const pid_t made = fork();
    if (made == 0) {
      if (getpid() != wanted) _exit(0);
      if ((strcmp(argv[3], "leads") == 0 && setsid() < 0) || setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) != 0) _exit(1);
      const struct timespec patience = {0, 500000000};
      _exit(sigtimedwait(&all, NULL, &patience) < 0 ? 0 : 2);
    }
    int status;
    if (made < 0 || waitpid(made, &status, 0) != made) continue;
    if (made != wanted) continue;
    puts(status == 0 ? "unharmed" : "hit");
    return 0;
  }
  puts("too late");
  return 0;
}
