/* Model thread: a thread for each connection, with a stack as small as it can be. */
#include "common/base/list.h"
#include "echo/server/blocking.h"
#include "echo/server/intake.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#ifndef __has_feature /* clang's way to say it; gcc before 14 has only the macros */
#define __has_feature(name) 0
#endif
/* What a sanitizer's frames and thread state need more than ours. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_EXTRA_BYTES (1024u * 1024)
#else
#define STACK_EXTRA_BYTES 0u
#endif
/* Of a page on every machine that we know; stacks are made of whole ones. */
#define PAGE_BYTES 4096u

struct seat;

struct threads {
	struct tasks tasks;
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
	int bell = t->tasks.fd;
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

	blocking_echo(seat->fd, seat->threads->counters);
	close(seat->fd);
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

static int begin(struct tasks *tasks, int fd)
{
	struct threads *t = container_of(tasks, struct threads, tasks);
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

static unsigned collect(struct tasks *tasks)
{
	struct threads *t = container_of(tasks, struct threads, tasks);
	struct seat *seat, *next;
	unsigned count = 0;
	uint64_t rings;

	if (read(tasks->fd, &rings, sizeof(rings)) < 0)
		return 0;
	seat = atomic_exchange_explicit(&t->left, NULL, memory_order_acquire);
	for (; seat; seat = next, count++) {
		next = seat->next;
		give_seat(t, seat);
	}
	return count;
}

/* The C library's own part, with what signals and thread-local data need, and the buffer. */
static size_t stack_bytes(void)
{
	long least = sysconf(_SC_THREAD_STACK_MIN);
	size_t bytes = (least > 0 ? (size_t)least : PTHREAD_STACK_MIN) + BLOCKING_BUFFER_BYTES +
		       STACK_EXTRA_BYTES;

	return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static int serve(struct worker *worker)
{
	struct threads t = {.tasks = {eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), begin, collect},
			    .counters = worker->counters};
	int err;

	if (t.tasks.fd < 0)
		return -errno;
	err = pthread_attr_init(&t.attr);
	if (err == 0)
		err = pthread_attr_setdetachstate(&t.attr, PTHREAD_CREATE_DETACHED);
	if (err == 0)
		err = pthread_attr_setstacksize(&t.attr, stack_bytes());
	return err ? -err : intake_run(worker, &t.tasks);
}

const struct model model_thread = {"thread", NULL, serve};
