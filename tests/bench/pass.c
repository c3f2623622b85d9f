/* The floor of a manager whose daemons are set up by a helper: a static C program that executes another one and does nothing else. Most of
 * its time is its start: libc asks the processor what it can, and in a virtual machine each of some 20 CPUID goes to the hypervisor. */
#include <unistd.h>

int main(void) {
  char *const arguments[] = {"/usr/local/bin/first", NULL}, *const environment[] = {NULL};
  execve(arguments[0], arguments, environment);
  return 127;
}
