/* What the sink needs before it is ready: sockets, joined, and all of them watched. */
#include "common/base/files.h"
#include "mcast/sink/join.h"
#include "mcast/sink/sink.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* `flow` NULL: the signals. */
static int watch(struct sink *s, int fd, struct flow *flow)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = flow};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int watch_signals(struct sink *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return s->signal_fd < 0 ? -errno : watch(s, s->signal_fd, NULL);
}

static int open_flows(struct sink *s, char ret_why[WHY_BYTES_MAX])
{
	int err;

	for (uint32_t i = 0; i < s->plan->streams.count; i++) {
		flow_init(&s->flows[i]);
		err = join_open(s->plan, i, &s->flows[i].fd, ret_why);
		if (err)
			return err;
		s->opened = i + 1;
		err = watch(s, s->flows[i].fd, &s->flows[i]);
		if (err)
			return fail_why(ret_why, "epoll: %s", strerror(-err));
	}
	return 0;
}

int sink_open(struct sink *s, const struct plan *plan, char ret_why[WHY_BYTES_MAX])
{
	int err;

	*s = (struct sink){.plan = plan, .signal_fd = -1};
	files_raise_limit();
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->flows = calloc(plan->streams.count, sizeof(*s->flows));
	s->intake = calloc(1, sizeof(*s->intake));
	if (!s->flows || !s->intake)
		return fail_why(ret_why, "%s", strerror(ENOMEM));
	err = intake_init(s->intake, plan->is_rtp, plan->payload, ret_why);
	if (err)
		return err;
	err = s->epoll_fd < 0 ? -errno : watch_signals(s);
	if (err)
		return fail_why(ret_why, "signals: %s", strerror(-err));
	return open_flows(s, ret_why);
}

void sink_close(struct sink *s)
{
	for (uint32_t i = 0; i < s->opened; i++)
		close(s->flows[i].fd);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->intake)
		intake_done(s->intake);
	free(s->intake);
	free(s->flows);
}
