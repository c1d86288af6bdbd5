/* Virtual serialisation: end = max(arrival, end of the last) + bits / rate. */
#include "emulator/core/shaper.h"

#include "common/base/minmax.h"

#define NS_PER_S 1000000000ull

/* Bits times 10^9: below 2^50 for the largest frame. */
static uint64_t work(const struct shaper *s, uint32_t len, uint64_t arrival_ns)
{
	/* A line that rested owes nothing. */
	return len * 8ull * NS_PER_S + (arrival_ns > s->free_ns ? 0 : s->carry);
}

uint64_t shaper_end(const struct shaper *s, uint64_t rate_bps, uint64_t arrival_ns, uint32_t len)
{
	uint64_t start_ns = max_u64(arrival_ns, s->free_ns);

	return rate_bps ? start_ns + work(s, len, arrival_ns) / rate_bps : start_ns;
}

void shaper_send(struct shaper *s, uint64_t rate_bps, uint64_t arrival_ns, uint32_t len)
{
	uint64_t carry = rate_bps ? work(s, len, arrival_ns) % rate_bps : 0;

	s->free_ns = shaper_end(s, rate_bps, arrival_ns, len);
	s->carry = carry;
}

void shaper_restart(struct shaper *s, uint64_t now_ns)
{
	s->free_ns = max_u64(s->free_ns, now_ns);
	s->carry = 0;
}
