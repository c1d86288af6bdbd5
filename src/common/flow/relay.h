/* The forwarding of one tunnel at one proxy: N upstream subflows (towards the ingress) and M
 * downstream ones (towards the egress). No session state, no sockets, no clock: frames go in,
 * frames come out on another hop.
 *
 * Each direction has a queue of control frames and a queue of DATA, both shared by its next hops
 * (late binding: a frame is given to a hop when that hop has room, by the ratios among hops with
 * room; control first). When what waits in a direction passes RELAY_QUEUE_BYTES, the hops that
 * feed it are paused until it is half empty. Control counts too: a proxy knows no sessions, so it
 * cannot overwrite an old ACK by a new one. This cannot deadlock, because a direction drains as
 * long as the end it leads to reads, and ends always read; no frame waits for what comes the other
 * way.
 *
 * When a hop dies, what was in its buffers is lost. If its side has other hops left, the relay
 * says so with PATH_LOST on every hop of the other side: that is where the lost frames came
 * from. An event runs on away from the dead hop, over every hop of the other side, until it has
 * reached the end on each path that leads to the dead place, and no other; the opposite
 * direction is told by the neighbour behind the dead place, or by its own dead subflows. If no
 * hop is left at the end of the turn, the relay closes the hops of the other side, which tells the
 * neighbours the same. So the loss of an event is itself the loss of a hop, and needs no
 * repetition.
 *
 * An event says "what you sent before this arrived may be lost". It concerns the direction
 * opposite to its own, so it may overtake everything; and a newer one says all that an older one
 * did, so a hop without room keeps only the newest.
 *
 * A hop that has stalled gets no frame: those of its side go to the others, and PATH_LOST says that
 * what it has may be late, as of a dead one. While all hops of a side stall, frames wait for the
 * first that goes on; PATH_STALLED says so, and PATH_BACK when one does. For the relay that hears
 * PATH_STALLED on a hop this hop has stalled, too, as long as another one of its side goes on. When
 * none does, frames wait at the neighbour instead of here: it knows first when it can go on, and
 * its PATH_BACK may be behind what we do not read, because frames wait here.
 *
 * DRAIN on a hop is the last frame in its direction: behind it the hop carries only what is local
 * to it. Two rules make the ends of a tunnel, and each relay between them, agree:
 *   1. A hop on which DRAIN came, or that we want to be rid of, gets our DRAIN at once if others of
 *      its side stay: they carry on, and what is queued goes to them.
 *   2. When DRAIN has come on every hop of a side, nothing more will come from there. Once what is
 *      queued towards the other side has gone out, every hop there gets our DRAIN. Until the same
 *      comes back from there, the hops of the first side are still the way back.
 * So a drain of the last way of a tunnel runs through all relays to the other end and back. A hop
 * on which DRAIN was answered goes without loss (relay_retire_hop). If a loss cannot be told
 * because DRAIN was said on all hops of the other side, the relay hangs up on both. */
#ifndef FLOW_RELAY_H
#define FLOW_RELAY_H

#include "common/base/chunk.h"
#include "common/base/limits.h"
#include "common/base/list.h"
#include "common/base/slab.h"
#include "common/wire/frame.h"

#include <stdbool.h>

enum hop_side { HOP_UP, HOP_DOWN };

struct relay;

/* PATH_LOST, PATH_STALLED and PATH_BACK. */
#define RELAY_EVENT_KINDS 3

struct hop {
	struct relay *relay;
	void *user;
	enum hop_side side;
	uint32_t weight;
	double pass;		/* bytes sent / weight, see pick_hop */
	bool is_blocked;	/* set by the environment: it can take no frame now */
	bool is_paused;		/* the environment must not read it; a hop may be born so */
	bool is_stalled;	/* by relay_set_stalled, */
	bool is_stalled_behind; /* or the neighbour has no way on */
	bool is_told;		/* PATH_LOST has been said of that; no frame has gone out since */
	bool is_unwanted;	/* by relay_drain_hop */
	bool in_done;		/* DRAIN came: no more frames will */
	bool out_done;		/* DRAIN was sent: no more frames may be */
	uint64_t pending_events[RELAY_EVENT_KINDS]; /* the newest of each kind; 0: none */
	uint64_t sent_bytes, received_bytes;	    /* payload of DATA */
	struct list node;			    /* relay.hops[side] */
};

/* Nobody wants an end of it: neither the peer, nor we. */
static inline bool hop_stays(const struct hop *h)
{
	return !h->in_done && !h->out_done && !h->is_unwanted;
}

static inline bool hop_is_stalled(const struct hop *h)
{
	return h->is_stalled || h->is_stalled_behind;
}

/* None of them may call the relay back. */
struct relay_ops {
	/* As tunnel_ops.send. */
	void (*send)(struct hop *h, const struct frame *head, const uint8_t *control,
		     const struct slice *data);
	/* Stop or go on reading this hop. Frames that were read already may still come. */
	void (*pause)(struct hop *h, bool is_paused);
	/* Close this hop: its tunnel goes nowhere. It has been taken out already; the
	 * environment frees what it has of it, `h` is freed after the call. */
	void (*close)(struct hop *h, const char *why);
	/* Our DRAIN was answered, so the peer has read all: close this hop in order and retire it,
	 * after the call. (Where the peer's came first, the peer closes.) NULL: not told. */
	void (*drained)(struct hop *h);
};

struct relay_queue {
	struct list control, data; /* struct relay_item */
	size_t bytes;		   /* of both: payloads and the items themselves */
	bool is_full;		   /* passed its mark and is not yet half empty */
	double pass;		   /* of the hop that was picked last */
	struct hop *current;	   /* this turn's frames stay on it, */
	uint32_t burst_bytes;	   /* of which it has got so many */
};

struct relay {
	const struct relay_ops *ops;
	void *user;
	struct chunk_pool *chunks;
	struct slab *items; /* of struct relay_item; shared by a worker's relays */
	struct chunk *keep; /* small payloads that must wait are copied into it */
	struct list hops[2];
	size_t hop_count[2], stay_count[2]; /* all; those of which nobody wants the end */
	bool is_over[2];		    /* DRAIN came on every hop of that side */
	bool is_stuck[2];		    /* all of that side stall: PATH_STALLED has been said */
	bool has_lost[2];		    /* it lost a hop in this turn */
	bool must_hang_up;		    /* of a loss that could not be told */
	struct relay_queue queue[2];	    /* towards that side */
	uint64_t events[RELAY_EVENTS];
	size_t event_next;
	uint64_t event_id; /* of this relay's last event; they count up from a random number */
};

struct relay_item {
	struct list node;
	struct frame head;
	struct slice data; /* holds a reference; no chunk when there is no payload */
};

/* `chunks` and `items` are borrowed and outlive the relay. `event_seed` is random: two relays of
 * a tunnel must not use the same ids. */
struct relay *relay_new(const struct relay_ops *ops, struct chunk_pool *chunks, struct slab *items,
			uint64_t event_seed, void *user);
void relay_free(struct relay *r); /* closes what is left; NULL is fine */

/* A subflow of the tunnel is up. `weight` > 0. The relay owns the hop. */
struct hop *relay_add_hop(struct relay *r, enum hop_side side, uint32_t weight, void *user);
/* The hop's subflow is gone, and perhaps frames with it. Frees `h`. relay_run follows, and may
 * close hops (ops->close) if no other has come until then. */
void relay_remove_hop(struct relay *r, struct hop *h);
/* It was drained both ways and has ended in order. Frees `h`. relay_run follows. */
void relay_retire_hop(struct relay *r, struct hop *h);
/* We want to be rid of it. If others of its side stay, DRAIN goes out on it by relay_run, and
 * ops->drained follows; if not, it waits until others come. */
void relay_drain_hop(struct relay *r, struct hop *h);
/* The hop's peer acknowledges nothing, or does again. relay_run follows. */
void relay_set_stalled(struct relay *r, struct hop *h, bool is_stalled);
/* There is a hop on that side on which frames may be sent. */
bool relay_has_way(const struct relay *r, enum hop_side side);

/* A frame that came on `h` (borrowed): not the hop-local HELLO, HELLO_ACK, AUTH, PING, PONG.
 * DRAINED is dropped. */
void relay_receive(struct relay *r, struct hop *h, const struct frame *head, const uint8_t *control,
		   const struct slice *data);

/* Gives what is queued to the hops that have room. Call it once after a batch of input and when
 * a hop is no longer blocked. */
void relay_run(struct relay *r);

#endif
