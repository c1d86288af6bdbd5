/* accept(2) in one thread, for tasks that block: see intake.h. */
#include "echo/server/intake.h"

#include "echo/server/gate.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

static void hand_over(struct gate *g, struct tasks *tasks, int fd)
{
	gate_enter(g);
	if (tasks->begin(tasks, fd) == 0)
		return;
	counters_add(g->worker->counters, COUNTER_NO_TASKS, 1);
	gate_abort(fd);
	gate_leave(g, 1);
}

/* Not more than a bounded number, so that the room of those that have ended is seen. */
static void accept_some(struct gate *g, struct tasks *tasks)
{
	for (unsigned i = 0; i < ACCEPTS_MAX && gate_room(g) > 0; i++) {
		int fd = accept4(g->worker->listener, NULL, NULL, SOCK_CLOEXEC);
		int err = errno;

		if (fd >= 0) {
			hand_over(g, tasks, fd);
			continue;
		}
		gate_refuse(g, err);
		if (err == EAGAIN)
			return;
	}
}

int intake_run(const struct worker *worker, struct tasks *tasks)
{
	struct gate gate;

	gate_init(&gate, worker);
	for (;;) {
		struct pollfd fds[] = {
			{.fd = gate_room(&gate) > 0 ? worker->listener : -1, .events = POLLIN},
			{.fd = tasks->fd, .events = POLLIN},
		};

		if (poll(fds, 2, gate_wait_ms(&gate)) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (fds[1].revents)
			gate_leave(&gate, tasks->collect(tasks));
		if (fds[0].revents)
			accept_some(&gate, tasks);
	}
}
