#include "common/base/hist.h"

#include <math.h>
#include <string.h>

/* Below 2 * HIST_SUBS a value is its own bucket; above, the HIST_SUB_BITS behind its first one. */
static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < 2 * HIST_SUBS)
		return (unsigned)value;
	shift = 63 - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
	return (shift + 1) * HIST_SUBS + (unsigned)((value >> shift) - HIST_SUBS);
}

static uint64_t upper_end(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * HIST_SUBS)
		return bucket;
	shift = bucket / HIST_SUBS - 1;
	return (((uint64_t)(bucket % HIST_SUBS) + HIST_SUBS) << shift) + ((1ull << shift) - 1);
}

void hist_init(struct hist *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

void hist_add(struct hist *h, uint64_t value)
{
	h->buckets[bucket_of(value)]++;
	h->count++;
	h->sum += (double)value;
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
}

void hist_merge(struct hist *h, const struct hist *other)
{
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		h->buckets[i] += other->buckets[i];
	h->count += other->count;
	h->sum += other->sum;
	if (other->min < h->min)
		h->min = other->min;
	if (other->max > h->max)
		h->max = other->max;
}

uint64_t hist_percentile(const struct hist *h, double part)
{
	uint64_t wanted = (uint64_t)ceil(part * (double)h->count), seen = 0;

	if (h->count == 0)
		return 0;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= wanted && seen > 0)
			return upper_end(i) < h->max ? upper_end(i) : h->max;
	}
	return h->max;
}

double hist_mean(const struct hist *h)
{
	return h->count ? h->sum / (double)h->count : 0;
}
