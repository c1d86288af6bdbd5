/* One end of a tunnel with its clients or servers: struct tunnel, driven as the ingress and
 * egress programs drive it, over virtual links. */
#ifndef SIM_VEND_H
#define SIM_VEND_H

#include "vdial.h"
#include "vpeer.h"

#include "common/flow/budget.h"
#include "common/flow/tunnel.h"

struct vpath;

struct vend {
	struct vnode node;
	unsigned tunnel_index;
	bool is_initiator, is_closed;
	struct budget budget;
	struct tunnel *tunnel;
	struct vstream *streams; /* of all tunnels */
	unsigned stream_count;
	struct list paths; /* struct vpath */
	uint16_t dials_seen;
	uint32_t generation;  /* initiator: of the topology; acceptor: of the newest in use */
	uint64_t pathless_us; /* since when; NEVER_US: there is a path */
	bool had_path, was_pathless_long;
	uint64_t due_us; /* by then it must have run again */
	uint64_t runs;
	unsigned urges; /* runs in a row that were not enough */
	struct world_timer run_timer, leave_timer;
};

struct vend_config {
	const char *scheduler;
	size_t memory_bytes;
	uint32_t window_max_bytes, first_credit;
};

void vend_init(struct vend *e, struct world *w, struct vlinks *links, unsigned tunnel_index,
	       bool is_initiator, const struct vend_config *config);
/* Everything must have been given back: a failure else. */
void vend_done(struct vend *e);

/* A client arrives. */
void vend_start_stream(struct vend *e, unsigned stream);
/* Runs the tunnel at the end of this microsecond. */
void vend_wake(struct vend *e);
/* A path has come or gone. */
void vend_on_paths(struct vend *e);

/* What an operator does. The path leaves: it is drained and closed. */
void vend_leave(struct vpath *s);
/* Initiator: a new path is dialled ahead of its use, as by update_topo_pre; all such are used, as
 * by update_topo, or given up, as by abort_topo. */
void vend_prepare(struct vend *e, const struct vway *way);
void vend_commit(struct vend *e);
void vend_abort(struct vend *e);

void vend_print(const struct vend *e); /* what it waits for */

#endif
