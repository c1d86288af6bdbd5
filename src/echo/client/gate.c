/* A futex, which unlike a condition variable wakes 20,000 processes without a lock for each. */
#include "echo/client/gate.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Messages under way at the same time while connections are verified: enough to keep processors
 * busy, and not so many that the last one's timeout passes while it waits for the others. */
#define TURNS 256u

int gate_init(struct gate *g)
{
	return sem_init(&g->turns, 1, TURNS) < 0 ? -errno : 0;
}

void gate_open(struct gate *g, struct order order)
{
	atomic_store(&g->through, 0);
	atomic_store(&g->order, (uint64_t)order.stage << 32 | order.count);
	atomic_fetch_add(&g->number, 1);
	syscall(SYS_futex, &g->number, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

uint32_t gate_wait(struct gate *g, uint32_t seen, struct order *ret)
{
	uint32_t number;
	uint64_t order;

	while ((number = atomic_load(&g->number)) == seen)
		syscall(SYS_futex, &g->number, FUTEX_WAIT, seen, NULL, NULL, 0);
	order = atomic_load(&g->order);
	*ret = (struct order){(enum stage)(order >> 32), (uint32_t)order};
	return number;
}

uint32_t gate_leave(struct gate *g)
{
	return atomic_fetch_add(&g->through, 1) + 1;
}

void gate_take_turn(struct gate *g)
{
	while (sem_wait(&g->turns) < 0 && errno == EINTR)
		continue;
}

void gate_give_turn(struct gate *g)
{
	sem_post(&g->turns);
}
