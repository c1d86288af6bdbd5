/* Keeps one subflow to one backend up: dials, and after a loss or a refusal dials again with
 * backoff (doubling from REDIAL_MIN_MS to REDIAL_MAX_MS, with jitter so that many do not dial in
 * step). Used by the ingress for its tunnel and by a proxy for each tunnel.
 *
 * A subflow that has been stalled for FRESH_DIAL_MS is not given up, but a fresh one is dialled
 * beside it, again every FRESH_DIAL_MS: whoever is first, the old one when it recovers or a fresh
 * one that is up end to end, goes on, and the other is closed. TCP's own backoff would wait. */
#ifndef MODULE_UPLINK_H
#define MODULE_UPLINK_H

#include "common/base/hostport.h"
#include "common/base/rng.h"
#include "common/conf/conf.h"
#include "common/io/subflow.h"

struct uplink;

struct uplink_ops {
	/* What to say to the backend; called for each dial. */
	void (*hello)(struct uplink *u, struct hello *ret);
	/* It is up end to end. False: not acceptable (it is closed and dialled again later);
	 * the callee has logged why. */
	bool (*up)(struct uplink *u, const struct hello_ack *ack);
	int (*frame)(struct uplink *u, const struct frame *head, const uint8_t *control,
		     const struct slice *data);
	void (*blocked)(struct uplink *u); /* as subflow_ops */
	void (*room)(struct uplink *u);
	/* Its hop has stalled while it is up, or goes on. NULL: not told. */
	void (*stalled)(struct uplink *u, bool is_stalled);
	/* It was up and is gone; it will be dialled again. When a fresh connection takes the place
	 * of a stalled one, `up` follows at once. */
	void (*down)(struct uplink *u, const char *why);
	/* uplink_close is done; the memory is the owner's. */
	void (*closed)(struct uplink *u);
};

struct uplink {
	const struct uplink_ops *ops;
	void *user;
	struct worker *worker;
	struct conf_address backend;
	char name[HOSTPORT_TEXT_MAX]; /* of the backend */
	const struct subflow_key *key;
	struct subflow *subflow; /* NULL while it waits to dial again */
	struct subflow *fresh;	 /* dialled beside `subflow`, which has stalled; NULL: none */
	bool is_up, is_stalled;
	bool has_ended; /* in `down`: subflow_has_ended */
	char why[128];	/* the last failure; "": none, or it is up; see uplink_trouble */
	uint64_t dials, losses, stalls;
	uint64_t redials;      /* stalled ones that a fresh one has replaced */
	uint64_t hop_least_us; /* the least RTT of the last subflow that is gone; 0: not known */
	uint32_t backoff_ms;
	uv_timer_t timer;
	struct rng rng;
};

/* Starts at once. `backend` is copied. */
void uplink_open(struct uplink *u, struct worker *w, const struct conf_address *backend,
		 const struct subflow_key *key, const struct uplink_ops *ops, void *user);
/* Ends it, orderly or not; `down` is not called any more, `closed` is, later. */
void uplink_close(struct uplink *u, bool is_orderly);
/* Hangs up and dials anew, after the backoff. `down` is called if it was up. */
void uplink_restart(struct uplink *u, const char *why);
/* Ends the subflow by subflow_finish, without `down`, and does not dial until uplink_wake. */
void uplink_rest(struct uplink *u, const char *why);
/* Dials if it rests. */
void uplink_wake(struct uplink *u);

/* Why it is not up, in words. */
const char *uplink_trouble(const struct uplink *u);

#endif
