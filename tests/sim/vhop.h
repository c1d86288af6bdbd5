/* One subflow of a proxy: accepted from the ingress's side (up) or dialled (down), as in
 * src/proxy/upstream.c and downstream.c. */
#ifndef SIM_VHOP_H
#define SIM_VHOP_H

#include "vdial.h"

#include "common/base/list.h"
#include "common/flow/relay.h"

struct vproxy;
struct vrelay;

struct vhop {
	struct list node; /* vrelay.ups, vrelay.downs or vproxy.strangers */
	struct vproxy *proxy;
	struct vrelay *relay; /* NULL: a stranger */
	struct vside *side;   /* up; a down has dial.side */
	struct hop *hop;      /* NULL: not up */
	enum hop_side to;
	struct vdial dial; /* down */
	bool is_leaving;
	bool is_drained; /* both ways, and we began: to be closed */
	uint64_t leave_until_us;
};

/* A dialler is at the proxy's door. */
void vhop_accept(struct vproxy *p, struct vside *s);
void vhop_dial(struct vrelay *r, const struct vway *way);
/* NULL: a down that is not connected. */
struct vside *vhop_side(const struct vhop *h);
/* Its subflow is up end to end. */
void vhop_join(struct vhop *h, uint32_t weight);

/* It was drained: it goes in order. A down stays if it is still wanted, and an up is freed. */
void vhop_finish(struct vhop *h);
/* The relay has it no more, or shall not: it is freed, or (a down) dialled again. */
void vhop_lose(struct vhop *h, bool has_ended);
/* With its links, whatever is on them. */
void vhop_free(struct vhop *h);

/* What an operator does; the relay may end by it. The hop is drained, then closed; after
 * TOPO_WAIT_MS in any case. */
void vhop_leave(struct vhop *h);
void vhop_set_weight(struct vhop *h, uint32_t weight);

#endif
