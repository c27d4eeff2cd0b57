#include "histogram.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

/* Below 32 each value has a bucket; above, the five bits that follow the highest one count. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < HISTOGRAM_STEPS)
        return (unsigned)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - 5u;
    return (shift + 1u) * HISTOGRAM_STEPS + (unsigned)((ns >> shift) & (HISTOGRAM_STEPS - 1));
}

static uint64_t end_of(unsigned bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_STEPS - 1u;
    uint64_t first = HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS;
    return ((first + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->buckets[bucket_of(ns)]++;
    if (ns > histogram->max)
        histogram->max = ns;
}

uint64_t histogram_at(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count);
    uint64_t seen = 0;

    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen > wanted) {
            uint64_t end = end_of(bucket);
            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}

void histogram_print(const struct histogram *histogram)
{
    printf("{\"count\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"p999\":%" PRIu64
           ",\"max\":%" PRIu64 "}",
           histogram->count, histogram_at(histogram, 0.5), histogram_at(histogram, 0.99),
           histogram_at(histogram, 0.999), histogram->max);
}
