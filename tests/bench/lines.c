/* The loggers' daemon: writes so many lines of 100 bytes to its standard output, 40 of them at a time, and ends, or sleeps where it is
 * told to. lines COUNT [sleep] */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { line = 100, lines = 40 };

int main(int argc, char **argv) {
  static char block[line * lines];
  if (argc < 2) return 2;
  memset(block, 'x', sizeof block);
  for (int i = 0; i < lines; i++) {
    memcpy(block + i * line, "GET /one/of/many/lines ", 23);
    block[i * line + line - 1] = '\n';
  }
  for (int64_t left = atoll(argv[1]); left > 0; left -= lines) {
    const size_t size = left < lines ? (size_t)left * line : sizeof block;
    for (size_t done = 0; done < size;) {
      const ssize_t some = write(1, block + done, size - done);
      if (some <= 0) return 1;
      done += (size_t)some;
    }
  }
  while (argc > 2) pause();
  return 0;
}
