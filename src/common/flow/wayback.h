/* How much longer than at best acknowledgements need for their way back.
 *
 * Where both directions are busy, ACKs stand in the queue of the other direction's bytes. That makes
 * every RTT longer, and is nothing that this end has in flight: a cap on what is in flight which
 * does not know it (rate x base RTT) lets less through, which lowers the rate, which lowers the cap.
 * So each ACK carries the clock of its sender (as TCP's timestamps do, RFC 7323): the difference to
 * ours is the way and the offset of the two clocks, and the offset falls out of the difference to
 * the least of the last seconds. Clocks may drift by far more than they do: 100 ppm are 1 ms in the
 * longest window. */
#ifndef FLOW_WAYBACK_H
#define FLOW_WAYBACK_H

#include "common/flow/window.h"

#include <stdbool.h>

struct wayback {
	bool has_first;
	uint32_t first_us; /* the first difference: the others are not far from it */
	struct window_max inverse;
};

/* An ACK that was sent at `clock_us` (the lower 32 bits of its sender's clock) is here. Returns by
 * how many us its way was longer than the shortest. */
uint64_t wayback_take(struct wayback *w, uint32_t clock_us, uint64_t now_us);

#endif
