/* A maximum over a sliding window of time, in two buckets of which the older is dropped: what it
 * tells is of the last one to two windows. 0 stands for no sample. */
#ifndef FLOW_WINDOW_H
#define FLOW_WINDOW_H

#include "common/base/minmax.h"

#include <stdint.h>

struct window_max {
	uint64_t now, before;
	uint64_t rotate_us;
};

static inline uint64_t window_best(const struct window_max *w)
{
	return max_u64(w->now, w->before);
}

static inline void window_push(struct window_max *w, uint64_t sample, uint64_t window_us,
			       uint64_t now_us)
{
	if (now_us >= w->rotate_us) {
		w->before = now_us < w->rotate_us + window_us ? w->now : 0;
		w->now = 0;
		w->rotate_us = now_us + window_us;
	}
	w->now = max_u64(w->now, sample);
}

#endif
