/* The two ways to know copies behind one door: see dedup.h. */
#include "mcast/core/dedup.h"

#include "mcast/core/siphash.h"
#include "mcast/core/tracks.h"
#include "mcast/core/twins.h"

#include <assert.h>
#include <string.h>

struct dedup {
	uint64_t key[2];
	bool is_rtp;
	union {
		struct tracks tracks; /* of RTP */
		struct twins twins;   /* of content */
	};
};

size_t dedup_bytes(void)
{
	return sizeof(struct dedup);
}

void dedup_init(struct dedup *d, enum rule_match match, uint64_t seed)
{
	assert(match != RULE_MATCH_NONE);
	memset(d, 0, sizeof(*d));
	d->key[0] = seed;
	d->key[1] = ~seed;
	d->is_rtp = match == RULE_MATCH_RTP;
	if (!d->is_rtp)
		twins_init(&d->twins);
}

/* Of tracks each store leaves what can be read on. */
void dedup_repair(struct dedup *d)
{
	if (!d->is_rtp)
		twins_repair(&d->twins);
}

enum dedup_verdict dedup_take(struct dedup *d, unsigned input, const uint8_t *payload, size_t len)
{
	struct rtp rtp;

	if (!d->is_rtp)
		return twins_take(&d->twins, input, siphash(d->key, payload, len)) ? DEDUP_FIRST
										   : DEDUP_COPY;
	if (rtp_decode(payload, len, &rtp))
		return DEDUP_ALIEN;
	return tracks_take(&d->tracks, &rtp) ? DEDUP_FIRST : DEDUP_COPY;
}
