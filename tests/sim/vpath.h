/* One subflow at an end: dialled by the initiator, accepted by the other. It comes up, may be held
 * until it is wanted, stalls, dies and is dialled again, or leaves: it is drained and then closed,
 * as the ingress does with a backend and the egress with the subflows of a listener. */
#ifndef SIM_VPATH_H
#define SIM_VPATH_H

#include "vdial.h"

#include "common/base/list.h"
#include "common/flow/tunnel.h"

struct vend;

struct vpath {
	struct list node; /* vend.paths */
	struct vend *end;
	struct vside *side; /* accepted; a dialled one has dial.side */
	struct path *path;  /* NULL: not up */
	struct vdial dial;
	uint16_t rank;	     /* in the order of dialling */
	uint32_t generation; /* accepted: what HELLO said */
	bool is_dialled;
	bool is_prepared; /* dialled, and held until vpath_use */
	bool is_leaving;
	bool is_drained; /* both ways: nothing is under way on it any more */
	uint64_t leave_until_us;
};

/* As tunnel_ops.send; false when it can take no more. */
bool vpath_send(struct path *p, const struct frame *head, const uint8_t *control,
		const struct slice *data);

/* Dials along the way, again and again. */
void vpath_dial(struct vend *e, const struct vway *way, bool is_prepared);
void vpath_accept(struct vend *e, struct vside *side);
/* A prepared one carries bytes from now on. */
void vpath_use(struct vpath *s);
/* It is drained, then closed; after TOPO_WAIT_MS in any case. */
void vpath_leave(struct vpath *s);
/* At once, for good. Frees it. */
void vpath_close(struct vpath *s);
void vpath_set_weight(struct vpath *s, uint32_t weight);
/* Closes those that leave and are drained. Returns how many still leave. */
size_t vpath_look_at_leaving(struct vend *e);
/* The initiator's topology has changed: what is dialled from now on says so. */
void vpath_set_generations(struct vend *e);
/* The tunnel has ended. */
void vpath_stop_dialling(struct vend *e);

#endif
