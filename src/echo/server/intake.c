/* accept(2) in one thread, for tasks that block: see intake.h. */
#include "echo/server/intake.h"

#include "echo/server/admission.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

static void hand_over(struct admission *a, struct task_model *model, int fd)
{
	int err;

	admission_enter(a);
	err = model->begin(model, fd);
	if (err == 0)
		return;
	admission_abort(fd);
	admission_leave(a);
	admission_lack_task(a, -err);
}

/* Not more than a bounded number, so that the room of those that have ended is seen. */
static void accept_some(struct admission *a, struct task_model *model)
{
	for (unsigned i = 0; i < ACCEPTS_MAX && admission_room(a) > 0; i++) {
		int fd = accept4(a->worker->listener, NULL, NULL, SOCK_CLOEXEC);
		int err = errno;

		if (fd >= 0) {
			hand_over(a, model, fd);
			continue;
		}
		admission_refuse(a, err);
		if (err == EAGAIN)
			return;
	}
}

int intake_run(const struct worker *worker, struct task_model *model)
{
	struct admission admission;

	admission_init(&admission, worker);
	for (;;) {
		struct pollfd fds[] = {
			{.fd = admission_room(&admission) > 0 ? worker->listener : -1,
			 .events = POLLIN},
			{.fd = model->fd, .events = POLLIN},
		};

		if (poll(fds, 2, admission_wait_ms(&admission)) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (fds[1].revents)
			admission_vacate(&admission, model->collect(model));
		if (fds[0].revents)
			accept_some(&admission, model);
	}
}
