/* One end of a tunnel: the sessions between one ingress worker and one egress instance, over the
 * paths that are up. The protocol core: no sockets, no clock, no log. Frames and `now` go in;
 * frames, deliveries and "call me at" come out through ops. Both ends run this code; the
 * ingress's is the initiator, which opens sessions.
 *
 * How it is driven: after any batch of input (tunnel_receive, session_source_ready,
 * session_consume, a path that is no longer blocked) call tunnel_run once; call it again at
 * tunnel_next_run_at. All sending happens inside tunnel_run. */
#ifndef FLOW_TUNNEL_H
#define FLOW_TUNNEL_H

#include "common/base/idmap.h"
#include "common/base/list.h"
#include "common/base/rangeset.h"
#include "common/flow/budget.h"
#include "common/flow/path.h"
#include "common/flow/scheduler.h"
#include "common/flow/session.h"
#include "common/flow/wayback.h"
#include "common/wire/frame.h"

#include <sys/types.h>

struct tunnel_ops {
	/* Puts one frame on `p`, which is up and not blocked. `control` are head->len bytes,
	 * copied before return; or `data` is the payload, of which a reference is taken if it
	 * is kept. Sets p->is_blocked when it can take no more. */
	void (*send)(struct path *p, const struct frame *head, const uint8_t *control,
		     const struct slice *data);
	/* Reads up to `size` bytes of what the client or server has: how many, 0 at its end,
	 * -EAGAIN when there is nothing now, or a negative errno: then the environment has let
	 * go of the session, which is reset with RESET_BY_PEER. After less than `size` the
	 * source counts as idle until session_source_ready. */
	ssize_t (*pull)(struct session *s, uint8_t *buf, size_t size);
	/* Acceptor only: a session begins; set s->user, connect to its target. */
	void (*opened)(struct session *s, const struct open_info *info);
	/* session_peek has something new, or session_is_at_end became true. */
	void (*deliverable)(struct session *s);
	/* The end of the session: code RESET_FINISHED after both streams ended in order, else
	 * why not. The environment lets go; the session is freed afterwards. */
	void (*ended)(struct session *s, uint32_t code, const char *reason);
	/* DRAIN went out and has come back on `p`: nothing is under way on it any more. The
	 * environment closes the subflow in order and calls tunnel_remove_path, now or later. */
	void (*drained)(struct path *p);
	/* The other end closed the tunnel in order, or no path came for session_wait; the
	 * sessions have ended. Called from tunnel_receive or tunnel_run, after which the
	 * environment may free the tunnel, not before. */
	void (*closed)(struct tunnel *t);
};

struct tunnel_config {
	struct tunnel_id id;
	uint64_t seed; /* random, and known to nobody else: see reorder_init */
	bool is_initiator;
	const struct scheduler *scheduler;
	uint32_t window_max_bytes;
	uint32_t first_credit; /* of each session, both ways: the acceptor's HELLO_ACK says it;
				* the initiator sets it before its first path joins */
	uint64_t client_wait_us, session_wait_us, open_wait_us, reset_wait_us;
};

struct tunnel_counters {
	uint64_t opened, finished, reset, refused;
	uint64_t from_edge_bytes, to_edge_bytes;
	uint64_t sent_bytes, resent_bytes, received_bytes, duplicate_bytes;
};

struct tunnel {
	struct tunnel_config config;
	const struct tunnel_ops *ops;
	struct budget *budget;
	void *user;
	struct path *paths[PATHS_MAX]; /* dense up to path_count; owned */
	size_t path_count;
	struct path *slots[PATHS_MAX]; /* by path index: those, and the ones that are GONE */
	uint64_t alive;		       /* bit i: what slot i carries counts as under way */
	uint32_t sessions_max;	       /* the initiator may lower it to what the acceptor takes */
	struct idmap sessions;
	struct rangeset finished;
	uint64_t next_id;
	struct list sessions_all, ready, resends, controls, acks, acks_now, timed, done;
	struct list watched;	/* sessions whose head may be late (watch.c) */
	uint64_t watch_next_us; /* the next look at paths and watched sessions */
	uint64_t progress_us;	/* when anything was last acknowledged for the first time */
	uint64_t received_us;	/* the first frame since the last run; NEVER_US: none */
	uint64_t rescue_bytes;	/* so many may be sent again on suspicion */
	uint64_t probe_token;	/* of the last probe */
	struct wayback wayback; /* of the other end's ACKs */
	bool has_path;		/* that carries new bytes, or will again */
	uint64_t pathless_us;	/* since when there is none; NEVER_US: there is, or it is told */
	uint64_t timed_next_us; /* the next look at `timed` */
	uint64_t stray_us;	/* rate limit of answers to frames for finished ids */
	uint32_t stray_count;
	struct tunnel_counters counters;
};

/* `budget` is borrowed and outlives the tunnel. */
struct tunnel *tunnel_new(const struct tunnel_config *config, const struct tunnel_ops *ops,
			  struct budget *budget, void *user, uint64_t now_us);
/* Sessions that are left end with RESET_CLOSING (ops->ended is called). NULL is fine. */
void tunnel_free(struct tunnel *t);

/* A subflow is up end to end. NULL when there are PATHS_MAX. */
struct path *tunnel_add_path(struct tunnel *t, uint32_t weight, uint32_t payload_max, void *user);
/* It is up ahead of a topology change: what comes is taken, nothing is sent until
 * tunnel_use_path. Right after tunnel_add_path. */
void tunnel_hold_path(struct path *p);
void tunnel_use_path(struct tunnel *t, struct path *p);
/* Right before tunnel_remove_path: that the last `bytes` sent on it have not arrived is certain. */
void tunnel_path_undelivered(struct path *p, uint64_t bytes);
/* Its subflow is gone: what it carried goes another way, unless it was drained. `p` is not to be
 * used any more. */
void tunnel_remove_path(struct tunnel *t, struct path *p, uint64_t now_us);

/* What is known of its first hop: its TCP connection hears nothing, or does again. */
void tunnel_path_stalled(struct tunnel *t, struct path *p, bool is_stalled, uint64_t now_us);
/* No more frames are to go on `p`; ops->drained follows, unless the path dies before. */
void tunnel_drain_path(struct tunnel *t, struct path *p);
/* Takes effect with the next frame. `weight` > 0. */
void tunnel_set_weight(struct tunnel *t, struct path *p, uint32_t weight);
void tunnel_set_scheduler(struct tunnel *t, const struct scheduler *scheduler);

/* A frame that came on `p`: for DATA `data` (borrowed), else `control`. Hop-local types must not
 * come here. -EPROTO: the peer broke the protocol, close the subflow. */
int tunnel_receive(struct tunnel *t, struct path *p, const struct frame *head,
		   const uint8_t *control, const struct slice *data, uint64_t now_us);

/* Initiator: a new session; `info` is copied. NULL when there are too many. */
struct session *tunnel_open(struct tunnel *t, const struct open_info *info, void *user,
			    uint64_t now_us);

void tunnel_run(struct tunnel *t, uint64_t now_us);
uint64_t tunnel_next_run_at(const struct tunnel *t, uint64_t now_us);

/* Initiator: the other end has forgotten everything (or is another one). Sessions that it may
 * know of end; those that still wait begin under the new id. There must be no path. */
void tunnel_renew(struct tunnel *t, const struct tunnel_id *id, enum reset_code code,
		  const char *reason);

/* Resets every session (operator). Returns how many. */
size_t tunnel_reset_all(struct tunnel *t, enum reset_code code, const char *reason,
			uint64_t now_us);

/* Ends every session without a word to the other end, which is gone or does the same. */
void tunnel_end_all(struct tunnel *t, enum reset_code code, const char *reason);

/* Tells the other end, on every path that takes a frame now, that this one ends: sessions that are
 * left there end with RESET_CLOSING. */
void tunnel_send_close(struct tunnel *t);

static inline size_t tunnel_session_count(const struct tunnel *t)
{
	return t->sessions.count;
}

#endif
