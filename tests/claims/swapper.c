// swapper A B NOTE: exchanges the names A and B again and again until SIGTERM, and then until both are as at first. How often
// stands in the file NOTE meanwhile, and is printed at the end.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t enough;

static void stop(int number) { (void)number, enough = 1; }

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  signal(SIGTERM, stop);
  const int note = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  unsigned long count = 0;
  while (!enough || count % 2 != 0) {
    if (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) != 0) return perror("renameat2"), 1;
    count++;
    if (count % 100 == 0) {
      char text[24];
      if (pwrite(note, text, (size_t)snprintf(text, sizeof text, "%20lu", count), 0) < 0) return 1;
    }
    // Pauses of every length, up to what a scan takes, so that each of its steps is met.
    for (volatile long i = random() % 20000; i > 0; i--) {}
  }
  printf("%lu\n", count);
  return 0;
}
