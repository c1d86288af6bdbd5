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
	p->why = "";
	list_init(&p->carried);
	p->weight = weight;
	p->payload_max = payload_max;
	path_restart(p);
}

const char *path_state_name(enum path_state s)
{
	static const char *const names[] = {
		[PATH_ACTIVE] = "up",	      [PATH_STALLED] = "stalled",
		[PATH_PARKED] = "parked",     [PATH_PREPARED] = "prepared",
		[PATH_DRAINING] = "draining", [PATH_GONE] = "gone",
	};

	return names[s];
}

void path_restart(struct path *p)
{
	p->rate = (struct window_max){0};
	p->rate_Bps = 0;
	p->rtt_us = p->rttvar_us = p->back_us = 0;
	p->back_inverse = (struct window_max){0};
	p->full_Bps = p->round_us = p->full_count = 0;
	p->own_inverse = (struct window_max){0};
	p->gain_percent = 100;
	p->has_met_cap = false;
	p->late_us = p->late_bytes = 0;
	p->longer_us = p->drain_until_us = 0;
	p->cap_bytes = PATH_CAP_FIRST_BYTES;
	p->frame_bytes = (uint32_t)min_u64(p->payload_max, PATH_FRAME_FIRST_BYTES);
}

uint64_t path_base_us(const struct path *p)
{
	return p->base_rtt_us ? p->base_rtt_us : PATH_RTT_UNKNOWN_MS * US_PER_MS;
}

uint64_t path_return_us(const struct path *p, uint32_t len)
{
	uint64_t rtt_us = path_base_us(p);

	if (p->rate_Bps == 0)
		return rtt_us;
	return rtt_us + (path_load_bytes(p) + len) * US_PER_S / p->rate_Bps;
}

uint64_t path_slack_us(const struct path *p)
{
	return LATE_SLACK_MS * US_PER_MS + min_u64(2 * p->rttvar_us, p->base_rtt_us / 4);
}

static uint64_t rate_window_us(const struct path *p)
{
	return max_u64(PATH_RATE_WINDOW_MS * US_PER_MS, 10 * p->rtt_us);
}

/* A short queue is enough to keep a path busy. */
static uint64_t queue_bytes_of(const struct path *p, uint64_t bdp_bytes)
{
	return max_u64(bdp_bytes / PATH_QUEUE_PART,
		       min_u64(p->rate_Bps * PATH_QUEUE_MS / 1000,
			       bdp_bytes - bdp_bytes / PATH_QUEUE_PART));
}

/* True while our queue is to go. `is_due`: the cap follows from the base RTT. It takes one RTT
 * until the queue is gone, and another one until that shows at the latest. */
static bool look_whether_to_drain(struct path *p, bool is_due, uint64_t now_us)
{
	if (is_due && p->full_count >= PATH_FULL_ROUNDS &&
	    now_us >= p->near_us + PATH_DRAIN_EVERY_MS * US_PER_MS) {
		p->near_us = now_us;
		p->drain_until_us = now_us + p->rtt_us + p->base_rtt_us;
	}
	return now_us < p->drain_until_us;
}

/* No cap grows beyond the ceiling by this: what makes RTTs uneven is small beside such a one. */
static uint64_t with_gain(const struct path *p, uint64_t cap_bytes)
{
	uint64_t more_bytes = cap_bytes * p->gain_percent / 100;

	return max_u64(cap_bytes, min_u64(more_bytes, PATH_CAP_FLOOR_BYTES_MAX));
}

/* The cap lets too little through when it is met and yet no queue of ours stands: RTTs are longer
 * than the base for reasons that the best of them does not show, such as acknowledgements that
 * come late now and then. Less goes through then, the rate falls, and the cap with it. So it grows
 * by a quarter until the path is faster or half of the queue that it allows for shows. What grows
 * by itself is let alone. `cap_bytes`: without the gain. */
static void look_whether_short(struct path *p, uint64_t cap_bytes, uint64_t now_us)
{
	uint64_t own_us = UINT64_MAX - window_best(&p->own_inverse);
	uint64_t unexplained_us = p->base_rtt_us + p->back_us + 2 * own_us;
	uint64_t wait_us = max_u64(PATH_SHORT_MS * US_PER_MS, 4 * p->rtt_us);

	if (!p->has_met_cap || unexplained_us >= cap_bytes * US_PER_S / p->rate_Bps) {
		p->gain_percent = max_u64(p->gain_percent * 4 / 5, 100);
		p->short_us = now_us;
	} else if (p->full_count >= PATH_FULL_ROUNDS && now_us >= p->short_us + wait_us) {
		p->gain_percent = min_u64(p->gain_percent * 5 / 4, PATH_GAIN_PERCENT_MAX);
	}
	p->has_met_cap = false;
}

/* The floor in time keeps it busy while a busy machine gets round to us, and its ceiling in
 * bytes keeps a fast path inside the caches. While the rate still grows the cap must let it (as
 * BBR's start does, Cardwell et al. 2017). */
static void update_limits(struct path *p, bool is_round, uint64_t now_us)
{
	/* Acknowledgements may come back on a faster path than TCP's own, whose window must not
	 * be starved. */
	uint64_t rtt_us = max_u64(p->base_rtt_us, p->hop_base_rtt_us);
	uint64_t bdp_bytes = p->rate_Bps * rtt_us / US_PER_S;
	uint64_t back_bytes = p->rate_Bps * p->back_us / US_PER_S;
	uint64_t full_bytes = bdp_bytes + back_bytes + queue_bytes_of(p, bdp_bytes);
	uint64_t floor_bytes =
		min_u64(p->rate_Bps * PATH_CAP_FLOOR_MS / 1000, PATH_CAP_FLOOR_BYTES_MAX);
	uint64_t frame_bytes = p->rate_Bps * PATH_FRAME_MS / 1000;

	frame_bytes = max_u64(frame_bytes, FRAME_PAYLOAD_MIN);
	p->frame_bytes = (uint32_t)min_u64(min_u64(frame_bytes, FRAME_WHOLE_BYTES), p->payload_max);
	if (look_whether_to_drain(p, full_bytes > floor_bytes, now_us)) {
		p->cap_bytes = bdp_bytes - bdp_bytes / 4 + back_bytes;
	} else {
		if (is_round)
			look_whether_short(p, max_u64(full_bytes, floor_bytes), now_us);
		p->cap_bytes = with_gain(p, max_u64(full_bytes, floor_bytes));
		if (p->full_count < PATH_FULL_ROUNDS)
			p->cap_bytes = max_u64(p->cap_bytes, 2 * bdp_bytes + back_bytes);
	}
	p->cap_bytes = max_u64(p->cap_bytes, 2 * (uint64_t)p->frame_bytes);
}

static void set_delivered(struct path *p, uint64_t now_us)
{
	p->delivered_us = now_us;
	p->delivered_then_bytes = p->delivered_bytes;
}

static struct rate_mark mark_of(const struct path *p)
{
	return (struct rate_mark){
		.delivered_bytes = p->delivered_then_bytes,
		.delivered_us = p->delivered_us,
		.first_sent_us = p->first_sent_us,
		.is_app_limited = p->delivered_bytes < p->app_limited_until,
	};
}

void path_on_sent(struct path *p, uint32_t len, uint64_t now_us, struct rate_mark *mark)
{
	if (path_load_bytes(p) == 0) {
		p->first_sent_us = now_us;
		set_delivered(p, now_us);
	}
	*mark = mark_of(p);
	p->inflight_bytes += len;
	p->has_met_cap |= path_is_at_cap(p);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void keep_base(struct path *p, uint64_t rtt_us, uint64_t now_us)
{
	window_push(&p->rtt_inverse, UINT64_MAX - rtt_us, PATH_RTT_WINDOW_MS * US_PER_MS, now_us);
	p->base_rtt_us = UINT64_MAX - window_best(&p->rtt_inverse);
	if (rtt_us > p->base_rtt_us + p->base_rtt_us / 8)
		return;
	p->near_us = now_us;
	p->drain_until_us = 0;
}

/* RFC 6298, 2.2 and 2.3. Of `rtt_us`, `back_us` were not needed. */
static void sample_rtt(struct path *p, uint64_t rtt_us, uint64_t back_us, uint64_t now_us)
{
	if (p->rtt_us == 0) {
		p->rtt_us = rtt_us;
		p->rttvar_us = rtt_us / 2;
	} else {
		p->rttvar_us = (3 * p->rttvar_us + distance(p->rtt_us, rtt_us)) / 4;
		p->rtt_us = (7 * p->rtt_us + rtt_us) / 8;
	}
	keep_base(p, rtt_us - back_us, now_us);
	window_push(&p->own_inverse, UINT64_MAX - (rtt_us - back_us - p->base_rtt_us),
		    max_u64(PATH_OWN_WINDOW_MS * US_PER_MS, p->rtt_us), now_us);
}

/* The base RTT does not hold any more when nothing has been near it for so long, although what we
 * have in flight would not keep anything from it. Then the path shows anew what it can carry. */
static void look_whether_longer(struct path *p, uint64_t rtt_us, uint64_t now_us)
{
	uint64_t explained_us = p->cap_bytes * US_PER_S / p->rate_Bps;

	if (rtt_us * 100 <= explained_us * PATH_LONGER_PERCENT) {
		p->longer_us = 0;
		return;
	}
	if (p->longer_us == 0) {
		p->longer_us = now_us;
		p->longer_rtt_us = rtt_us;
	}
	p->longer_rtt_us = min_u64(p->longer_rtt_us, rtt_us);
	if (now_us < p->longer_us + 2 * rate_window_us(p) + PATH_LONGER_MS * US_PER_MS)
		return;
	p->longer_us = 0;
	p->rtt_inverse = (struct window_max){0};
	keep_base(p, p->longer_rtt_us, now_us);
	p->full_Bps = p->full_count = 0;
}

/* Does the rate still grow? A queue of half a round trip says no, whoever sets the pace. */
static void look_whether_full(struct path *p, bool is_app_limited)
{
	uint64_t swollen_us = p->base_rtt_us * 3 / 2 + PATH_CAP_FLOOR_MS * US_PER_MS + p->back_us;

	if (p->rtt_us > swollen_us)
		p->full_count = PATH_FULL_ROUNDS;
	else if (is_app_limited)
		return;
	else if (p->rate_Bps >= p->full_Bps + p->full_Bps / 4) {
		p->full_Bps = p->rate_Bps;
		p->full_count = 0;
	} else if (p->full_count < PATH_FULL_ROUNDS) {
		p->full_count++;
	}
}

/* A round trip is over, with acknowledgements all along or after a pause. */
static bool take_round(struct path *p, uint64_t now_us)
{
	if (now_us < p->round_us + p->rtt_us)
		return false;
	if (now_us >= p->round_us + p->rtt_us + PATH_OWN_WINDOW_MS * US_PER_MS)
		p->short_us = now_us;
	p->round_us = now_us;
	return true;
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
	window_push(&p->rate, rate_Bps, rate_window_us(p), now_us);
	p->rate_Bps = window_best(&p->rate);
}

void path_on_acked(struct path *p, uint32_t len, const struct rate_mark *mark, uint64_t sent_us,
		   uint64_t now_us)
{
	p->inflight_bytes -= len;
	path_on_arrived(p, sent_us);
	p->delivered_bytes += len;
	p->progress_us = now_us;
	set_delivered(p, now_us);
	p->first_sent_us = sent_us;
	if (sent_us >= p->ack_sent_us) {
		p->ack_sent_us = sent_us;
		p->ack_is_app_limited = mark->is_app_limited;
	}
	sample_rate(p, mark, sent_us, now_us);
}

void path_end_ack(struct path *p, uint32_t ack_delay_us, uint64_t back_us, uint64_t now_us)
{
	uint64_t rtt_us = now_us - p->ack_sent_us;
	bool is_round;

	if (p->ack_sent_us == 0)
		return;
	p->ack_sent_us = 0;
	rtt_us = rtt_us > ack_delay_us ? rtt_us - ack_delay_us : 1;
	back_us = min_u64(back_us, rtt_us - 1);
	window_push(&p->back_inverse, UINT64_MAX - back_us, PATH_BACK_WINDOW_MS * US_PER_MS,
		    now_us);
	p->back_us = UINT64_MAX - window_best(&p->back_inverse);
	sample_rtt(p, rtt_us, back_us, now_us);
	is_round = take_round(p, now_us);
	if (is_round)
		look_whether_full(p, p->ack_is_app_limited);
	if (p->rate_Bps == 0)
		return;
	update_limits(p, is_round, now_us);
	if (!p->ack_is_app_limited)
		look_whether_longer(p, rtt_us, now_us);
}

void path_doubt(struct path *p, uint64_t late_us, uint64_t now_us)
{
	p->doubt_us = min_u64(p->doubt_us + late_us, PATH_DOUBT_MAX_MS * US_PER_MS);
	p->doubt_at_us = now_us;
}

void path_on_overtaken(struct path *p, uint32_t len)
{
	if (p->late_us)
		p->late_bytes += len;
}

void path_on_arrived(struct path *p, uint64_t sent_us)
{
	if (sent_us >= p->late_us)
		p->late_us = p->late_bytes = 0;
}

void path_on_acked_again(struct path *p, uint64_t now_us)
{
	p->progress_us = now_us;
}

/* The late bytes are there too when the probe was sent after them. On a path that is always
 * overtaken there is nothing else to measure; on another they would count twice, for perhaps they
 * came long ago. How long the probe was put off says nothing about the path. */
static void take_late(struct path *p, uint64_t sent_us, uint64_t now_us)
{
	uint64_t late_us = p->late_us, late_bytes = p->late_bytes;
	struct rate_mark mark;

	path_on_arrived(p, sent_us);
	if (p->late_us || p->rate_Bps > 0 || late_bytes == 0)
		return;
	p->delivered_bytes += late_bytes;
	mark = mark_of(p);
	sample_rate(p, &mark, late_us, now_us - (sent_us - late_us));
	set_delivered(p, now_us);
	p->first_sent_us = sent_us;
	if (p->rate_Bps > 0)
		update_limits(p, false, now_us);
}

/* TCP's first window has to take a whole frame: its rest would come a round trip later. */
static void start_far(struct path *p)
{
	p->cap_bytes = min_u64(p->cap_bytes, PATH_CAP_FIRST_FAR_BYTES);
	p->frame_bytes = min_u32(p->frame_bytes, PATH_CAP_FIRST_FAR_BYTES);
}

void path_on_probed(struct path *p, uint64_t rtt_us, uint64_t now_us)
{
	p->probe_rtt_us = max_u64(rtt_us, 1);
	p->probe_back_us = now_us;
	if (p->late_us)
		take_late(p, now_us - rtt_us, now_us);
	sample_rtt(p, p->probe_rtt_us, 0, now_us);
	if (p->rate_Bps == 0 && p->base_rtt_us > PATH_FAR_MS * US_PER_MS)
		start_far(p);
}

void path_on_app_limited(struct path *p)
{
	p->app_limited_until = p->delivered_bytes + p->inflight_bytes + 1;
	p->has_met_cap = false;
}
