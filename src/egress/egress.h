/* The egress: takes the subflows of any number of ingresses, puts each session's stream together
 * and connects it to the server. */
#ifndef EGRESS_EGRESS_H
#define EGRESS_EGRESS_H

#include "common/module/daemon.h"
#include "common/module/end.h"
#include "common/module/gate.h"

/* What the main thread has. */
struct egress {
	struct gate gate;
	bool is_prepared;
	struct conf_address listeners[CONF_ADDRESSES_MAX]; /* in use */
	size_t listener_count;
	struct conf_address prepared[CONF_ADDRESSES_MAX];
	size_t prepared_count;
};

struct egress_tunnel {
	struct list node; /* egress_worker.tunnels */
	struct egress_worker *owner;
	struct end end;
	uint64_t instance; /* what HELLO_ACK says: this tunnel, here, since it began */
	struct list legs;
	size_t leg_count;
	bool had_path;
	struct deferred reap; /* it is over: end it when nobody is inside it any more */
};

/* One subflow of a tunnel. */
struct leg {
	struct list node; /* egress_tunnel.legs */
	struct egress_tunnel *tunnel;
	struct subflow *subflow;
	struct path *path; /* once it is up */
	struct conf_address listener;
};

struct egress_worker {
	struct worker *worker;
	struct daemon *daemon;
	struct budget budget;
	struct list tunnels;
	size_t tunnel_count, ending_count; /* ending: taken out, not freed yet */
	struct tunnel_counters gone;	   /* of tunnels that have ended */
	char server_why[128];		   /* how the last session reached the server; "": well */
	struct task *drain;
	uint64_t drain_until_us;
	uv_timer_t tick;
	bool is_stopping;
};

/* ---- tunnel.c ---- */
gate_arrived egress_arrived;
void egress_worker_open(struct daemon *d, struct worker *w);
void egress_worker_freed(struct worker *w);
/* Takes it out; it ends by way of the loop. */
void egress_end_tunnel(struct egress_tunnel *t);

/* ---- tasks.c ---- */
task_run egress_health, egress_stats, egress_paths, egress_sessions, egress_reset, egress_drain,
	egress_stop;

/* ---- topo.c ---- */
control_handle egress_topo_pre, egress_topo_commit, egress_topo_abort;

#endif
