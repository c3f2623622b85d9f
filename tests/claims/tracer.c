// tracer SECONDS-AT-MOST: as the user it runs as, tries to trace, read and rob all processes that are not its own, until
// /tmp/enough exists. Prints a line "denied NAME COUNT" for each name of a process, and "taken NAME HOW" for what it should
// not have got. A daemon, which is /usr/bin/sleep, is its user's to trace; its helper on the way to it is not.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kinds = 32 };
static struct { char name[64]; unsigned long denied; } seen[kinds];

static void denied(const char *name) {
  for (int i = 0; i < kinds; i++) {
    if (seen[i].name[0] == '\0') snprintf(seen[i].name, sizeof seen[i].name, "%s", name);
    if (strcmp(seen[i].name, name) != 0) continue;
    seen[i].denied++;
    return;
  }
}

static void taken(const char *name, const char *how) {
  printf("taken %s %s\n", name, how);
  fflush(stdout);
}

static ssize_t slurp(pid_t pid, const char *what, char *text, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
  text[got > 0 ? got : 0] = '\0';
  if (fd >= 0) close(fd);
  return got;
}

// argv[0] without its folder: everybody may read it.
static void name_of(pid_t pid, char *name, size_t size) {
  char text[256];
  if (slurp(pid, "cmdline", text, sizeof text) <= 0) text[0] = '?', text[1] = '\0';
  const char *slash = strrchr(text, '/');
  snprintf(name, size, "%s", slash != NULL ? slash + 1 : text);
}

static int is_daemon(pid_t pid) {
  char path[64], name[4096];
  snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
  const ssize_t size = readlink(path, name, sizeof name - 1);
  name[size > 0 ? size : 0] = '\0';
  return strstr(name, "/sleep") != NULL;
}

// 0: nothing was got. A tracee that passes an exec while it is traced was caught before it was the daemon.
static int trace(pid_t pid, const char *name) {
  int status = 0;
  if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACEEXEC) != 0) return 0;
  ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
  if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) return 1;
  if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) taken(name, "ptrace, before its exec");
  else if (!is_daemon(pid)) taken(name, "ptrace");
  ptrace(PTRACE_DETACH, pid, NULL, NULL);
  return 1;
}

// A daemon has the descriptors 0, 1 and 2; all beyond is a helper's.
static int rob(pid_t pid, const char *name) {
  const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  int got = 0;
  for (int fd = 3; pidfd >= 0 && fd < 6; fd++) {
    const int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    if (copy < 0) continue;
    taken(name, "pidfd_getfd");
    close(copy);
    got = 1;
  }
  if (pidfd >= 0) close(pidfd);
  for (int fd = 3; fd < 6; fd++) {
    char path[64], text[16];
    snprintf(path, sizeof path, "fd/%d", fd);
    if (slurp(pid, path, text, sizeof text) < 0 && errno == EACCES) continue;
    if (text[0] != '\0') taken(name, "what it has open"), got = 1;
  }
  return got;
}

// The map is of the memory as it was at the open, so it tells whose it is.
static int look(pid_t pid, const char *name) {
  static char map[65536];
  char byte, path[64];
  const int readable = slurp(pid, "maps", map, sizeof map) > 0;
  if (!readable) {
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd >= 0;
  }
  if (strstr(map, "/sleep") == NULL) taken(name, "its map");
  const unsigned long address = strtoul(map, NULL, 16);
  const struct iovec mine = {&byte, 1}, its = {(void *)address, 1};
  if (process_vm_readv(pid, &mine, 1, &its, 1, 0) == 1 && strstr(map, "/sleep") == NULL) taken(name, "its memory");
  return 1;
}

int main(int count, char **argv) {
  const time_t end = time(NULL) + (count > 1 ? atoi(argv[1]) : 10);
  const pid_t self = getpid();
  DIR *all = opendir("/proc");
  printf("ready\n");
  fflush(stdout);
  while (all != NULL && access("/tmp/enough", F_OK) != 0 && time(NULL) < end) {
    rewinddir(all);
    for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
      const pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
      char name[64];
      if (pid <= 0 || pid == self) continue;
      name_of(pid, name, sizeof name);
      const int got = rob(pid, name) + look(pid, name) + trace(pid, name);
      if (got == 0) denied(name);
    }
  }
  for (int i = 0; i < kinds && seen[i].name[0] != '\0'; i++) printf("denied %s %lu\n", seen[i].name, seen[i].denied);
  return 0;
}
