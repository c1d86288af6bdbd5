/* Watching a subflow for a stall (stall.h): a timer that runs only while bytes are outstanding,
 * and one system call each time it fires. A uv_timer will do: it is set a hundred times a second
 * at most (see alarm.h). */
#include "common/io/subflow_internal.h"

#include "common/base/limits.h"
#include "common/io/tcpinfo.h"

static void on_look(uv_timer_t *timer)
{
	struct subflow *s = timer->data;
	bool was_stalled = s->stall.is_stalled;
	struct stall_look look;
	uint32_t wait_ms;

	if (tcpinfo_look(s->conn.fd, &look) < 0)
		return;
	look.now_us = worker_now(s->worker);
	s->base_rtt_us = look.base_rtt_us;
	wait_ms = stall_look(&s->stall, &look);
	if (wait_ms > 0)
		uv_timer_start(timer, on_look, wait_ms, 0);
	if (s->stall.is_stalled != was_stalled && s->ops->stalled)
		s->ops->stalled(s, s->stall.is_stalled);
}

void subflow_watch(struct subflow *s)
{
	if (uv_is_active((uv_handle_t *)&s->look) || s->state == SUBFLOW_ENDING)
		return;
	stall_begin(&s->stall, worker_now(s->worker));
	uv_timer_start(&s->look, on_look, SUBFLOW_LOOK_MS, 0);
}
