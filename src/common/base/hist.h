/* How often each of many values came, to a known precision in constant memory: buckets of equal
 * width within a power of two (Gil Tene's HdrHistogram). A percentile is at most 1/32 above the
 * true one. Plain numbers: it may lie in shared memory, and histograms can be added up. */
#ifndef BASE_HIST_H
#define BASE_HIST_H

#include <stdint.h>

#define HIST_SUB_BITS 5
#define HIST_SUBS (1u << HIST_SUB_BITS)
/* Values of 64 bits: the first 2 * HIST_SUBS exactly, then HIST_SUBS for each power of two. */
#define HIST_BUCKETS ((64u - HIST_SUB_BITS + 1) * HIST_SUBS)

struct hist {
	uint64_t buckets[HIST_BUCKETS];
	uint64_t count, min, max; /* min and max mean something when count > 0 */
	double sum;
};

void hist_init(struct hist *h);
void hist_add(struct hist *h, uint64_t value);
void hist_merge(struct hist *h, const struct hist *other);
/* The smallest bucket's upper end that `part` (0 to 1) of the values do not pass, never above the
 * largest value; 0 when there are none. */
uint64_t hist_percentile(const struct hist *h, double part);
double hist_mean(const struct hist *h);

#endif
