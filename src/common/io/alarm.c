/* Microsecond timers: see alarm.h. */
#include "common/io/alarm.h"

#include "common/base/clock.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct alarm *a = container_of(poll, struct alarm, poll);
	uint64_t rings;

	(void)status;
	(void)events;
	if (read(a->fd, &rings, sizeof(rings)) < 0)
		return;
	a->at_us = NEVER_US;
	a->rings(a);
}

void alarm_open(struct alarm *a, struct worker *w, void (*rings)(struct alarm *a))
{
	*a = (struct alarm){.at_us = NEVER_US, .rings = rings};
	a->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (a->fd < 0 || uv_poll_init(&w->loop, &a->poll, a->fd) < 0)
		abort();
	uv_poll_start(&a->poll, UV_READABLE, on_readable);
}

void alarm_set(struct alarm *a, uint64_t at_us)
{
	struct itimerspec spec = {0};

	if (at_us >= a->at_us)
		return;
	a->at_us = at_us;
	spec.it_value.tv_sec = (time_t)(at_us / US_PER_S);
	spec.it_value.tv_nsec = (long)(at_us % US_PER_S * 1000) + 1; /* 0 would disarm it */
	timerfd_settime(a->fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void on_closed(uv_handle_t *handle)
{
	struct alarm *a = container_of((uv_poll_t *)handle, struct alarm, poll);

	a->closed(a);
}

void alarm_close(struct alarm *a, void (*closed)(struct alarm *a))
{
	a->closed = closed;
	uv_close((uv_handle_t *)&a->poll, on_closed);
	close(a->fd);
}
