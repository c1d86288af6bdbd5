/* When each burst is due: see pace.h. */
#include "mcast/generator/pace.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"

#include <assert.h>

/* What is left of whole seconds is multiplied by NS_PER_S, in 64 bits. */
static_assert((uint64_t)PACE_RATE_MAX * TRAFFIC_STREAMS_MAX <= UINT64_MAX / NS_PER_S,
	      "a rate of all streams that can be computed with");

uint64_t pace_due_ns(const struct pace *p, uint64_t turn)
{
	uint64_t total_pps = p->rate_pps * p->streams;
	uint64_t packets = (p->is_together ? turn - turn % p->streams : turn) * p->burst;

	return p->start_ns + packets / total_pps * NS_PER_S +
	       packets % total_pps * NS_PER_S / total_pps;
}

uint32_t pace_packets(const struct pace *p, uint64_t turn, uint64_t count)
{
	uint64_t before = turn / p->streams * p->burst;

	if (count == 0)
		return p->burst;
	return before >= count ? 0 : (uint32_t)min_u64(p->burst, count - before);
}

uint64_t pace_slip_ns(struct pace *p, uint64_t turn, uint64_t now_ns)
{
	uint64_t due_ns = pace_due_ns(p, turn), slip_ns;

	if (now_ns <= due_ns + PACE_BEHIND_MAX_NS)
		return 0;
	slip_ns = now_ns - due_ns - PACE_BEHIND_MAX_NS;
	p->start_ns += slip_ns;
	return slip_ns;
}

uint64_t pace_wake_ns(uint64_t due_ns, uint64_t woken_ns)
{
	return max_u64(due_ns, woken_ns + PACE_GRAIN_NS);
}

uint64_t pace_gap_ns(const struct pace *p)
{
	return p->burst * NS_PER_S / (p->rate_pps * (p->is_together ? 1 : p->streams));
}
