/* The proxy: relays tunnels from N listening addresses to M backends. It keeps one forwarding
 * context per tunnel (flow/relay) and knows nothing of sessions. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "common/flow/budget.h"
#include "common/flow/relay.h"
#include "common/module/daemon.h"
#include "common/module/gate.h"
#include "common/module/uplink.h"

/* What the main thread has. */
struct proxy {
	struct gate gate;
};

/* One tunnel that passes here: it lives as long as it has an upstream subflow. */
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
};

/* A backend of this tunnel. */
struct downstream {
	struct list node;
	struct proxy_tunnel *tunnel;
	struct uplink uplink;
	struct hop *hop; /* while it is up */
};

struct proxy_worker {
	struct worker *worker;
	struct daemon *daemon;
	struct budget budget; /* only its chunks are used */
	struct slab items;    /* of the relays' queues */
	struct list tunnels;
	size_t tunnel_count, ending_count;
	size_t tunnels_max;	/* by the memory limit */
	uint64_t relayed_bytes; /* of hops that are gone */
	bool is_stopping;
};

/* ---- tunnel.c ---- */
gate_arrived proxy_arrived;
void proxy_worker_open(struct daemon *d, struct worker *w);
void proxy_worker_freed(struct worker *w);
/* Hangs up on all sides; it ends by way of the loop. */
void proxy_end_tunnel(struct proxy_tunnel *t);

/* ---- tasks.c ---- */
task_run proxy_health, proxy_stats, proxy_paths, proxy_sessions, proxy_reset, proxy_drain,
	proxy_stop;

#endif
