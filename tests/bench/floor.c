/* The benchmark's floor: the least that can be called a supervisor. One child, started anew with vfork and exec as soon as it is
 * reaped; no users, no cgroup, no log, no socket. Linked static. */
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  char *const arguments[] = {argv[1], (char *)0}, *const environment[] = {(char *)0};
  for (;;) {
    const pid_t pid = vfork();
    if (pid == 0) {
      execve(argv[1], arguments, environment);
      _exit(127);
    }
    if (pid < 0 || waitpid(pid, (int *)0, 0) < 0) return 1;
  }
}
