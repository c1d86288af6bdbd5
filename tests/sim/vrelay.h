/* One tunnel at a proxy: struct relay between those who dialled it and those it dials, driven as
 * the proxy program drives it (src/proxy/tunnel.c). */
#ifndef SIM_VRELAY_H
#define SIM_VRELAY_H

#include "vdial.h"

#include "common/base/list.h"
#include "common/flow/relay.h"

struct vproxy;

struct vrelay {
	struct list node; /* vproxy.relays */
	struct vproxy *proxy;
	unsigned tunnel;
	uint32_t generation; /* of the first HELLO */
	struct relay *relay;
	struct list ups, downs; /* struct vhop; ups: answered, or waiting for it */
	size_t down_count;
	bool is_ending;
	struct world_timer leave_timer;
};

/* The tunnel's, or a new one that dials the proxy's ways. */
struct vrelay *vrelay_find(struct vproxy *p, const struct hello *hello);
/* Answers those who have waited for a way on. */
void vrelay_answer_ups(struct vrelay *r);
/* After any input. Frees it when it is over. */
void vrelay_run(struct vrelay *r);
/* Somebody is there, or waits to be answered, who has not said that he goes. */
bool vrelay_is_needed(const struct vrelay *r);
/* Looks after hops that leave, in a tick, until there is none. */
void vrelay_start_tick(struct vrelay *r);
void vrelay_note_queues(const struct vrelay *r);

/* The proxy dies: all that was on its way here is lost, */
void vrelay_break_links(struct vrelay *r);
/* and the relay ends. Frees it. */
void vrelay_end(struct vrelay *r);

#endif
