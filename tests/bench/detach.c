/* For monit, which supervises by a file with a pid alone: starts a program as a daemon does, writes its pid there and ends.
 * detach PIDFILE PROGRAM */
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const pid_t pid = vfork();
  if (pid == 0) {
    execv(argv[2], argv + 2);
    _exit(127);
  }
  FILE *file = fopen(argv[1], "w");
  return pid < 0 || !file || fprintf(file, "%d\n", (int)pid) < 0 || fclose(file) != 0;
}
