/* A worker thread: its own libuv loop and chunk pool, an inbox for whole messages from other
 * threads, and the end of the loop turn, at which all that was batched during the turn is done
 * once, in a fixed order. Nothing else is shared between threads.
 *
 * A turn: timers and sockets call back; they put struct deferred into a phase; when the loop is
 * about to sleep the phases run in order, repeatedly until all are empty. */
#ifndef IO_WORKER_H
#define IO_WORKER_H

#include "common/base/chunk.h"
#include "common/base/list.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct worker;

enum turn_phase {
	TURN_DELIVER, /* write to clients and servers */
	TURN_RUN,     /* protocol cores: acknowledge, schedule, send */
	TURN_FLUSH,   /* write what was put on subflows */
	TURN_PHASES
};

/* Embedded in its owner. Being deferred twice in a turn does it once. */
struct deferred {
	struct list node;
	void (*run)(struct deferred *d);
};

/* Embedded in its owner, which hands it over whole. `run` is called on the receiving thread. */
struct message {
	struct list node;
	void (*run)(struct worker *w, struct message *m);
};

struct worker {
	uint32_t index;
	uv_loop_t loop;
	struct chunk_pool *chunks; /* the user sets it; it outlives worker_join */
	struct chunk *rx;	   /* reads from subflows go into it, one after another */
	uint64_t now_us;	   /* 0: not read yet; see worker_now */
	void *user;

	/* private */
	pthread_t thread;
	uv_async_t wake;
	pthread_mutex_t lock;
	struct list inbox; /* under lock */
	struct list phases[TURN_PHASES];
	uv_prepare_t turn_end;
	uv_check_t turn_start;
	bool has_thread;
};

/* The loop exists afterwards, the thread does not run. 0 or a negative errno; after 0 it ends
 * with worker_join, also when worker_start failed or was never called. */
int worker_init(struct worker *w, uint32_t index, void *user);
int worker_start(struct worker *w);

/* From any thread, also before worker_start and from the worker itself. */
void worker_post(struct worker *w, struct message *m);

/* On the worker: its loop returns once the last handle of others is closed; until then turns go
 * on as ever. Nothing may be posted to it after the message that led to this. */
void worker_stop(struct worker *w);
/* Waits for the thread, or without one stops the loop and runs it to its end, and frees it. */
void worker_join(struct worker *w);

void worker_defer(struct worker *w, enum turn_phase phase, struct deferred *d);
void deferred_init(struct deferred *d, void (*run)(struct deferred *));
void deferred_cancel(struct deferred *d);

/* CLOCK_MONOTONIC in µs, read at the first call in the sockets' callbacks, at the first one from
 * the timers on, and at the first one after worker_forget_now: bytes that come late in a long turn
 * would otherwise be stamped with its beginning, and their RTT would look too short. */
uint64_t worker_now(struct worker *w);
static inline void worker_forget_now(struct worker *w)
{
	w->now_us = 0;
}

#endif
