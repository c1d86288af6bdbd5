/* The differences of two clocks of 32 bits, as signed distances from the first. */
#include "common/flow/wayback.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

uint64_t wayback_take(struct wayback *w, uint32_t clock_us, uint64_t now_us)
{
	uint32_t way_us = (uint32_t)now_us - clock_us;
	uint64_t inverse;

	if (!w->has_first) {
		w->has_first = true;
		w->first_us = way_us;
	}
	/* Half of the range is above the first one, half below; never 0. */
	inverse = UINT32_MAX + 1ull - (uint32_t)(way_us - w->first_us + INT32_MAX);
	window_push(&w->inverse, inverse, PATH_RTT_WINDOW_MS * US_PER_MS, now_us);
	return window_best(&w->inverse) - inverse;
}
