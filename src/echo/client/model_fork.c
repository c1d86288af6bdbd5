/* A process for each connection. The worker keeps no descriptor of it. */
#include "echo/client/now.h"
#include "echo/client/tasks.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is in the middle of something at the end may take so long; then it is killed. */
#define FINISH_WAIT_NS (2 * NS_PER_S)
#define FINISH_LOOK_US 2000u

static int start_process(struct task *t)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0) {
		close(t->fd);
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

/* The number of processes that ended; before STAGE_END none should. */
static uint32_t reap(void)
{
	uint32_t count = 0;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		count++;
	return count;
}

/* Our own end kills those that remain (PR_SET_PDEATHSIG), but then nobody would have waited for the
 * others. */
static void finish(void)
{
	uint64_t until = now_ns() + FINISH_WAIT_NS;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && now_ns() < until)
		if (pid == 0)
			usleep(FINISH_LOOK_US);
}

int model_fork_run(struct worker *w)
{
	static const struct task_kind kind = {.start = start_process,
					      .reap = reap,
					      .finish = finish};

	return tasks_run(w, &kind);
}
