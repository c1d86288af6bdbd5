/* One path of a tunnel end: a next-hop subflow, with what has been measured of it end to end.
 *
 * Rate: delivery-rate samples as in draft-cheng-iccrg-delivery-rate-estimation, kept as a
 * windowed maximum (a sample that the application limited may only raise it). Base RTT: a
 * windowed minimum of the time from sending bytes (or a probe) to their acknowledgement, less the
 * ACK's own delay. Both windows are two buckets, of which the older is dropped. In flight: payload
 * bytes sent on it and not acknowledged, bounded by a cap of a few bandwidth-delay products. */
#ifndef FLOW_PATH_H
#define FLOW_PATH_H

#include "common/base/list.h"
#include "common/flow/window.h"

#include <stdbool.h>
#include <stdint.h>

struct tunnel;

enum path_state {
	PATH_ACTIVE,
	PATH_STALLED,  /* what it carries does not arrive; nothing new until a probe comes back */
	PATH_PARKED,   /* its queue has grown, and not by us: spared until it has shrunk */
	PATH_PREPARED, /* up ahead of a topology change: nothing is sent on it yet */
	PATH_DRAINING, /* to be closed in order: nothing new */
	PATH_GONE,     /* closed in order; what it carried is still on its way behind */
};

const char *path_state_name(enum path_state s);

/* What a segment remembers of its path at the time it was sent. */
struct rate_mark {
	uint64_t delivered_bytes;
	uint64_t delivered_us;
	uint64_t first_sent_us;
	bool is_app_limited;
};

struct path {
	struct tunnel *tunnel;
	void *user;	/* the environment's subflow; NULL when GONE */
	uint16_t index; /* in tunnel->slots, and its bit in segment.carriers */
	uint16_t rank;	/* its place in the order the operator gave, set by the environment */
	enum path_state state;
	const char *why; /* it is not ACTIVE: in words; "" */
	bool is_blocked; /* set by the environment: it can take no frame now */
	uint32_t weight;
	uint32_t payload_max; /* agreed with the other end */

	uint64_t inflight_bytes;
	uint32_t segments;	  /* that it carries: also a lone FIN, which has no bytes */
	struct list carried;	  /* of them, those that went out last on it, oldest first */
	uint64_t cap_bytes;	  /* in flight is not to exceed it */
	uint32_t frame_bytes;	  /* the payload that new DATA frames should have */
	uint64_t rate_Bps;	  /* bytes per second, windowed maximum; 0: no sample yet */
	uint64_t base_rtt_us;	  /* windowed minimum; 0: no sample yet */
	uint64_t hop_base_rtt_us; /* the least of its TCP connection; set by the environment */
	uint64_t rtt_us;	  /* smoothed, RFC 6298 */
	uint64_t rttvar_us;
	uint64_t back_us;  /* of it, what ACKs lose on their way back (wayback.h), at the least */
	uint64_t heard_us; /* when the last frame came on it */

	/* estimator */
	struct window_max rate;
	struct window_max rtt_inverse;	/* max of -rtt: the minimum, by the same code */
	struct window_max back_inverse; /* the same of what ACKs lose */
	uint64_t delivered_bytes, first_sent_us;
	uint64_t delivered_us;	       /* when the last whole segment was, or a burst began, */
	uint64_t delivered_then_bytes; /* and delivered_bytes at that time */
	uint64_t ack_sent_us; /* of the newest bytes in the ACK that is being taken; 0: none */
	bool ack_is_app_limited;
	uint64_t app_limited_until; /* delivered_bytes at which samples count again */

	uint64_t full_Bps;  /* the rate when it was last a quarter more than before, */
	uint64_t round_us;  /* looked at once a round trip from here; */
	uint8_t full_count; /* so often without growth: at PATH_FULL_ROUNDS the path is full */

	bool has_met_cap;      /* in this round in flight has reached the cap, and waits for it */
	uint64_t short_us;     /* since then it does in each, and too little of our queue stands */
	uint64_t gain_percent; /* of the cap: more when that lasts */
	struct window_max own_inverse; /* of what RTTs have beyond the base and the way back */

	uint64_t near_us;	 /* the last RTT near the base, or attempt to have one */
	uint64_t drain_until_us; /* less is in flight until then, so that one shows */
	uint64_t longer_us;	 /* since then all RTTs were longer than the cap explains, */
	uint64_t longer_rtt_us;	 /* at least this; 0: they were not */

	/* watch.c */
	uint64_t progress_us; /* when bytes that it was the last to carry were acknowledged */
	uint64_t doubt_us;    /* by how much its bytes were late lately; decays */
	uint64_t doubt_at_us; /* when it last decayed */
	uint64_t late_us;    /* it was stuck, and bytes of it last had to go another way; 0: what it
			      * was sent since has arrived, or may have */
	uint64_t late_bytes; /* acknowledged by that other way, and perhaps still under way here */
	uint64_t tail_us;    /* not before then is its tail sent again */
	uint64_t hold_until_us; /* STALLED: not back before then */
	uint64_t stalled_us;	/* when it last stalled */
	uint32_t stalls_lately; /* each within HOLD_MEMORY_MS of the one before */
	uint64_t probe_token;	/* outstanding; 0: none */
	uint64_t probe_sent_us; /* the last one */
	uint32_t probes_lost;	/* since one came back */
	bool probe_was_alone;	/* nothing else of ours was outstanding then */
	uint64_t probe_rtt_us;	/* by the last one that came back */
	uint64_t probe_back_us; /* and when that was */

	/* draining */
	bool owes_drain, has_sent_drain, has_got_drain;
	bool is_given_up; /* it does not get on, and need not be waited for */

	/* scheduler */
	double pass; /* payload bytes sent / weight */

	/* counters, for people */
	uint64_t sent_bytes; /* first copies */
	uint64_t resent_bytes;
	uint64_t received_bytes;
	uint64_t duplicate_bytes;
	uint64_t stalls, parks;
	uint64_t event_last; /* the last PATH_LOST or PATH_STALLED event acted on */
};

void path_init(struct path *p, struct tunnel *t, uint16_t index, uint32_t weight,
	       uint32_t payload_max, void *user);

/* Forgets what it could carry: after a stall that says nothing any more. */
void path_restart(struct path *p);

static inline void path_activate(struct path *p)
{
	p->state = PATH_ACTIVE;
	p->why = "";
}

/* It may carry a frame now. */
static inline bool path_is_open(const struct path *p)
{
	return p->state == PATH_ACTIVE && !p->is_blocked;
}

/* What it still has to bring, as far as is known. */
static inline uint64_t path_load_bytes(const struct path *p)
{
	return p->inflight_bytes + p->late_bytes;
}

static inline bool path_is_at_cap(const struct path *p)
{
	return path_load_bytes(p) + p->frame_bytes > p->cap_bytes;
}

static inline bool path_has_room(const struct path *p)
{
	return path_is_open(p) && !path_is_at_cap(p);
}

/* One that is not known counts as PATH_RTT_UNKNOWN_MS. */
uint64_t path_base_us(const struct path *p);

/* Its bytes have to be waited for beside those of `other`. */
static inline bool path_is_far_behind(const struct path *p, const struct path *other)
{
	return other->base_rtt_us &&
	       (p->base_rtt_us == 0 || p->base_rtt_us > 2 * other->base_rtt_us);
}

/* When `len` more bytes would be acknowledged, in us from now. */
uint64_t path_return_us(const struct path *p, uint32_t len);

/* By so much an acknowledgement may come after that without being late, in us. */
uint64_t path_slack_us(const struct path *p);

/* `len` bytes go out now; fills `mark`. */
void path_on_sent(struct path *p, uint32_t len, uint64_t now_us, struct rate_mark *mark);

/* `len` bytes left the in-flight count because they were acknowledged. `mark` and `sent_us` are
 * the segment's. path_end_ack follows, once for all bytes of an ACK. */
void path_on_acked(struct path *p, uint32_t len, const struct rate_mark *mark, uint64_t sent_us,
		   uint64_t now_us);
/* Takes the RTT of the newest of them: the others may have waited at the other end longer than the
 * ACK says. `back_us`: what the ACK lost on its way, see wayback.h. */
void path_end_ack(struct path *p, uint32_t ack_delay_us, uint64_t back_us, uint64_t now_us);

/* Bytes were acknowledged that had been sent before on another path, and last on this one. It
 * lives, most likely; but the other may have brought them, so that nothing is measured, and nothing
 * counts as delivered here. They have left the in-flight count already. */
void path_on_acked_again(struct path *p, uint64_t now_us);

/* Its bytes were so late. */
void path_doubt(struct path *p, uint64_t late_us, uint64_t now_us);

/* `len` bytes that it carries were acknowledged and went last on another path; they have left the
 * in-flight count. If it is late, they are under way on it as long as nothing shows that TCP, which
 * keeps the order, has brought them. */
void path_on_overtaken(struct path *p, uint32_t len);

/* Something that was sent at `sent_us` has arrived on it. */
void path_on_arrived(struct path *p, uint64_t sent_us);

/* A probe came back after `rtt_us`. */
void path_on_probed(struct path *p, uint64_t rtt_us, uint64_t now_us);

/* Nothing more to send although there is room: samples until all in flight is acknowledged tell
 * about the application. */
void path_on_app_limited(struct path *p);

#endif
