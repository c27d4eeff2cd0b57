/* The clocks, and what to do when a measurement cannot go on. */
#ifndef POGO_BENCH_CLOCKS_H
#define POGO_BENCH_CLOCKS_H

#include <stdint.h>

/* Nanoseconds since the machine started: the clock of Python's time.monotonic_ns. */
uint64_t monotonic_ns(void);

/* Nanoseconds of processor time of this thread, in user and kernel mode. */
uint64_t cpu_ns(void);

/* Print a message and what errno says, and end the program. */
_Noreturn void die(const char *what);

#endif
