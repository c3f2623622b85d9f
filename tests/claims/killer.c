// killer: as the user it runs as, kills each helper of its uid that it meets, and in the moment in which that dies, its memory
// gone and its descriptors not yet, takes what it has open. Until /tmp/enough exists. Prints "killed NAME COUNT" and
// "taken NAME WHAT".
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kinds = 8, most_fds = 48 };
static const char *const names[kinds] = {"dm-scan", "dm-listen", "dm-log", "dm-run", "daemon-manager"};
static unsigned long killed[kinds];

static int kind_of(int proc, const char *pid) {
  char path[64], text[64] = "";
  struct stat info;
  if (fstatat(proc, pid, &info, 0) != 0) return -1;
  snprintf(path, sizeof path, "%s/cmdline", pid);
  const int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  if (read(fd, text, sizeof text - 1) <= 0) text[0] = '\0';
  close(fd);
  const char *slash = strrchr(text, '/');
  for (int i = 0; i < kinds && names[i] != NULL; i++)
    if (strcmp(slash != NULL ? slash + 1 : text, names[i]) == 0) return i;
  return -1;
}

// The moment is short: two numbers for each victim, a helper's own or what only the monitor's child has on its way. A daemon has
// nothing beyond 2, so that all of these are a helper's.
static void take(int pidfd, const char *name) {
  static int turn;
  const int first = turn++ % 2 == 0 ? 3 : 5 + turn % (most_fds - 5);
  for (int tries = 0; tries < 20000; tries++) {
    for (int fd = first; fd < first + 2; fd++) {
      const int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
      if (copy < 0 && (errno == ESRCH || errno == EBADF)) return;
      if (copy < 0) continue;
      char path[64], what[256];
      snprintf(path, sizeof path, "/proc/self/fd/%d", copy);
      const ssize_t size = readlink(path, what, sizeof what - 1);
      printf("taken %s %d %.*s\n", name, fd, (int)(size > 0 ? size : 0), what);
      close(copy);
      return;
    }
    // Reaped: nothing more to get.
    if (tries % 64 == 63 && syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) != 0) return;
  }
}

int main(void) {
  DIR *all = opendir("/proc");
  printf("ready\n");
  fflush(stdout);
  while (all != NULL && access("/tmp/enough", F_OK) != 0) {
    rewinddir(all);
    for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
      if (!isdigit((unsigned char)entry->d_name[0])) continue;
      const int kind = kind_of(dirfd(all), entry->d_name);
      const pid_t pid = atoi(entry->d_name);
      const int pidfd = kind < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
      if (pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0) {
        killed[kind]++;
        take(pidfd, names[kind]);
      }
      if (pidfd >= 0) close(pidfd);
    }
  }
  for (int i = 0; i < kinds && names[i] != NULL; i++) printf("killed %s %lu\n", names[i], killed[i]);
  return 0;
}
