/* A worker's io_uring, its read buffers, and what its parts share: the turn of the loop with
 * accepting (model_uring.c) and the connections (uring_connection.c). */
#ifndef SERVER_URING_H
#define SERVER_URING_H

#include "echo/server/admission.h"
#include "echo/server/buffers.h"

#include <assert.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

/* Accept requests under way: so many connections are taken in one turn. */
#define URING_ACCEPTING_MAX COMPLETIONS_PER_TURN
/* Requests of a turn that are not of connections: accepting, a cancellation, a timer. */
#define URING_REQUESTS_RESERVED (URING_ACCEPTING_MAX + 2u)
/* Of a turn: these, one that follows each completion, and those that waited for a buffer. */
#define URING_REQUESTS_MAX (4u * COMPLETIONS_PER_TURN)
static_assert(URING_REQUESTS_MAX >= URING_REQUESTS_RESERVED + COMPLETIONS_PER_TURN + BUFFERS_COUNT,
	      "a turn fits into the queue");

struct connection;

/* In the low bits of a request's user data, beside the pointer to its connection. */
enum operation {
	OPERATION_ACCEPT,
	OPERATION_RECEIVE,
	OPERATION_SEND,
	OPERATION_CANCEL,
	OPERATION_TIMER,
};
#define OPERATION_MASK 7ull /* what malloc() leaves free in a pointer, at least */

struct uring {
	struct io_uring ring;
	struct buffers buffers;
	struct admission admission;
	/* Connections that have bytes to be read when a buffer is free: a queue. */
	struct connection *hungry_first, *hungry_last;
	unsigned accepting; /* accept requests under way */
	bool is_cancelling; /* them */
	bool has_timer;	    /* for the end of a pause */
	struct __kernel_timespec pause;
};

/* A negative errno and, for the user, the reason. Only the calling thread may use it. */
int uring_open(struct uring *u, char ret_why[WHY_BYTES_MAX]);
void uring_close(struct uring *u);
/* Submits what was queued and waits for a completion. 0, also when the kernel could not take all of
 * it now; a negative errno when it never will. */
int uring_submit(struct uring *u);

/* How many more requests can be queued before the next uring_submit(). */
static inline unsigned uring_space(const struct uring *u)
{
	return io_uring_sq_space_left(&u->ring);
}

/* The next request, to be prepared and given to uring_label(); there must be space. */
struct io_uring_sqe *uring_request(struct uring *u);
/* After the preparation, which resets it. */
static inline void uring_label(struct io_uring_sqe *sqe, enum operation operation,
			       struct connection *c)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)c | operation);
}

#endif
