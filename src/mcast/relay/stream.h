/* A stream as the supervisor knows it: its rule, its sockets, and whose it is. */
#ifndef RELAY_STREAM_H
#define RELAY_STREAM_H

#include "common/base/list.h"
#include "mcast/core/hashed.h"
#include "mcast/core/rule.h"
#include "mcast/relay/message.h"

#include <stdbool.h>

struct supervisor;
struct process;

enum stream_state {
	STREAM_HOMELESS,  /* no worker is there for it */
	STREAM_OWNED,	  /* `owner` was told to relay it */
	STREAM_PREPARING, /* `next` was told to expect it: its packets are to come there */
	STREAM_RELEASING, /* `owner` was told to let it go; `next`, or any, is to have it then */
	STREAM_LEAVING,	  /* so too, and then it ends: its rule is gone */
};

struct stream_input {
	int fd; /* -1: not open, see why */
	unsigned interface;
	char why[WHY_BYTES_MAX];
};

struct stream {
	struct list node;
	struct supervisor *supervisor;
	struct hashed by_name;
	uint32_t slot; /* its place on the board, for life */
	struct rule rule;
	struct stream_input inputs[RULE_INPUTS_MAX];
	int dedup_fd; /* what tells copies by its two inputs, for whoever owns it; or -1 */
	enum stream_state state;
	struct process *owner, *next;
	bool is_pointed; /* while it prepares: packets come to `next`, or are on their way there */
	uint64_t seen_packets; /* when its load was last measured */
	double load_pps;
	bool is_measured;     /* it was */
	uint32_t rest_rounds; /* balance.h */
};

/* A new one for a rule (copied): sockets are opened, and it is given to a worker if there is one.
 * NULL when all slots are taken. */
struct stream *stream_new(struct supervisor *s, const struct rule *rule);
/* One that a worker has had before this supervisor began, in a slot that is free; the descriptors
 * become the stream's. `is_released`: it was on its way to another worker. */
void stream_adopt(struct supervisor *s, uint32_t slot, const struct rule *rule,
		  const struct message_inputs *take, struct process *owner, bool is_released);
/* One that expects it, of which the owner, if there is one, is not known yet. */
void stream_adopt_expected(struct supervisor *s, uint32_t slot, const struct rule *rule,
			   const struct message_inputs *take, struct process *next);
/* And this is the other one. */
void stream_adopt_again(struct stream *st, struct process *p, bool is_released, bool is_expected);
/* All that there is was adopted: what was on its way goes on. */
void stream_settle(struct stream *st);
/* Another rule of the same name. */
void stream_change(struct stream *st, const struct rule *rule);
/* Its rule is gone. The stream ends now, or when its owner has let it go. */
void stream_end(struct stream *st);

/* To this worker; without loss, see docs/multicast.md. False: not now, it is on its way elsewhere,
 * or ends. */
bool stream_move(struct stream *st, struct process *to);
/* To whichever has the least to do. */
void stream_place(struct stream *st);
/* `p` finds what it was told of this stream when it looks. */
void stream_on_told(struct stream *st, struct process *p);
/* All packets come to where it was pointed to, since a moment ago. */
void stream_on_turned(struct stream *st);
/* Its owner has let it go. */
void stream_on_released(struct stream *st);
/* `p` is dead; `heir` (or NULL) has its seat, and all that waits there. */
void stream_on_death(struct stream *st, struct process *p, struct process *heir);
/* Packets come to it, whatever became of other rules. */
void stream_point_again(struct stream *st);

/* Opens what is not open and can be, closes what has lost its interface. */
void stream_look_at_inputs(struct stream *st);

/* All inputs are open; else why not, in `ret_why` (or NULL). */
bool stream_is_live(const struct stream *st, const char **ret_why);

/* Frees it, whoever owns it. */
void stream_free(struct stream *st);

struct stream *stream_find(const struct supervisor *s, const char *name);

#endif
