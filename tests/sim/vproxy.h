/* A proxy: one relay per tunnel between those who dialled it and those it dials, on virtual
 * links. It can be killed, with all that it holds, and come back empty. */
#ifndef SIM_VPROXY_H
#define SIM_VPROXY_H

#include "vdial.h"

#include "common/base/list.h"
#include "common/flow/relay.h"

#define WAYS_MAX 16

struct faults;

struct vproxy {
	struct vnode node;
	unsigned level; /* 0: next to the ingress */
	struct faults *faults;
	struct chunk_pool chunks;
	struct slab items;
	struct list relays;    /* struct vrelay */
	struct list strangers; /* struct vhop: accepted, no HELLO yet */
	/* Where it dials to for a tunnel. */
	unsigned (*ways)(struct vproxy *p, unsigned tunnel, struct vway ret_ways[WAYS_MAX]);
	void *user;
	bool is_doomed; /* dies at the end of this event: forwards nothing more */
	uint64_t down_us;
	struct world_timer kill_timer, return_timer;
	size_t queue_bytes_max; /* the most that ever waited in one direction */
};

void vproxy_init(struct vproxy *p, struct world *w, struct vlinks *links, struct faults *faults);
/* Everything it allocated must have been given back: a failure else. */
void vproxy_done(struct vproxy *p);

/* It dies, and comes back after `down_us`. Not within its own callbacks. */
void vproxy_kill(struct vproxy *p, uint64_t down_us);
/* The same at a time; when that is now, it forwards nothing from here on. */
void vproxy_kill_at(struct vproxy *p, uint64_t at_us, uint64_t down_us);

#endif
