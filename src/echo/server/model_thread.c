/* Model thread: a thread for each connection, with a stack as small as it can be. */
#include "common/base/list.h"
#include "echo/common/stack.h"
#include "echo/server/blocking.h"
#include "echo/server/intake.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct seat;

struct threads {
	struct task_model model;
	struct counters *counters;
	pthread_attr_t attr;
	_Atomic(struct seat *) left; /* seats of threads that have ended: pushed by them */
	struct seat *spare;
};

/* A thread's connection. The threads themselves neither allocate nor free: the C library would
 * give each of them a cache for it. */
struct seat {
	struct threads *threads;
	struct seat *next;
	int fd;
};

/* The seat is the accepting thread's again, which is woken: it may be waiting for room. */
static void leave(struct seat *seat)
{
	struct threads *t = seat->threads;
	int bell = t->model.fd;
	uint64_t one = 1;

	seat->next = atomic_load_explicit(&t->left, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&t->left, &seat->next, seat,
						      memory_order_release, memory_order_relaxed))
		;
	if (write(bell, &one, sizeof(one)) < 0)
		return; /* its count is at the end of 64 bits: it is readable anyway */
}

static void *run(void *arg)
{
	struct seat *seat = arg;

	blocking_serve_take(seat->fd, seat->threads->counters);
	leave(seat);
	return NULL;
}

static struct seat *take_seat(struct threads *t)
{
	struct seat *seat = t->spare;

	if (!seat)
		return malloc(sizeof(*seat));
	t->spare = seat->next;
	return seat;
}

static void give_seat(struct threads *t, struct seat *seat)
{
	seat->next = t->spare;
	t->spare = seat;
}

static int begin(struct task_model *model, int fd)
{
	struct threads *t = container_of(model, struct threads, model);
	struct seat *seat = take_seat(t);
	pthread_t thread;
	int err;

	if (!seat)
		return -ENOMEM;
	*seat = (struct seat){.threads = t, .fd = fd};
	err = pthread_create(&thread, &t->attr, run, seat);
	if (err)
		give_seat(t, seat);
	return -err;
}

static unsigned collect(struct task_model *model)
{
	struct threads *t = container_of(model, struct threads, model);
	struct seat *seat, *next;
	unsigned count = 0;
	uint64_t rings;

	if (read(model->fd, &rings, sizeof(rings)) < 0)
		return 0;
	seat = atomic_exchange_explicit(&t->left, NULL, memory_order_acquire);
	for (; seat; seat = next, count++) {
		next = seat->next;
		give_seat(t, seat);
	}
	return count;
}

static int serve(struct worker *worker)
{
	struct threads t = {.model = {eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), begin, collect},
			    .counters = worker->counters};
	int err;

	if (t.model.fd < 0)
		return -errno;
	err = stack_attr_init(&t.attr, BLOCKING_BUFFER_BYTES);
	return err ? err : intake_run(worker, &t.model);
}

const struct model model_thread = {"thread", CAPACITY_THREADS, NULL, serve};
