/* Durations in buckets of 3 % width, from 1 ns on: what percentiles are read from. */
#ifndef POGO_BENCH_HISTOGRAM_H
#define POGO_BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_BUCKETS = 64 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t ns);

/* The duration that a share of all, such as 0.99, does not exceed: the upper end of its bucket. */
uint64_t histogram_at(const struct histogram *histogram, double share);

/* Write {"count":…,"p50":…,"p99":…,"p999":…,"max":…}, in nanoseconds. */
void histogram_print(const struct histogram *histogram);

#endif
