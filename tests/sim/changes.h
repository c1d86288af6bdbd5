/* What operators change while bytes flow, at drawn times: schedulers and weights at the ends, paths
 * that leave, join, or are prepared and then used or given up; at proxies weights, subflows that
 * leave and new next hops. As set_scheduler, set_weight, remove_path, add_path, update_topo_pre,
 * update_topo and abort_topo do in the programs. */
#ifndef SIM_CHANGES_H
#define SIM_CHANGES_H

#include "vend.h"
#include "vproxy.h"

enum change_kind {
	CHANGE_SCHEDULER,
	CHANGE_WEIGHT,
	CHANGE_LEAVE,
	CHANGE_JOIN,
	CHANGE_PREPARE,
	CHANGE_USE,
	CHANGE_GIVE_UP,
	CHANGE_HOP_LEAVE_UP,
	CHANGE_HOP_LEAVE_DOWN,
	CHANGE_HOP_JOIN,
	CHANGE_HOP_WEIGHT,
	CHANGE_KINDS,
};

const char *change_name(enum change_kind kind);

struct changes {
	struct world *world;
	struct vend (*ends)[2]; /* of each tunnel: initiator, acceptor */
	unsigned tunnel_count;
	struct vproxy *proxies;
	unsigned proxy_count;
	/* A new way there. */
	struct vway (*draw_way)(struct changes *c, struct vnode *to);
	unsigned left;
	unsigned done[CHANGE_KINDS];
	uint64_t pause_us_max;
	struct world_timer timer;
};

/* `c` names the world and what there is to change; so many changes at the most. */
void changes_start(struct changes *c, unsigned most, uint64_t pause_us_max);
void changes_done(struct changes *c);

/* One of all that there are. */
const char *draw_scheduler(struct world *w);

#endif
