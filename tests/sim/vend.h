/* One end of a tunnel with its clients or servers: struct tunnel, driven as the ingress and
 * egress programs drive it, over virtual links. */
#ifndef SIM_VEND_H
#define SIM_VEND_H

#include "vdial.h"
#include "vpeer.h"

#include "common/flow/budget.h"
#include "common/flow/tunnel.h"

#define VEND_WAYS_MAX 16

struct vend {
	struct vnode node;
	unsigned tunnel_index;
	bool is_initiator, is_closed;
	struct budget budget;
	struct tunnel *tunnel;
	struct vstream *streams; /* of all tunnels */
	unsigned stream_count;
	struct list paths; /* struct vpath */
	struct vpath *dials[VEND_WAYS_MAX];
	unsigned dial_count;
	uint64_t pathless_us; /* since when; NEVER_US: there is a path */
	bool was_pathless_long;
	struct world_timer run_timer;
};

struct vend_config {
	const char *scheduler;
	size_t memory_bytes;
	uint32_t window_max_bytes, first_credit;
};

void vend_init(struct vend *e, struct world *w, struct vlinks *links, unsigned tunnel_index,
	       bool is_initiator, const struct vend_config *config);
/* The initiator dials along these ways from now on. */
void vend_dial(struct vend *e, const struct vway *ways, unsigned count);
/* Everything must have been given back: a failure else. */
void vend_done(struct vend *e);

/* A client arrives. */
void vend_start_stream(struct vend *e, unsigned stream);
/* Runs the tunnel at the end of this microsecond. */
void vend_wake(struct vend *e);
void vend_print(const struct vend *e); /* what it waits for */

#endif
