/* What a path end measures: delivery rate, base RTT, and from these the cap on what is in flight
 * and the size of frames. */
#include "common/flow/path.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"

#include <string.h>

void path_init(struct path *p, struct tunnel *t, uint16_t index, uint32_t weight,
	       uint32_t payload_max, void *user)
{
	memset(p, 0, sizeof(*p));
	p->tunnel = t;
	p->user = user;
	p->index = index;
	p->is_up = true;
	p->weight = weight;
	p->payload_max = payload_max;
	p->cap_bytes = PATH_CAP_FIRST_BYTES;
	p->frame_bytes = (uint32_t)min_u64(payload_max, PATH_FRAME_FIRST_BYTES);
}

static uint64_t bucket_best(const struct bucket_max *b)
{
	return max_u64(b->now, b->before);
}

/* Takes a sample; the window is between one and two `window_us`. */
static void bucket_push(struct bucket_max *b, uint64_t sample, uint64_t window_us, uint64_t now_us)
{
	if (now_us >= b->rotate_us) {
		b->before = now_us < b->rotate_us + window_us ? b->now : 0;
		b->now = 0;
		b->rotate_us = now_us + window_us;
	}
	b->now = max_u64(b->now, sample);
}

/* Gain 2 keeps the path busy while acknowledgements travel; the floor in time keeps it busy while
 * a busy machine gets round to us, and its ceiling in bytes keeps a fast path inside the caches. */
static void update_limits(struct path *p)
{
	uint64_t bdp_bytes = p->rate_Bps * p->base_rtt_us / US_PER_S;
	uint64_t floor_bytes =
		min_u64(p->rate_Bps * PATH_CAP_FLOOR_MS / 1000, PATH_CAP_FLOOR_BYTES_MAX);
	uint64_t frame_bytes = p->rate_Bps * PATH_FRAME_MS / 1000;

	frame_bytes = max_u64(frame_bytes, FRAME_PAYLOAD_MIN);
	p->frame_bytes = (uint32_t)min_u64(min_u64(frame_bytes, FRAME_WHOLE_BYTES), p->payload_max);
	p->cap_bytes = max_u64(max_u64(2 * bdp_bytes, floor_bytes), 2 * (uint64_t)p->frame_bytes);
}

void path_on_sent(struct path *p, uint32_t len, uint64_t now_us, struct rate_mark *mark)
{
	if (p->inflight_bytes == 0) {
		p->first_sent_us = now_us;
		p->delivered_us = now_us;
	}
	mark->delivered_bytes = p->delivered_bytes;
	mark->delivered_us = p->delivered_us;
	mark->first_sent_us = p->first_sent_us;
	mark->is_app_limited = p->delivered_bytes < p->app_limited_until;
	p->inflight_bytes += len;
}

static void sample_rtt(struct path *p, uint64_t sent_us, uint32_t ack_delay_us, uint64_t now_us)
{
	uint64_t rtt_us = now_us - sent_us;

	rtt_us = rtt_us > ack_delay_us ? rtt_us - ack_delay_us : 1;
	p->rtt_us = p->rtt_us ? (7 * p->rtt_us + rtt_us) / 8 : rtt_us;
	bucket_push(&p->rtt_inverse, UINT64_MAX - rtt_us, PATH_RTT_WINDOW_MS * US_PER_MS, now_us);
	p->base_rtt_us = UINT64_MAX - bucket_best(&p->rtt_inverse);
}

static void sample_rate(struct path *p, const struct rate_mark *mark, uint64_t sent_us,
			uint64_t now_us)
{
	uint64_t bytes = p->delivered_bytes - mark->delivered_bytes;
	/* The longer of both phases, so that neither bunched ACKs nor a burst of sends
	 * inflates it. */
	uint64_t interval_us = max_u64(now_us - mark->delivered_us, sent_us - mark->first_sent_us);
	uint64_t rate_Bps;

	if (interval_us < PATH_RATE_INTERVAL_MIN_US)
		return;
	rate_Bps = bytes * US_PER_S / interval_us;
	/* It says "at least", which is nothing while there is no estimate: a low one from a
	 * single small frame would keep the path from ever showing what it can. */
	if (mark->is_app_limited && (p->rate_Bps == 0 || rate_Bps <= p->rate_Bps))
		return;
	bucket_push(&p->rate, rate_Bps, max_u64(PATH_RATE_WINDOW_MS * US_PER_MS, 10 * p->rtt_us),
		    now_us);
	p->rate_Bps = bucket_best(&p->rate);
}

void path_on_acked(struct path *p, uint32_t len, const struct rate_mark *mark, uint64_t sent_us,
		   uint32_t ack_delay_us, bool is_sample, uint64_t now_us)
{
	p->inflight_bytes -= len;
	p->delivered_bytes += len;
	p->delivered_us = now_us;
	if (!is_sample)
		return;
	p->first_sent_us = sent_us;
	sample_rtt(p, sent_us, ack_delay_us, now_us);
	sample_rate(p, mark, sent_us, now_us);
	if (p->rate_Bps > 0)
		update_limits(p);
}

void path_on_app_limited(struct path *p)
{
	p->app_limited_until = p->delivered_bytes + p->inflight_bytes + 1;
}
