/* What a relay says of itself: events, which it makes or passes on, and DRAIN. See relay.h for
 * who is told what, and when. */
#include "common/flow/relay_internal.h"

/* ---- events ---- */

void relay_send_events(struct relay *r, struct hop *h)
{
	for (uint8_t kind = 0; kind < RELAY_EVENT_KINDS && !h->is_blocked; kind++) {
		uint8_t payload[sizeof(uint64_t)];
		struct frame head = {.type = (uint8_t)(FRAME_PATH_LOST + kind)};

		if (!h->pending_events[kind])
			continue;
		head.len = (uint32_t)u64_encode(h->pending_events[kind], payload, sizeof(payload));
		h->pending_events[kind] = 0;
		relay_send_on(r, h, &head, payload, NULL);
	}
}

/* False: there is a hop, and on none of them anything may be said any more. */
static bool announce(struct relay *r, enum hop_side side, uint8_t type, uint64_t id)
{
	bool is_told = r->hop_count[side] == 0;

	list_for_each(node, &r->hops[side]) {
		struct hop *h = container_of(node, struct hop, node);

		if (h->out_done)
			continue;
		is_told = true;
		/* Of these two only the newer is true. */
		if (type != FRAME_PATH_LOST)
			h->pending_events[FRAME_PATH_STALLED - FRAME_PATH_LOST] =
				h->pending_events[FRAME_PATH_BACK - FRAME_PATH_LOST] = 0;
		h->pending_events[type - FRAME_PATH_LOST] = id;
		relay_send_events(r, h);
	}
	return is_told;
}

/* 0 is never an id. */
static uint64_t new_event(struct relay *r)
{
	if (++r->event_id == 0)
		r->event_id++;
	return r->event_id;
}

void relay_announce_loss(struct relay *r, enum hop_side side)
{
	if (!announce(r, other_side(side), FRAME_PATH_LOST, new_event(r)))
		r->must_hang_up = true;
}

/* True the first time. */
static bool is_new_event(struct relay *r, uint64_t id)
{
	for (size_t i = 0; i < RELAY_EVENTS; i++)
		if (r->events[i] == id)
			return false;
	r->events[r->event_next] = id;
	r->event_next = (r->event_next + 1) % RELAY_EVENTS;
	return true;
}

void relay_on_event(struct relay *r, struct hop *h, const struct frame *head,
		    const uint8_t *control)
{
	uint64_t id;

	if (u64_decode(control, head->len, &id) < 0 || id == 0)
		return;
	if (head->type != FRAME_PATH_LOST) {
		h->is_stalled_behind = head->type == FRAME_PATH_STALLED;
		relay_recount(r, h->side);
		return;
	}
	/* Two proxies may have several subflows between them, and each tells it. */
	if (is_new_event(r, id) && !announce(r, other_side(h->side), FRAME_PATH_LOST, id))
		r->must_hang_up = true;
}

/* ---- stalls ---- */

/* Where all frames have gone out for good nothing stalls. */
static bool is_stuck(const struct relay *r, enum hop_side side)
{
	bool has_way = false;

	list_for_each(node, &r->hops[side]) {
		const struct hop *h = container_of(node, struct hop, node);

		if (hop_is_way(h) && !hop_is_stalled(h))
			return false;
		has_way |= hop_is_way(h);
	}
	return has_way;
}

static void tell_stuck(struct relay *r, enum hop_side side, bool is_stuck)
{
	if (r->is_stuck[side] == is_stuck)
		return;
	r->is_stuck[side] = is_stuck;
	announce(r, other_side(side), is_stuck ? FRAME_PATH_STALLED : FRAME_PATH_BACK,
		 new_event(r));
}

void relay_tell_stalls(struct relay *r, enum hop_side side)
{
	bool is_news = false;

	if (r->hop_count[side] == 0)
		return;
	tell_stuck(r, side, is_stuck(r, side));
	list_for_each(node, &r->hops[side]) {
		struct hop *h = container_of(node, struct hop, node);

		if (r->is_stuck[side]) {
			/* On one that is stalled behind only, frames go out from now on. */
			h->is_told = h->is_told && h->is_stalled;
			continue;
		}
		is_news |= hop_is_stalled(h) && !h->is_told;
		h->is_told = hop_is_stalled(h);
	}
	if (is_news)
		announce(r, other_side(side), FRAME_PATH_LOST, new_event(r));
}

void relay_tell_stuck_to(struct hop *h)
{
	h->pending_events[FRAME_PATH_STALLED - FRAME_PATH_LOST] = new_event(h->relay);
	relay_send_events(h->relay, h);
}

void relay_set_stalled(struct relay *r, struct hop *h, bool is_stalled)
{
	struct relay_queue *q = &r->queue[h->side];

	h->is_stalled = is_stalled;
	if (q->current == h)
		q->current = NULL;
	relay_recount(r, h->side);
}

/* ---- draining ---- */

void relay_on_drain(struct relay *r, struct hop *h)
{
	if (h->in_done)
		return;
	h->in_done = true;
	h->is_stalled_behind = false; /* nobody would take it back */
	relay_recount(r, h->side);
	if (h->out_done && r->ops->drained)
		r->ops->drained(h);
}

static void put_drain(struct relay *r, struct hop *h)
{
	static const struct frame head = {.type = FRAME_DRAIN};

	relay_send_events(r, h);
	if (h->is_blocked)
		return;
	relay_send_on(r, h, &head, NULL, NULL);
	h->out_done = true;
	relay_recount(r, h->side);
}

void relay_send_drains(struct relay *r, enum hop_side side)
{
	/* Nothing more will come for this side. */
	bool is_dry = r->is_over[other_side(side)] && relay_queue_is_empty(&r->queue[side]);

	list_for_each(node, &r->hops[side]) {
		struct hop *h = container_of(node, struct hop, node);
		bool may_go = !hop_stays(h) && r->stay_count[side] > 0;

		if (!h->out_done && (is_dry || may_go))
			put_drain(r, h);
	}
}

void relay_drain_hop(struct relay *r, struct hop *h)
{
	h->is_unwanted = true;
	relay_recount(r, h->side);
}
