/* The two ways to know copies behind one door: see dedup.h. */
#include "mcast/core/dedup.h"

#include "mcast/core/memory.h"
#include "mcast/core/siphash.h"
#include "mcast/core/tracks.h"
#include "mcast/core/twins.h"

#include <assert.h>

struct dedup {
	struct tracks *tracks; /* of RTP, or NULL */
	struct twins *twins;   /* of content, or NULL */
	uint64_t key[2];
};

struct dedup *dedup_new(enum rule_match match, uint64_t seed)
{
	struct dedup *d = memory_new(1, sizeof(*d));

	assert(match != RULE_MATCH_NONE);
	*d = (struct dedup){.key = {seed, ~seed}};
	if (match == RULE_MATCH_RTP)
		d->tracks = memory_new(1, sizeof(*d->tracks));
	else
		d->twins = memory_new(1, sizeof(*d->twins));
	if (d->twins)
		twins_init(d->twins);
	return d;
}

void dedup_free(struct dedup *d)
{
	if (!d)
		return;
	free(d->tracks);
	free(d->twins);
	free(d);
}

enum dedup_verdict dedup_take(struct dedup *d, unsigned input, const uint8_t *payload, size_t len)
{
	struct rtp rtp;

	if (d->twins)
		return twins_take(d->twins, input, siphash(d->key, payload, len)) ? DEDUP_FIRST
										  : DEDUP_COPY;
	if (rtp_decode(payload, len, &rtp))
		return DEDUP_ALIEN;
	return tracks_take(d->tracks, &rtp) ? DEDUP_FIRST : DEDUP_COPY;
}
