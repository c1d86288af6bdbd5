/* Nodes of the simulated world, and one node dialling another for one tunnel: again and again,
 * with growing pauses, and with HELLO at once, as the dialler of the programs does. */
#ifndef SIM_VDIAL_H
#define SIM_VDIAL_H

#include "vlink.h"

struct vnode {
	struct world *world;
	struct vlinks *links;
	char name[24];
	bool is_down; /* connections to it are refused */
	/* A connection from a dialler: attach to it. */
	void (*accept)(struct vnode *n, struct vside *s);
};

/* One way from a node to a next one. */
struct vway {
	struct vnode *to;
	uint32_t weight;
	struct vlink_config link;
};

struct vdial {
	struct vnode *from;
	struct vway way;
	unsigned tunnel;
	uint32_t generation; /* what HELLO says of it */
	struct chunk_pool *pool;
	const struct vside_ops *ops;
	void *user;	     /* of the sides */
	struct vside *side;  /* NULL: there is none now */
	struct vside *fresh; /* dialled beside it, because it has stalled; NULL: none */
	uint64_t backoff_us;
	struct world_timer timer, fresh_timer;
};

/* Dials at once. */
void vdial_start(struct vdial *d, struct vnode *from, const struct vway *way, unsigned tunnel,
		 struct chunk_pool *pool, const struct vside_ops *ops, void *user);
/* It answered: the next loss is dialled again soon. */
void vdial_up(struct vdial *d);
/* Closes the side if there is one, and dials again after a while. */
void vdial_again(struct vdial *d);
void vdial_stop(struct vdial *d);
/* Finishes the side, and does not dial until vdial_wake. */
void vdial_rest(struct vdial *d);
/* Dials if it rests. */
void vdial_wake(struct vdial *d);

/* The side has stalled, or goes on: a fresh one is dialled beside it, or dropped. */
void vdial_set_stalled(struct vdial *d, bool is_stalled);
/* The fresh one is dead. */
void vdial_drop_fresh(struct vdial *d);
/* The fresh one answered: it takes the place of the side, which is closed. */
void vdial_take_fresh(struct vdial *d);

/* The other half of the handshake. */
struct hello vdial_hello(const struct deframed *f);
unsigned vdial_hello_tunnel(const struct hello *hello);
void vdial_answer(struct vside *s);

#endif
