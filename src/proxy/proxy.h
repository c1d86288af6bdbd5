/* The proxy: relays tunnels from N listening addresses to M backends. It keeps one forwarding
 * context per tunnel (flow/relay) and knows nothing of sessions. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "common/flow/budget.h"
#include "common/flow/relay.h"
#include "common/module/daemon.h"
#include "common/module/gate.h"
#include "common/module/topo.h"
#include "common/module/uplink.h"

/* What the main thread has. */
struct proxy {
	struct gate gate;
	struct topo_list sides[2]; /* in use. HOP_UP: listeners, HOP_DOWN: backends */
	bool is_changing;	   /* set_weight, add_path or remove_path is at the workers */
};

/* One tunnel that passes here: it lives as long as it has an upstream subflow, or a downstream one
 * that still has to be told that there is none. */
struct proxy_tunnel {
	struct list node; /* proxy_worker.tunnels */
	struct proxy_worker *owner;
	struct relay *relay;
	struct hello hello;   /* of the first subflow; what is said to the backends */
	struct hello_ack ack; /* of the egress behind; instance 0 while there is none */
	struct list upstreams, downstreams;
	size_t upstream_count; /* at most PATHS_MAX, as an end takes: a ratio is shared by them */
	bool is_ending;
	size_t closing_count; /* uplinks that are not closed yet */
	struct deferred run;  /* relay_run at the end of the turn */
	struct deferred reap; /* the last upstream is gone */
};

/* A subflow from the ingress's side. */
struct upstream {
	struct list node;
	struct proxy_tunnel *tunnel;
	struct subflow *subflow;
	struct hop *hop; /* once it was answered and is up */
	struct conf_address listener;
	bool is_answered;
	bool is_drained; /* both ways, and we began: to be closed */
	uint64_t stalls;
};

/* A backend of this tunnel. */
struct downstream {
	struct list node;
	struct proxy_tunnel *tunnel;
	struct uplink uplink;
	struct hop *hop; /* while it is up */
	bool is_drained; /* as in an upstream */
	bool is_removed; /* not a backend any more: goes when it is drained or lost */
	bool is_closing; /* waits for uplink_ops.closed */
};

/* remove_path, which waits until what came by the address is drained. */
struct removal {
	struct task *task; /* NULL: none is under way */
	enum hop_side side;
	struct conf_address address;
	uint64_t until_us;
};

struct proxy_worker {
	struct worker *worker;
	struct daemon *daemon;
	struct budget budget; /* only its chunks are used */
	struct slab items;    /* of the relays' queues */
	struct topo_list backends;
	struct list tunnels;
	size_t tunnel_count, ending_count;
	size_t tunnels_max;	/* by the memory limit */
	uint64_t relayed_bytes; /* of hops that are gone */
	struct removal removal;
	uv_timer_t tick; /* looks at the removal */
	bool is_stopping;
};

/* ---- tunnel.c ---- */
gate_arrived proxy_arrived;
void proxy_worker_open(struct daemon *d, struct worker *w);
void proxy_worker_freed(struct worker *w);
/* Hangs up on all sides; it ends by way of the loop. */
void proxy_end_tunnel(struct proxy_tunnel *t);
/* Runs the relay at the end of the turn. */
void proxy_wake(struct proxy_tunnel *t);
/* The hop's subflow is gone, or about to be: after both have drained, in order or not. */
void proxy_drop_hop(struct proxy_tunnel *t, struct hop **hop, bool has_ended);
/* An uplink of the tunnel is closed: the tunnel may be freed. */
void proxy_uplink_closed(struct proxy_tunnel *t);

/* ---- upstream.c ---- */
void upstream_accept_take(struct proxy_tunnel *t, struct arrival *a);
/* An upstream waits for its HELLO_ACK until the way to the egress is there. */
void upstream_answer(struct upstream *u);
/* Its subflow is closed, or gone. */
void upstream_free(struct upstream *u);
/* The hop goes without loss, if there is one; else with what it had. */
void upstream_close(struct upstream *u, const char *why);
/* The ratio of this listener, or how many upstreams share it, has changed. */
void upstream_share_weight(struct proxy_tunnel *t, const struct conf_address *listener);

/* ---- downstream.c ---- */
void downstream_open(struct proxy_tunnel *t, const struct conf_address *backend);
/* For good; its hop goes first, as a loss. */
void downstream_close(struct downstream *d);
/* Its hop was closed by the relay: it may begin anew. */
void downstream_restart(struct downstream *d, const char *why);
/* It was drained: its hop goes without loss. */
void downstream_finish(struct downstream *d);

/* ---- tasks.c ---- */
task_run proxy_health, proxy_stats, proxy_paths, proxy_sessions, proxy_reset, proxy_drain,
	proxy_stop;

/* ---- change.c: set_weight, add_path, remove_path, on the main thread ---- */
control_handle proxy_set_weight, proxy_add_path, proxy_remove_path;

/* ---- change_tasks.c: what they do at a worker ---- */
task_run proxy_weigh, proxy_add_backend, proxy_remove;
/* Ends the waiting, if there is any: what is not drained yet is closed. */
void proxy_cut_removal(struct proxy_worker *pw);

#endif
