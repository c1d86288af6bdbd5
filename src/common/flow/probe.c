/* End-to-end probes: PROBE goes out on one path and comes back as PROBED on whichever is fastest
 * at the other end, and on the same subflow too. They tell the RTT of a path that carries nothing,
 * whether one that stalled carries again, and whether one that was parked has emptied its queue. */
#include "common/flow/tunnel_internal.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"

static bool is_swollen(const struct path *p, uint64_t rtt_us, uint64_t tenths)
{
	return rtt_us > p->base_rtt_us * tenths / 10 + PARK_SLACK_MS * US_PER_MS;
}

/* Nothing of ours is before a probe. */
static bool is_unloaded(const struct path *p)
{
	return p->segments == 0 && p->late_bytes == 0;
}

/* ---- sending ---- */

static bool is_in_use(const struct tunnel *t, uint64_t now_us)
{
	return t->sessions.count > 0 && now_us - t->progress_us < PROBE_USE_MS * US_PER_MS;
}

static uint64_t interval_us(const struct path *p)
{
	bool is_urgent = p->state == PATH_STALLED || p->state == PATH_PARKED ||
			 is_swollen(p, p->probe_rtt_us, PARK_TENTHS);

	return (is_urgent ? PROBE_URGENT_MS : PROBE_IDLE_MS) * US_PER_MS;
}

/* Only the newest is known when it comes back: the longer the path, the longer it is awaited. */
static uint64_t lost_after_us(const struct path *p)
{
	return (uint64_t)PROBE_LOST_MS * US_PER_MS << min_u64(p->probes_lost, PROBE_LOST_DOUBLINGS);
}

/* NEVER_US: it needs none, or cannot take one now. */
static uint64_t due_at(const struct tunnel *t, const struct path *p, uint64_t now_us)
{
	if (p->is_blocked || p->state == PATH_DRAINING || p->state == PATH_PREPARED)
		return NEVER_US;
	if (p->probe_token)
		return p->probe_sent_us + lost_after_us(p);
	if (p->base_rtt_us == 0)
		return 0;
	/* Nothing else would tell that what it is late with has arrived. */
	if (p->state == PATH_ACTIVE && p->late_bytes > 0 && !path_has_room(p))
		return 0;
	if (p->state == PATH_ACTIVE && (p->segments > 0 || !is_in_use(t, now_us)))
		return NEVER_US;
	return p->probe_sent_us + interval_us(p);
}

void probe_soon(struct path *p)
{
	if (p->state == PATH_STALLED)
		p->probe_token = p->probe_sent_us = 0;
}

static void send_token(struct path *p, enum frame_type type, uint64_t token)
{
	uint8_t payload[sizeof(uint64_t)];
	struct frame head = {.type = (uint8_t)type};

	head.len = (uint32_t)u64_encode(token, payload, sizeof(payload));
	p->tunnel->ops->send(p, &head, payload, NULL);
}

static void send_probe(struct tunnel *t, struct path *p, uint64_t now_us)
{
	p->probes_lost += p->probe_token != 0;
	p->probe_token = ++t->probe_token;
	p->probe_sent_us = now_us;
	p->probe_was_alone = is_unloaded(p);
	send_token(p, FRAME_PROBE, p->probe_token);
}

void probe_run(struct tunnel *t, uint64_t now_us)
{
	for (size_t i = 0; i < t->path_count; i++)
		if (due_at(t, t->paths[i], now_us) <= now_us)
			send_probe(t, t->paths[i], now_us);
}

uint64_t probe_next_at(const struct tunnel *t, uint64_t now_us)
{
	uint64_t next_us = NEVER_US;

	for (size_t i = 0; i < t->path_count; i++)
		next_us = min_u64(next_us, due_at(t, t->paths[i], now_us));
	return next_us;
}

/* ---- answering ---- */

void probe_answer(struct tunnel *t, struct path *from, uint64_t token)
{
	struct path *p = scheduler_pick_control(t->config.scheduler, t->paths, t->path_count);

	if (p)
		send_token(p, FRAME_PROBED, token);
	/* There may be none, or it is dead and nobody knows, since nothing stalls while nothing at
	 * all is acknowledged. This one works one way at least. Nothing may go out on one that is
	 * prepared, or has been told that nothing more comes. */
	if (p != from && from->state != PATH_PREPARED && !from->has_sent_drain && !from->is_blocked)
		send_token(from, FRAME_PROBED, token);
}

/* ---- what comes back ---- */

static void set_back(struct tunnel *t, struct path *p)
{
	tunnel_take_back(t, p);
	path_restart(p);
	tunnel_update_alive(t);
	list_for_each(node, &t->sessions_all) {
		struct session *s = container_of(node, struct session, all_node);

		sendq_path_back(&s->out, p);
		session_update_resend(s);
	}
}

static void consider_parking(struct tunnel *t, struct path *p, uint64_t rtt_us)
{
	bool is_alone = p->probe_was_alone && is_unloaded(p);

	/* Twice in a row: once may be anybody's. */
	if (p->base_rtt_us == 0 || !is_alone || !is_swollen(p, rtt_us, PARK_TENTHS) ||
	    !is_swollen(p, p->probe_rtt_us, PARK_TENTHS) || !tunnel_has_other_active(t, p))
		return;
	p->state = PATH_PARKED;
	p->why = "its queue has grown, and not by us";
	p->parks++;
}

static void on_back(struct tunnel *t, struct path *p, uint64_t now_us)
{
	uint64_t rtt_us = now_us - p->probe_sent_us;

	p->probe_token = 0;
	p->probes_lost = 0;
	/* Patience is shorter with a path that is known, and one that was out is waited for. */
	watch_soon(t, WATCH_TICK_MS, now_us);
	/* One that was stuck says that the path lives, and nothing about its length. */
	if (p->state == PATH_STALLED) {
		if (now_us >= p->hold_until_us || !tunnel_has_other_active(t, p))
			set_back(t, p);
		return;
	}
	if (p->state == PATH_PARKED && !is_swollen(p, rtt_us, UNPARK_TENTHS))
		tunnel_take_back(t, p);
	else if (p->state == PATH_ACTIVE)
		consider_parking(t, p, rtt_us);
	path_on_probed(p, rtt_us, now_us);
}

void probe_on_back(struct tunnel *t, uint64_t token, uint64_t now_us)
{
	for (size_t i = 0; i < t->path_count; i++)
		if (t->paths[i]->probe_token == token)
			on_back(t, t->paths[i], now_us);
}
