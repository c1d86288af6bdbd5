/* Model fork: a process for each connection, a child of the worker. */
#include "common/base/fail.h"
#include "common/base/list.h"
#include "echo/server/blocking.h"
#include "echo/server/intake.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct children {
	struct task_model model;
	const struct worker *worker;
	pid_t self;
};

/* Nothing here allocates or writes to memory of the worker: its pages stay shared. */
static _Noreturn void run(const struct children *c, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != c->self)
		_exit(EXIT_FAILED); /* the worker ended before we could ask to be told */
	close(c->worker->listener);
	close(c->worker->channel);
	close(c->model.fd);
	blocking_serve_take(fd, c->worker->counters);
	_exit(EXIT_DONE);
}

static int begin(struct task_model *model, int fd)
{
	struct children *c = container_of(model, struct children, model);
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		run(c, fd);
	close(fd);
	return 0;
}

static unsigned collect(struct task_model *model)
{
	struct children *c = container_of(model, struct children, model);
	struct signalfd_siginfo info;
	unsigned count = 0;
	int status;

	/* One signal may stand for many children. */
	while (read(model->fd, &info, sizeof(info)) > 0)
		;
	while (waitpid(-1, &status, WNOHANG) > 0) {
		count++;
		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE)
			continue;
		/* It could not count its own end. */
		counters_add(c->worker->counters, COUNTER_FAILED, 1);
		counters_subtract(c->worker->counters, COUNTER_OPEN, 1);
	}
	return count;
}

static int serve(struct worker *worker)
{
	struct children c = {.model = {.begin = begin, .collect = collect},
			     .worker = worker,
			     .self = getpid()};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	c.model.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return c.model.fd < 0 ? -errno : intake_run(worker, &c.model);
}

const struct model model_fork = {"fork", CAPACITY_FORKS, NULL, serve};
