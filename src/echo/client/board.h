/* What supervisor and workers share in memory: instants from the one side, results from the other.
 * A worker's tasks (threads or processes) write at the same time, so counts are atomic, and the
 * rest is under a lock. */
#ifndef ECHO_BOARD_H
#define ECHO_BOARD_H

#include "common/base/hist.h"
#include "echo/client/cause.h"
#include "echo/client/orders.h"
#include "echo/client/plan.h"

#include <pthread.h>
#include <stdatomic.h>

/* 12,000 connections each: more than the memory of a machine. */
#define BOARD_SOURCES_MAX 1024u

/* A worker numbers its attempts, and repeats one with each source that it takes. */
_Static_assert(PLAN_WORKER_CONNECTIONS_MAX + BOARD_SOURCES_MAX <= PLAN_WORKER_NUMBERS,
	       "each attempt has a number");

/* How the use of a connection ended. */
enum outcome {
	OUTCOME_GOOD,
	OUTCOME_WRONG,	   /* other bytes came than were sent */
	OUTCOME_ENDED,	   /* the server closed it, bytes were outstanding */
	OUTCOME_RESET,	   /* the server broke it off */
	OUTCOME_TIMED_OUT, /* no byte came back in time */
	OUTCOME_FAILED,	   /* another error */
	OUTCOME_DROPPED,   /* the server ended it while there was nothing to say */
	OUTCOME_COUNT
};

/* The first wrong byte of a worker. */
struct wrong {
	uint64_t offset; /* in the stream of its connection */
	uint32_t connection;
	bool is_set;
};

/* Of one message size. */
struct measured {
	uint64_t messages;
	struct hist latency_ns;
};

/* Of one worker. */
struct result {
	_Alignas(64) _Atomic uint64_t connected;
	_Atomic uint64_t failed[CAUSE_COUNT]; /* connections that could not be made */
	_Atomic uint64_t held;		      /* were still there after the time of holding */
	_Atomic uint64_t verified;
	_Atomic uint64_t outcomes[OUTCOME_COUNT];
	struct orders orders;	/* that its tasks wait for */
	_Atomic uint32_t tasks; /* that there are */
	pthread_mutex_t lock;	/* of what follows */
	struct wrong wrong;
	struct measured sizes[PLAN_SIZES_MAX];
};

struct board {
	_Atomic uint64_t begin_ns, end_ns; /* what is measured now; the end may come nearer */
	_Atomic enum cause stop;	   /* not CAUSE_NONE: no more connections are to be made */
	_Atomic uint32_t source_next;	   /* those below are taken */
	_Atomic bool source_is_ours[BOARD_SOURCES_MAX]; /* we have added it to the interface */
	struct result results[PLAN_WORKERS_MAX];
};

/* In memory that all share; NULL when there is none. It goes with the process. */
struct board *board_new(void);
/* Before its worker begins. 0 or a negative errno. */
int result_init(struct result *r);
/* Before the run of that size. */
void result_init_size(struct result *r, uint32_t size_index);

/* "wrong", "ended_early", ... */
const char *outcome_name(enum outcome outcome);
/* Of a negative errno; -ENODATA stands for the end of the stream. */
enum outcome outcome_of(int err);
/* Of a result's `wrong` and `sizes`. */
void result_lock(struct result *r);
void result_unlock(struct result *r);
void result_count(struct result *r, enum outcome outcome);
/* Counts it, and keeps where it was if it is the first one. */
void result_wrong(struct result *r, uint32_t connection, uint64_t offset);

void measured_init(struct measured *m);
/* To what was measured of that size so far. */
void result_measured(struct result *r, uint32_t size_index, const struct measured *m);

static inline void tally(_Atomic uint64_t *count)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

#endif
