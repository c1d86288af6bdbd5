/* A worker whose connections have tasks: it connects, hands each connection to a new task, and then
 * passes the supervisor's orders on to all of them. */
#include "echo/client/tasks.h"

#include "echo/client/dial.h"
#include "echo/client/now.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* How often we look for tasks that were killed. */
#define LOOK_MS 200

struct tasks {
	struct worker *worker;
	const struct task_kind *kind;
	struct dial dial;
	int done_fd;
	uint32_t count; /* that were begun */
	_Atomic uint32_t *alive;
};

/* Connecting and receiving are given up after this; sending never waits. */
static void set_timeouts(int fd, uint64_t ms)
{
	const struct timeval wait = {.tv_sec = (time_t)(ms / 1000),
				     .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
}

/* Returns a connected socket or a negative errno. */
static int connect_one(struct tasks *t)
{
	const struct plan *plan = t->worker->plan;
	int fd = dial_open(&t->dial, 0), err;

	if (fd < 0)
		return fd;
	set_timeouts(fd, plan->timeout_ms);
	net_nodelay(fd);
	if (connect(fd, &plan->server.any, address_len(&plan->server)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int start_task(struct tasks *t, int fd)
{
	struct task task = {.worker = t->worker,
			    .fd = fd,
			    .done_fd = t->done_fd,
			    .index = t->count,
			    .seen = atomic_load(&t->worker->result->gate.number),
			    .count = t->alive};
	int err;

	exchange_init(&task.exchange, worker_seed(t->worker, t->count));
	err = t->kind->start(&task);
	if (err) {
		close(fd);
		return err;
	}
	t->count++;
	atomic_fetch_add(t->alive, 1);
	dial_succeeded(&t->dial);
	return 0;
}

/* Threads and processes that cannot be had give EAGAIN, which a socket gives for a timeout. */
static void count_no_task(struct tasks *t)
{
	tally(&t->worker->result->failed[CAUSE_NO_TASKS]);
	t->dial.stopped_by = CAUSE_NO_TASKS;
}

static void connect_all(struct tasks *t, uint32_t quota)
{
	uint32_t tried = 0;

	while (tried < quota && t->dial.stopped_by == CAUSE_NONE &&
	       !atomic_load(&t->worker->board->is_ending)) {
		int fd = connect_one(t);

		if (fd < 0)
			tried += dial_failed(&t->dial, fd);
		else if (start_task(t, fd))
			count_no_task(t);
		else
			tried++;
	}
	worker_answer(t->worker, STAGE_CONNECT, t->dial.stopped_by);
}

/* A task that was killed is not waited for. */
static void count_lost(struct tasks *t)
{
	uint32_t lost = t->kind->reap ? t->kind->reap() : 0;

	atomic_fetch_sub(t->alive, lost);
	for (; lost > 0; lost--)
		result_count(t->worker->result, OUTCOME_FAILED);
}

/* Until all are through or there is another order: the end. */
static bool wait_for_tasks(struct tasks *t)
{
	struct pollfd fds[] = {{.fd = t->worker->channel, .events = POLLIN},
			       {.fd = t->done_fd, .events = POLLIN}};
	eventfd_t done;

	while (atomic_load(&t->worker->result->gate.through) < atomic_load(t->alive)) {
		if (poll(fds, 2, LOOK_MS) < 0 && errno != EINTR)
			return false;
		if (fds[0].revents)
			return false;
		/* It may have been written late, for an earlier order. */
		if (fds[1].revents)
			eventfd_read(t->done_fd, &done);
		count_lost(t);
	}
	return true;
}

static void pass_on(struct tasks *t, struct order order)
{
	gate_open(&t->worker->result->gate, order);
	if (wait_for_tasks(t))
		worker_answer(t->worker, order.stage, CAUSE_NONE);
}

static void obey(struct tasks *t)
{
	for (;;) {
		struct order order = worker_receive(t->worker);

		switch (order.stage) {
		case STAGE_CONNECT:
			connect_all(t, order.count);
			break;
		case STAGE_VERIFY:
		case STAGE_RUN:
			pass_on(t, order);
			break;
		case STAGE_END:
			gate_open(&t->worker->result->gate, order);
			return;
		}
	}
}

int tasks_run(struct worker *w, const struct task_kind *kind)
{
	struct tasks t = {.worker = w,
			  .kind = kind,
			  .done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			  .alive = &w->result->tasks};

	if (t.done_fd < 0)
		return -errno;
	dial_init(&t.dial, w);
	obey(&t);
	if (kind->finish)
		kind->finish();
	close(t.done_fd);
	return 0;
}
