/* Orders in, answers out; the model does what is between. */
#include "echo/client/worker.h"

#include "common/base/files.h"
#include "echo/common/process.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

/* Of the numbers, not of the bytes: pattern_at() has PATTERN_BYTES (65,537) streams, so that of a
 * million connections some 15 have the same one. Those that are made one after the other never
 * have. */
_Static_assert((uint64_t)PLAN_WORKERS_MAX *PLAN_WORKER_NUMBERS <= UINT32_MAX, "all numbers differ");

int worker_run(struct worker *w)
{
	/* The supervisor ends us; a terminal's Ctrl-C and timeout(1) tell the whole group. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	files_raise_limit();
	switch (w->plan->model) {
	case MODEL_THREAD:
		return model_thread_run(w);
	case MODEL_FORK:
		return model_fork_run(w);
	case MODEL_EVENT:
		return model_event_run(w);
	}
	return -EINVAL;
}

uint32_t worker_seed(const struct worker *w, uint32_t index)
{
	return w->index * PLAN_WORKER_NUMBERS + index;
}

struct order worker_receive(const struct worker *w)
{
	struct order order;
	ssize_t n;

	do
		n = recv(w->channel, &order, sizeof(order), 0);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(order) ? order : (struct order){.stage = STAGE_END};
}

void worker_answer(const struct worker *w, enum stage stage, enum cause cause)
{
	const struct answer answer = {stage, cause};

	/* When it fails the supervisor is gone, and worker_receive() will say so. */
	(void)!send(w->channel, &answer, sizeof(answer), MSG_NOSIGNAL);
}
