/* A worker whose connections have tasks: it connects, hands each connection to a new task, and then
 * passes the supervisor's orders on to all of them. */
#include "echo/client/task_worker.h"

#include "echo/client/dial.h"
#include "echo/common/process.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* How often we look for tasks that were killed. */
#define LOOK_MS 200

/* What we know of a task. */
struct seat {
	pid_t id;
	bool is_gone;
	_Atomic uint32_t seen; /* written by the task: see task.h */
};

struct task_worker {
	struct worker *worker;
	const struct task_kind *kind;
	struct dial dial;
	int done_fd;
	struct seat *seats; /* in shared memory, one for each of the quota */
	uint32_t count;	    /* that were begun */
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
static int connect_one(struct task_worker *t)
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

static int start_task(struct task_worker *t, int fd)
{
	struct seat *seat = &t->seats[t->count];
	struct task task = {.worker = t->worker,
			    .fd = fd,
			    .done_fd = t->done_fd,
			    .index = t->count,
			    .seen = &seat->seen,
			    .count = t->alive};
	int err;

	exchange_init(&task.exchange, worker_seed(t->worker, t->count));
	seat->seen = atomic_load(&t->worker->result->orders.number);
	err = t->kind->start(&task, &seat->id);
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
static void count_no_task(struct task_worker *t)
{
	tally(&t->worker->result->failed[CAUSE_NO_TASKS]);
	t->dial.stopped_by = CAUSE_NO_TASKS;
}

static uint32_t connect_all(struct task_worker *t, uint32_t quota)
{
	uint32_t tried = 0;

	while (tried < quota && dial_may(&t->dial)) {
		int fd = connect_one(t);

		if (fd < 0)
			tried += dial_failed(&t->dial, fd);
		else if (start_task(t, fd))
			count_no_task(t);
		else
			tried++;
	}
	return tried;
}

/* Room for all of a quota at once: what is not used is never touched. */
static void carry_out_connecting(struct task_worker *t, uint32_t quota)
{
	uint32_t tried = 0;

	t->seats = process_share(quota * sizeof(*t->seats));
	if (t->seats) {
		tried = connect_all(t, quota);
	} else {
		tally(&t->worker->result->failed[CAUSE_NO_MEMORY]);
		t->dial.stopped_by = CAUSE_NO_MEMORY;
	}
	worker_answer(t->worker, STAGE_CONNECT, dial_stopped_by(&t->dial, tried == quota));
}

/* A task that was killed is not waited for. */
static void count_lost(struct task_worker *t)
{
	pid_t id;

	while (t->kind->reap && (id = t->kind->reap()) > 0) {
		for (uint32_t i = 0; i < t->count; i++)
			t->seats[i].is_gone |= t->seats[i].id == id;
		atomic_fetch_sub(t->alive, 1);
		result_count(t->worker->result, OUTCOME_FAILED);
	}
}

/* Looked up task by task: one that was killed may have been counted before, or not. */
static bool are_all_through(const struct task_worker *t)
{
	uint32_t number = atomic_load(&t->worker->result->orders.number);

	for (uint32_t i = 0; i < t->count; i++)
		if (!t->seats[i].is_gone && atomic_load(&t->seats[i].seen) != number)
			return false;
	return true;
}

/* Until all are through or there is another order: the end. */
static bool wait_for_tasks(struct task_worker *t)
{
	struct pollfd fds[] = {{.fd = t->worker->channel, .events = POLLIN},
			       {.fd = t->done_fd, .events = POLLIN}};
	eventfd_t done;

	while (!are_all_through(t)) {
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

static void pass_on(struct task_worker *t, struct order order)
{
	orders_give(&t->worker->result->orders, order);
	if (wait_for_tasks(t))
		worker_answer(t->worker, order.stage, CAUSE_NONE);
}

static void obey(struct task_worker *t)
{
	for (;;) {
		struct order order = worker_receive(t->worker);

		switch (order.stage) {
		case STAGE_CONNECT:
			carry_out_connecting(t, order.count);
			break;
		case STAGE_VERIFY:
		case STAGE_RUN:
			pass_on(t, order);
			break;
		case STAGE_END:
			orders_give(&t->worker->result->orders, order);
			return;
		}
	}
}

int task_worker_run(struct worker *w, const struct task_kind *kind)
{
	struct task_worker t = {.worker = w,
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
