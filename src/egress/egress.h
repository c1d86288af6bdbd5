/* The egress: takes the subflows of any number of ingresses, puts each session's stream together
 * and connects it to the server. */
#ifndef EGRESS_EGRESS_H
#define EGRESS_EGRESS_H

#include "common/module/daemon.h"
#include "common/module/end.h"
#include "common/module/gate.h"
#include "common/module/pending.h"
#include "common/module/topo.h"

/* What the main thread has. */
struct egress {
	struct gate gate;
	struct topo topo; /* of the listeners */
};

struct egress_tunnel {
	struct list node; /* egress_worker.tunnels */
	struct egress_worker *owner;
	struct end end;
	uint64_t instance; /* what HELLO_ACK says: this tunnel, here, since it began */
	struct list legs;
	size_t leg_count;
	uint32_t generation; /* of the newest leg in use */
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
	uint32_t generation; /* the ingress's, at the time of HELLO */
	bool is_leaving;     /* its listener is closed, */
	bool is_drained;     /* and nothing is under way on it any more */
};

struct egress_worker {
	struct worker *worker;
	struct daemon *daemon;
	struct budget budget;
	const struct scheduler *scheduler; /* of tunnels to come */
	struct list tunnels;
	size_t tunnel_count, ending_count; /* ending: taken out, not freed yet */
	struct tunnel_counters gone;	   /* of tunnels that have ended */
	char server_why[128];		   /* how the last session reached the server; "": well */
	struct topo_list listeners;	   /* in use */
	struct pending leave;		   /* a topology change waits for the legs that leave */
	struct pending drain;		   /* close waits for the sessions */
	bool is_ending;			   /* since then nothing new is taken */
	bool is_stopping;
};

/* ---- tunnel.c ---- */
gate_arrived egress_arrived;
void egress_worker_open(struct daemon *d, struct worker *w);
void egress_worker_freed(struct worker *w);
/* Takes it out; it ends by way of the loop. */
void egress_end_tunnel(struct egress_tunnel *t);

/* ---- leg.c ---- */
void leg_accept_take(struct egress_tunnel *t, const struct arrival *a);
/* Its subflow is closed, or gone, and its path with it. */
void leg_free(struct leg *leg);
/* The weights of a tunnel's legs on this listener follow its ratio and the number of those in use,
 * which has changed. */
void leg_share_weight(struct egress_tunnel *t, const struct conf_address *listener);
/* NULL: it is none of those in use, but closed, or only prepared. */
const struct conf_address *leg_listener(const struct leg *leg);
/* The leg's path takes over its listener's place among them. */
void leg_set_rank(struct leg *leg);
/* In order: what was drained is not lost. */
void leg_close(struct leg *leg);

/* ---- tasks.c ---- */
task_run egress_health, egress_stats, egress_paths, egress_sessions, egress_reset, egress_drain,
	egress_stop, egress_set_scheduler;
pending_check egress_is_idle;

/* ---- topo.c ---- */
pending_check egress_are_gone;
control_handle egress_topo_pre, egress_topo_commit, egress_topo_abort, egress_set_weight,
	egress_add_path, egress_remove_path;

#endif
