/* Accepting or not: see gate.h. */
#include "echo/server/gate.h"

#include "common/base/clock.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Out of memory, or of the whole system's files: others must free some, and do not tell us. Short
 * for a client that waits, and ten attempts a second are no load. */
#define PAUSE_MS 100u

void gate_init(struct gate *g, const struct worker *worker)
{
	*g = (struct gate){.worker = worker, .limit = worker->capacity};
}

unsigned gate_room(struct gate *g)
{
	if (g->paused_until_us && clock_now_us() < g->paused_until_us)
		return 0;
	g->paused_until_us = 0;
	return g->held < g->limit ? g->limit - g->held : 0;
}

int gate_wait_ms(const struct gate *g)
{
	uint64_t now = g->paused_until_us ? clock_now_us() : 0;

	if (!g->paused_until_us)
		return -1;
	if (now >= g->paused_until_us)
		return 0;
	return (int)((g->paused_until_us - now + US_PER_MS - 1) / US_PER_MS);
}

static void tell(struct gate *g)
{
	bool is_full = g->held >= g->limit;
	char news = is_full ? WORKER_FULL : WORKER_ROOM;

	if (is_full == g->has_told_full)
		return;
	g->has_told_full = is_full;
	/* It cannot fail but by the supervisor's end, which is also ours. */
	while (send(g->worker->channel, &news, 1, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

void gate_enter(struct gate *g)
{
	g->held++;
	counters_add(g->worker->counters, COUNTER_ACCEPTED, 1);
	counters_add(g->worker->counters, COUNTER_OPEN, 1);
	tell(g);
}

void gate_leave(struct gate *g, unsigned count)
{
	if (count == 0)
		return;
	g->held -= count;
	/* What was out of descriptors may have some now; if not, accepting will tell. */
	g->limit = g->worker->capacity;
	counters_subtract(g->worker->counters, COUNTER_OPEN, count);
	tell(g);
}

static void pause_for_a_while(struct gate *g)
{
	g->paused_until_us = clock_now_us() + PAUSE_MS * US_PER_MS;
}

void gate_refuse(struct gate *g, int err)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
	case ECANCELED:
	case ECONNABORTED:
		return; /* that connection is gone, the next one may be well */
	case EMFILE:
		counters_add(g->worker->counters, COUNTER_NO_FILES, 1);
		if (g->held > 0) {
			g->limit = g->held;
			tell(g);
		} else {
			pause_for_a_while(g); /* nobody's end would make room */
		}
		return;
	case ENFILE:
		/* Another worker would not get one either: the supervisor is not told. */
		counters_add(g->worker->counters, COUNTER_NO_FILES, 1);
		pause_for_a_while(g);
		return;
	case ENOMEM:
	case ENOBUFS:
		counters_add(g->worker->counters, COUNTER_NO_MEMORY, 1);
		pause_for_a_while(g);
		return;
	default:
		/* accept(2) passes on errors of the network, too; a pause keeps those that stay
		 * from becoming a busy loop. */
		pause_for_a_while(g);
		return;
	}
}

void gate_abort(int fd)
{
	struct linger at_once = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}
