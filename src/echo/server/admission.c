/* Accepting or not: see admission.h. */
#include "echo/server/admission.h"

#include "common/base/clock.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Out of memory, or of the whole system's files: others must free some, and do not tell us. Short
 * for a client that waits, and ten attempts a second are no load. */
#define PAUSE_MS 100u

void admission_init(struct admission *a, const struct worker *worker)
{
	*a = (struct admission){.worker = worker, .limit = worker->capacity};
}

static bool is_full(const struct admission *a)
{
	return a->held >= a->limit;
}

/* Never waits: a supervisor that is held up does not hold its workers up. What it could not be
 * told is tried again. */
static void tell(struct admission *a)
{
	char news = is_full(a) ? WORKER_FULL : WORKER_ROOM;

	if (is_full(a) == a->has_told_full)
		return;
	if (send(a->worker->channel, &news, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		a->has_told_full = is_full(a);
}

unsigned admission_room(struct admission *a)
{
	tell(a);
	if (a->paused_until_us && clock_now_us() < a->paused_until_us)
		return 0;
	a->paused_until_us = 0;
	return is_full(a) ? 0 : a->limit - a->held;
}

int admission_wait_ms(const struct admission *a)
{
	uint64_t now = a->paused_until_us ? clock_now_us() : 0;

	if (!a->paused_until_us)
		return is_full(a) == a->has_told_full ? -1 : (int)PAUSE_MS;
	if (now >= a->paused_until_us)
		return 0;
	return (int)((a->paused_until_us - now + US_PER_MS - 1) / US_PER_MS);
}

static void add_one(struct admission *a, enum counter counter)
{
	counters_add(a->worker->counters, counter, 1);
}

void admission_enter(struct admission *a)
{
	a->held++;
	add_one(a, COUNTER_ACCEPTED);
	add_one(a, COUNTER_OPEN);
	tell(a);
}

void admission_leave(struct admission *a)
{
	counters_subtract(a->worker->counters, COUNTER_OPEN, 1);
	admission_vacate(a, 1);
}

void admission_vacate(struct admission *a, unsigned count)
{
	if (count == 0)
		return;
	a->held -= count;
	/* What ran out may be there again; if not, accepting will tell. */
	a->limit = a->worker->capacity;
	tell(a);
}

static void pause_for_a_while(struct admission *a)
{
	a->paused_until_us = clock_now_us() + PAUSE_MS * US_PER_MS;
}

/* No more fit into this process: others take over until one of ours ends. */
static void become_full(struct admission *a)
{
	if (a->held > 0) {
		a->limit = a->held;
		tell(a);
	} else {
		pause_for_a_while(a); /* nobody's end would make room */
	}
}

void admission_refuse(struct admission *a, int err)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
	case ECANCELED:
	case ECONNABORTED:
		return; /* that connection is gone, the next one may be well */
	case EINVAL:	/* the listener was shut down: the server is ending */
		pause_for_a_while(a);
		return;
	case EMFILE:
		add_one(a, COUNTER_NO_FILES);
		become_full(a);
		return;
	case ENFILE:
		/* Another worker would not get one either: the supervisor is not told. */
		add_one(a, COUNTER_NO_FILES);
		pause_for_a_while(a);
		return;
	case ENOMEM:
	case ENOBUFS:
		add_one(a, COUNTER_NO_MEMORY);
		pause_for_a_while(a);
		return;
	default:
		/* accept(2) passes on errors of the network, too; a pause keeps those that stay
		 * from becoming a busy loop. */
		add_one(a, COUNTER_FAILED);
		pause_for_a_while(a);
		return;
	}
}

void admission_lack_task(struct admission *a, int err)
{
	if (err == ENOMEM) {
		add_one(a, COUNTER_NO_MEMORY);
		pause_for_a_while(a);
	} else {
		add_one(a, COUNTER_NO_TASKS);
		/* With none of our own it is the whole system's limit, and no end of ours would
		 * make room: who comes is turned away and does not wait. */
		if (a->held > 0)
			become_full(a);
	}
}

void admission_abort(int fd)
{
	struct linger at_once = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}
