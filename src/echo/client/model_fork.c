/* A process for each connection. The worker keeps no descriptor of it. */
#include "common/base/clock.h"
#include "echo/client/task_worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is in the middle of something at the end may take so long; then it is killed. */
#define FINISH_WAIT_NS (2 * NS_PER_S)
#define FINISH_LOOK_US 2000u

static int start_process(struct task *t, pid_t *ret_id)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0) {
		close(t->fd);
		*ret_id = pid;
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1); /* it ended before we could ask to be told */
	/* The supervisor sees by its end that the worker is gone. */
	close(t->worker->channel);
	task_main(t);
	_exit(0);
}

/* Before STAGE_END none should end. */
static pid_t reap(void)
{
	return waitpid(-1, NULL, WNOHANG);
}

/* Our own end kills those that remain (PR_SET_PDEATHSIG), but then nobody would have waited for the
 * others. */
static void finish(void)
{
	uint64_t until = clock_now_ns() + FINISH_WAIT_NS;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && clock_now_ns() < until)
		if (pid == 0)
			usleep(FINISH_LOOK_US);
}

int model_fork_run(struct worker *w)
{
	static const struct task_kind kind = {.start = start_process,
					      .reap = reap,
					      .finish = finish};

	return task_worker_run(w, &kind);
}
