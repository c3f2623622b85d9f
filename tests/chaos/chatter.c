// chatter COUNTER MS: a daemon for the chaos run. Writes a line "E<epoch> N<number> ." each MS milliseconds to stdout, and goes on
// with the numbers where its predecessor was killed. COUNTER is 32 bytes that it maps: next number, epoch, pid, overlaps.
//
// Each line is one write(2), and the number is counted after it: whoever is killed between the two leaves his last number to
// be written once more, in the next epoch. So a number that is missing, or doubled within an epoch, was lost or doubled
// on its way. The file is locked: a second chatter beside the first is counted in `overlaps`, and ends.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct counter {
  uint64_t next, epoch, pid, overlaps;
};

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const int fd = open(argv[1], O_RDWR | O_CLOEXEC);
  volatile struct counter *counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd < 0 || counter == MAP_FAILED) return 3;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    counter->overlaps++;
    return 4;
  }
  counter->epoch++;
  counter->pid = (uint64_t)getpid();
  const long ms = atol(argv[2]);
  const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
  for (;;) {
    char line[64];
    const int size = snprintf(line, sizeof line, "E%llu N%llu .\n", (unsigned long long)counter->epoch, (unsigned long long)counter->next);
    if (write(1, line, (size_t)size) != size) return 5;
    counter->next++;
    nanosleep(&pause, NULL);
  }
}
