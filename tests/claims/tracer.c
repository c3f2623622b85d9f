// tracer: as the user it runs as, tries to trace, read and rob every process of the manager's, stopped where it may
// stop it, until /tmp/enough exists. Prints a line "denied NAME COUNT" for each name of a process, and "taken NAME HOW" for what it should
// not have got. A daemon, which is /srv/daemon, is its user's to trace; its helper on the way to it is not.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
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

// argv[0] without its folder: everybody may read it. False where there is no such process.
static int name_of(pid_t pid, char *name, size_t size) {
  char text[256];
  const ssize_t got = slurp(pid, "cmdline", text, sizeof text);
  if (got <= 0) text[0] = '?', text[1] = '\0';
  const char *slash = strrchr(text, '/');
  snprintf(name, size, "%.60s", slash != NULL ? slash + 1 : text);
  return got >= 0;
}

static int is_daemon(pid_t pid) {
  char path[64], name[4096];
  snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
  const ssize_t size = readlink(path, name, sizeof name - 1);
  if (size < 0) return errno != EACCES;  // it ends just now, its program is gone: killer.c is about that
  name[size] = '\0';
  return strstr(name, "/srv/daemon") != NULL;
}

// 0: nothing was got. What is traced is looked at in the same moment: a daemon can be traced as soon as its exec has come so
// far that its old memory is gone, and is its program by then.
static int trace(pid_t pid, const char *name) {
  int status = 0;
  if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) != 0) return 0;
  if (!is_daemon(pid)) taken(name, "ptrace");
  ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
  if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) return 1;
  // A signal that it was about to get it gets now: what is tried is to look, not to disturb.
  const long signal = status >> 16 == 0 ? WSTOPSIG(status) : 0;
  // Killed meanwhile: its parent hears of it only after us.
  if (ptrace(PTRACE_DETACH, pid, NULL, (void *)signal) != 0) waitpid(pid, &status, __WALL);
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

// The map is of the memory as it was at the open, so it tells whose it is: a helper's names its program. That of a daemon in the
// middle of its exec names none yet.
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
  const int helper = strstr(map, "/daemon-manager") != NULL;
  if (helper) taken(name, "its map");
  const unsigned long address = strtoul(map, NULL, 16);
  const struct iovec mine = {&byte, 1}, its = {(void *)address, 1};
  if (process_vm_readv(pid, &mine, 1, &its, 1, 0) == 1 && helper) taken(name, "its memory");
  return 1;
}

// Not worth it: others' programs, the daemon, which is its user's anyway, and, but for now and then, who was tried often.
static int boring(pid_t pid, const char *name) {
  static struct { char name[16]; unsigned tries; } known[65536];
  static const char *const strangers[] = {"python3", "attacker", "dmctl", "daemon"};
  for (unsigned i = 0; i < sizeof strangers / sizeof *strangers; i++)
    if (strcmp(name, strangers[i]) == 0) return 1;
  if (pid >= 65536) return 0;
  if (strncmp(known[pid].name, name, sizeof known[pid].name - 1) != 0) {
    snprintf(known[pid].name, sizeof known[pid].name, "%.15s", name);
    known[pid].tries = 0;
  }
  return known[pid].tries++ > 10 && known[pid].tries % 32 != 0;
}

// What is of one's own uid may be stopped, and is held at its stage while it is tried.
static void attack(pid_t pid) {
  char name[64];
  if (pid <= 0 || pid == getpid() || !name_of(pid, name, sizeof name) || boring(pid, name)) return;
  const int held = kill(pid, SIGSTOP) == 0;
  if (held) name_of(pid, name, sizeof name);
  if (rob(pid, name) + look(pid, name) + trace(pid, name) == 0) denied(name);
  if (held) kill(pid, SIGCONT);
}

static void attack_all(DIR *all) {
  rewinddir(all);
  for (struct dirent *entry; (entry = readdir(all)) != NULL;)
    if (isdigit((unsigned char)entry->d_name[0])) attack(atoi(entry->d_name));
}

// A helper lives for a millisecond: who has just been made is worth most.
static void attack_newest(void) {
  char text[128];
  const int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  text[size > 0 ? size : 0] = '\0';
  const char *last = strrchr(text, ' ');
  for (int back = 0; last != NULL && back < 6; back++) attack(atoi(last) - back);
}

int main(void) {
  DIR *all = opendir("/proc");
  printf("ready\n");
  fflush(stdout);
  for (unsigned pass = 0; all != NULL && access("/tmp/enough", F_OK) != 0; pass++) {
    if (pass % 16 == 0) attack_all(all);
    else attack_newest();
  }
  for (int i = 0; i < kinds && seen[i].name[0] != '\0'; i++) printf("denied %s %lu\n", seen[i].name, seen[i].denied);
  return 0;
}
