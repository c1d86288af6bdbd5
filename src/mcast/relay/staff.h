/* The worker processes of a supervisor: started, taken over, replaced, and told to end. */
#ifndef RELAY_STAFF_H
#define RELAY_STAFF_H

#include "mcast/relay/channel.h"

#include <stdbool.h>
#include <sys/types.h>

struct supervisor;

enum process_state {
	PROCESS_NEW,	  /* taken over: it has not told all that it has */
	PROCESS_USABLE,	  /* it gets streams */
	PROCESS_RETIRING, /* it gives its streams away, and ends then */
	PROCESS_ENDING,	  /* it was told to end */
	PROCESS_GONE,
};

struct process {
	struct list node; /* in supervisor.processes */
	struct supervisor *supervisor;
	struct channel channel;
	enum process_state state;
	pid_t pid;
	uint32_t index;
	uint32_t seat;		 /* on the board; BOARD_WORKERS_MAX: none */
	uint64_t since_ns;	 /* when it was started or taken over, */
	uint64_t busy_before_ns; /* and what it had done until then */
	size_t stream_count;	 /* also those that it is to have soon */
	double load_pps;	 /* of its streams, as last measured */
};

/* Starts workers until each index has one, as far as they do not die at once. */
void staff_fill(struct supervisor *s);
/* The one that is used for an index, or NULL. */
struct process *staff_at(const struct supervisor *s, uint32_t index);
/* Who is to own a stream more: the one with the least to do; NULL when there is none. */
struct process *staff_place(const struct supervisor *s);
/* Another process takes the place of this one, and its streams, without loss. 0, or a negative
 * errno when none could be started. */
int staff_replace(struct supervisor *s, struct process *old);
/* All are told to end. */
void staff_end(struct supervisor *s);
/* Their channels are closed: they live on without a supervisor. */
void staff_leave(struct supervisor *s);

/* Takes over one that has come to the rendezvous; staff_settle when all have. */
void staff_settle(struct supervisor *s);
void staff_adopt(struct supervisor *s, int fd_take, pid_t pid);

bool process_is_usable(const struct process *p);
void process_send(struct process *p, json_t *body_take, const int *fds, size_t fd_count);
/* It is about a stream, which hears when it is on its way (stream_on_told). */
void process_send_of(struct process *p, json_t *body_take, const int *fds, size_t fd_count,
		     uint32_t slot);
/* A stream is in other hands, or gone. */
void process_forget(struct process *p, uint32_t slot);
/* It has a stream less, or expects one less. */
void process_leave(struct process *p);
/* One that is retiring ends with its last stream. */
void process_check_end(struct process *p);

#endif
