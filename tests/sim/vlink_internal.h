/* What the files of a virtual link share: vlink.c has its life and its bytes, vlink_end.c how it
 * stalls, breaks and ends. For these only. */
#ifndef SIM_VLINK_INTERNAL_H
#define SIM_VLINK_INTERNAL_H

#include "vlink.h"

static inline struct vside *vlink_peer(struct vside *s)
{
	return &s->link->side[s == &s->link->side[0]];
}

/* What it sends. */
static inline struct vpipe *vlink_pipe(struct vside *s)
{
	return &s->link->pipe[s == &s->link->side[1]];
}

static inline uint64_t vlink_arrival_us(const struct vpipe *p, const struct vseg *seg)
{
	return seg->arrives_us > p->hold_us ? seg->arrives_us : p->hold_us;
}

/* ---- vlink.c ---- */
void vlink_await_arrival(struct world *w, struct vpipe *p);

/* ---- vlink_end.c ---- */
void vlink_free_if_unused(struct vlink *l);
/* It learns at that time that the connection is dead. */
void vlink_see_death(struct vside *s, uint64_t at_us);
/* The side has something outstanding: it will see a stall that lasts. */
void vlink_watch(struct vside *s);
/* Of timers: of a side, of the link, of a side. */
void vlink_die(void *arg);
void vlink_go_on(void *arg);
void vlink_see_stall(void *arg);

#endif
