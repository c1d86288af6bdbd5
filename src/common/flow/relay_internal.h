/* What the files of a relay share: relay.c has its hops and the way through, relay_queue.c what
 * waits, relay_news.c events, stalls and DRAIN. For these only. */
#ifndef FLOW_RELAY_INTERNAL_H
#define FLOW_RELAY_INTERNAL_H

#include "common/flow/relay.h"

static inline enum hop_side other_side(enum hop_side side)
{
	return side == HOP_UP ? HOP_DOWN : HOP_UP;
}

/* Frames of its side go on it. One that is to end is passed over while others stay; without one
 * it is still the only way. */
static inline bool hop_is_way(const struct hop *h)
{
	return !h->out_done && (hop_stays(h) || h->relay->stay_count[h->side] == 0);
}

static inline bool relay_queue_is_empty(const struct relay_queue *q)
{
	return list_is_empty(&q->control) && list_is_empty(&q->data);
}

/* ---- relay.c ---- */

/* The hop has room, and DRAIN has not been sent on it. */
void relay_send_on(struct relay *r, struct hop *h, const struct frame *head, const uint8_t *control,
		   const struct slice *data);
/* After a hop of this side has come or gone, or one of its flags has changed: counts, and tells the
 * other side what is new. */
void relay_recount(struct relay *r, enum hop_side side);

/* ---- relay_queue.c ---- */

/* Tells those who feed `side` when its queue has become full, or free again. */
void relay_update_pause(struct relay *r, enum hop_side side);
void relay_enqueue(struct relay *r, enum hop_side side, const struct frame *head,
		   const uint8_t *control, const struct slice *data);
struct relay_item *relay_dequeue(struct relay_queue *q);
void relay_free_item(struct relay *r, struct relay_item *item);
void relay_clear_queue(struct relay *r, enum hop_side side);

/* ---- relay_news.c ---- */

/* What waits to be told on this hop. */
void relay_send_events(struct relay *r, struct hop *h);
/* A hop of `side` is gone, and what it had with it: tells the other side. */
void relay_announce_loss(struct relay *r, enum hop_side side);
/* An event that came on `h`. */
void relay_on_event(struct relay *r, struct hop *h, const struct frame *head,
		    const uint8_t *control);
/* Tells the other side what is new of stalled hops of `side`. After one of them has stalled, or
 * goes on; relay_recount does it, too. */
void relay_tell_stalls(struct relay *r, enum hop_side side);
/* To one that joins later. */
void relay_tell_stuck_to(struct hop *h);
void relay_on_drain(struct relay *r, struct hop *h);
/* DRAIN on the hops of `side` where it is due. */
void relay_send_drains(struct relay *r, enum hop_side side);

#endif
