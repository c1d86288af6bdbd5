/* The ingress: accepts clients, splits each one's stream over the backends. One tunnel per
 * worker, one subflow per backend and tunnel. */
#ifndef INGRESS_INGRESS_H
#define INGRESS_INGRESS_H

#include "common/io/listener.h"
#include "common/module/daemon.h"
#include "common/module/end.h"
#include "common/module/pending.h"
#include "common/module/topo.h"
#include "common/module/uplink.h"

/* What the main thread has. */
struct ingress {
	struct daemon *daemon;
	int listen_fd;
	struct topo topo; /* of the backends */
};

enum backend_state {
	BACKEND_PREPARED, /* dialled ahead of update_topo: up, but not used yet */
	BACKEND_USED,
	BACKEND_LEAVING, /* once another carries, its path is drained, and it is closed then */
	BACKEND_CLOSED,	 /* only libuv still has it */
};

/* One backend of one worker's tunnel. */
struct backend {
	struct list node; /* ingress_worker.backends */
	struct ingress_worker *owner;
	enum backend_state state;
	struct uplink uplink;
	uint16_t rank;	   /* its place in the operator's list */
	struct path *path; /* while it is up */
	bool is_drained;   /* nothing is under way on its path any more */
};

struct ingress_worker {
	struct worker *worker;
	struct daemon *daemon;
	struct budget budget;
	struct end end;
	struct tunnel_id tunnel_id;
	uint64_t instance; /* the egress's; 0 until a backend has led there */
	uint32_t generation;
	uint64_t accepted; /* clients */
	struct listener *listener;
	struct list backends; /* in whatever state */
	struct pending rise;  /* update_topo waits for the prepared backends, */
	struct pending leave; /* then for those that leave */
	struct pending drain; /* close waits for the sessions */
};

/* ---- tunnel.c: one worker's tunnel and its backends ---- */
void ingress_worker_open(struct daemon *d, struct worker *w);
void ingress_worker_freed(struct worker *w);
/* Dials the one at list[rank]. `state` is USED, or PREPARED until ingress_use_backend. */
void ingress_add_backend(struct ingress_worker *iw, const struct conf_address *list, size_t rank,
			 enum backend_state state);
void ingress_use_backend(struct backend *b);
/* It leaves: its path is drained, then closed (ingress_are_gone), or closed when it is lost. While
 * no other carries it goes on: to be called again. */
void ingress_drain_backend(struct backend *b);
/* At once. What was under way goes another way. */
void ingress_close_backend(struct backend *b);
/* The one in use at this address, or NULL. */
struct backend *ingress_find_backend(struct ingress_worker *iw, const struct conf_address *a);

/* ---- tasks.c: what the comm socket asks of a worker ---- */
task_run ingress_health, ingress_stats, ingress_paths, ingress_sessions, ingress_reset,
	ingress_drain, ingress_stop, ingress_set_scheduler;
pending_check ingress_is_idle;

/* ---- topo.c: update_topo_pre, update_topo, abort_topo ---- */
control_handle ingress_topo_pre, ingress_topo_commit, ingress_topo_abort, ingress_set_weight,
	ingress_add_path, ingress_remove_path;
pending_check ingress_are_up, ingress_are_gone;

#endif
