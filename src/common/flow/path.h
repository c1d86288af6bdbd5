/* One path of a tunnel end: a next-hop subflow, with what has been measured of it end to end.
 *
 * Rate: delivery-rate samples as in draft-cheng-iccrg-delivery-rate-estimation, kept as a
 * windowed maximum (a sample that the application limited may only raise it). Base RTT: a
 * windowed minimum of the time from sending bytes to their acknowledgement, less the ACK's own
 * delay. Both windows are two buckets, of which the older is dropped. In flight: payload bytes
 * sent on it and not acknowledged, bounded by a cap of a few bandwidth-delay products. */
#ifndef FLOW_PATH_H
#define FLOW_PATH_H

#include <stdbool.h>
#include <stdint.h>

struct tunnel;

/* What a segment remembers of its path at the time it was sent. */
struct rate_mark {
	uint64_t delivered_bytes;
	uint64_t delivered_us;
	uint64_t first_sent_us;
	bool is_app_limited;
};

struct bucket_max {
	uint64_t now, before;
	uint64_t rotate_us;
};

struct path {
	struct tunnel *tunnel;
	void *user;	/* the environment's subflow */
	uint16_t index; /* in tunnel->paths */
	bool is_up;
	bool is_blocked; /* set by the environment: it can take no frame now */
	uint32_t weight;
	uint32_t payload_max; /* agreed with the other end */

	uint64_t inflight_bytes;
	uint64_t cap_bytes;   /* no new bytes at or above it */
	uint32_t frame_bytes; /* the payload that new DATA frames should have */
	uint64_t rate_Bps;    /* bytes per second, windowed maximum; 0: no sample yet */
	uint64_t base_rtt_us; /* windowed minimum; 0: no sample yet */
	uint64_t rtt_us;      /* smoothed, RFC 6298 */

	/* estimator */
	struct bucket_max rate;
	struct bucket_max rtt_inverse; /* max of -rtt: the minimum, by the same code */
	uint64_t delivered_bytes, delivered_us, first_sent_us;
	uint64_t app_limited_until; /* delivered_bytes at which samples count again */

	/* scheduler */
	double pass; /* payload bytes sent / weight */

	/* counters, for people */
	uint64_t sent_bytes; /* first copies */
	uint64_t resent_bytes;
	uint64_t received_bytes;
	uint64_t duplicate_bytes;
	uint64_t event_last; /* the last PATH_LOST event acted on */
};

void path_init(struct path *p, struct tunnel *t, uint16_t index, uint32_t weight,
	       uint32_t payload_max, void *user);

static inline bool path_has_room(const struct path *p)
{
	return p->is_up && !p->is_blocked && p->inflight_bytes < p->cap_bytes;
}

/* `len` bytes go out now; fills `mark`. */
void path_on_sent(struct path *p, uint32_t len, uint64_t now_us, struct rate_mark *mark);

/* `len` bytes left the in-flight count because they were acknowledged. `mark` and `sent_us` are
 * the segment's; `is_sample` is false for bytes that were sent on more than one path. */
void path_on_acked(struct path *p, uint32_t len, const struct rate_mark *mark, uint64_t sent_us,
		   uint32_t ack_delay_us, bool is_sample, uint64_t now_us);

/* Nothing more to send although there is room: samples until all in flight is acknowledged tell
 * about the application. */
void path_on_app_limited(struct path *p);

#endif
