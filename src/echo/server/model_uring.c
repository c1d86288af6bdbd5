/* Model uring: all connections in one io_uring. This file is its loop and its accepting. */
#include "echo/server/uring.h"
#include "echo/server/uring_connection.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/minmax.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static void start_accept(struct uring *u)
{
	struct io_uring_sqe *sqe = uring_request(u);

	/* Not SOCK_NONBLOCK: the sending of what is left would not wait. */
	io_uring_prep_accept(sqe, u->admission.worker->listener, NULL, NULL, SOCK_CLOEXEC);
	uring_label(sqe, OPERATION_ACCEPT, NULL);
	u->accepting++;
}

/* The requests would take connections that another worker of this slot has room for. */
static void stop_accepting(struct uring *u)
{
	struct io_uring_sqe *sqe = uring_request(u);

	io_uring_prep_cancel64(sqe, OPERATION_ACCEPT, IORING_ASYNC_CANCEL_ALL);
	uring_label(sqe, OPERATION_CANCEL, NULL);
	u->is_cancelling = true;
}

static void wake_after(struct uring *u, int ms)
{
	struct io_uring_sqe *sqe = uring_request(u);

	u->pause =
		(struct __kernel_timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000ll};
	io_uring_prep_timeout(sqe, &u->pause, 0, 0);
	uring_label(sqe, OPERATION_TIMER, NULL);
	u->has_timer = true;
}

/* As many requests as there is room for connections. Needs URING_REQUESTS_RESERVED, but for what is
 * under way already. */
static void update_accepting(struct uring *u)
{
	unsigned room = min_u32(admission_room(&u->admission), URING_ACCEPTING_MAX);
	int wait_ms = admission_wait_ms(&u->admission);

	if (wait_ms >= 0 && !u->has_timer)
		wake_after(u, wait_ms);
	if (u->is_cancelling)
		return;
	if (room == 0 && u->accepting > 0)
		stop_accepting(u);
	while (u->accepting < room)
		start_accept(u);
}

static void on_accept(struct uring *u, int res)
{
	u->accepting--;
	if (res >= 0)
		connection_begin_take(u, res);
	else
		admission_refuse(&u->admission, -res);
}

static void on_completion(struct uring *u, const struct io_uring_cqe *cqe)
{
	uint64_t data = io_uring_cqe_get_data64(cqe);
	struct connection *c = (struct connection *)(uintptr_t)(data & ~OPERATION_MASK);

	switch ((enum operation)(data & OPERATION_MASK)) {
	case OPERATION_ACCEPT:
		on_accept(u, cqe->res);
		break;
	case OPERATION_RECEIVE:
		connection_on_receive(u, c, cqe);
		break;
	case OPERATION_SEND:
		connection_on_send(u, c, cqe);
		break;
	case OPERATION_CANCEL:
		u->is_cancelling = false;
		break;
	case OPERATION_TIMER:
		u->has_timer = false;
		break;
	}
}

/* As many as the queue has space for what they ask for: the rest waits for the next turn. */
static void complete(struct uring *u)
{
	unsigned space = uring_space(u);
	unsigned most = space > URING_REQUESTS_RESERVED
				? min_u32(space - URING_REQUESTS_RESERVED, COMPLETIONS_PER_TURN)
				: 0;
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		if (count == most)
			break;
		on_completion(u, cqe);
		count++;
	}
	io_uring_cq_advance(&u->ring, count);
}

static int run(struct uring *u)
{
	int err = 0;

	while (err == 0) {
		if (uring_space(u) >= URING_REQUESTS_RESERVED)
			update_accepting(u);
		connection_feed(u);
		err = uring_submit(u);
		complete(u);
	}
	return err;
}

static int serve(struct worker *worker)
{
	char why[WHY_BYTES_MAX];
	struct uring *u = malloc(sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	err = uring_open(u, why);
	if (err == 0) {
		admission_init(&u->admission, worker);
		err = run(u);
		uring_close(u);
	} else {
		log_error("%s", why);
	}
	free(u);
	return err;
}

static int probe(char ret_why[WHY_BYTES_MAX])
{
	struct uring u;

	if (uring_open(&u, ret_why))
		return -EINVAL;
	uring_close(&u);
	return 0;
}

const struct model model_uring = {"uring", CAPACITY_FILES, probe, serve};
