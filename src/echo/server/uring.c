/* Setting an io_uring up, and submitting: see uring.h. */
#include "echo/server/uring.h"

#include "common/base/fail.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

/* Completions that may wait: with 20,000 connections many come together. More are kept by the
 * kernel in a list, which costs it an allocation each. */
#define COMPLETIONS_WAITING_MAX (64u * COMPLETIONS_PER_TURN)
/* The kernel has no memory for a request: others must free some. */
#define SUBMIT_RETRY_NS 1000000

/* The best first: completions are made when we wait for them and not in between (6.1), or without
 * an interrupt of this thread (5.19). */
static int open_ring(struct io_uring *ring)
{
	static const unsigned flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int err = -EINVAL;

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags) && err == -EINVAL; i++) {
		struct io_uring_params params = {.flags = flags[i] | IORING_SETUP_CQSIZE,
						 .cq_entries = COMPLETIONS_WAITING_MAX};

		err = io_uring_queue_init_params(URING_REQUESTS_MAX, ring, &params);
	}
	return err;
}

int uring_open(struct uring *u, char ret_why[WHY_BYTES_MAX])
{
	int err;

	*u = (struct uring){0};
	err = open_ring(&u->ring);
	if (err) {
		fail_why(ret_why, "no io_uring: %s%s", strerror(-err),
			 err == -EPERM ? " (kernel.io_uring_disabled, or a sandbox)" : "");
		return err;
	}
	err = buffers_init(&u->buffers, &u->ring);
	if (err) {
		fail_why(ret_why, "no ring of buffers for io_uring: %s%s", strerror(-err),
			 err == -EINVAL ? " (Linux 5.19 is the first to have it)" : "");
		uring_close(u);
		return err;
	}
	io_uring_register_ring_fd(&u->ring); /* each call is a little cheaper; it works without */
	return 0;
}

void uring_close(struct uring *u)
{
	io_uring_queue_exit(&u->ring);
	buffers_done(&u->buffers);
}

int uring_submit(struct uring *u)
{
	const struct timespec rest = {.tv_nsec = SUBMIT_RETRY_NS};
	int n = io_uring_submit_and_wait(&u->ring, 1);

	switch (-n) {
	case EAGAIN:
	case ENOMEM:
		counters_add(u->admission.worker->counters, COUNTER_NO_MEMORY, 1);
		nanosleep(&rest, NULL);
		return 0;
	case EBUSY: /* completions wait to be taken first */
	case EINTR:
		return 0;
	default:
		return n < 0 ? n : 0;
	}
}

struct io_uring_sqe *uring_request(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	assert(sqe); /* callers look at uring_space() */
	return sqe;
}
