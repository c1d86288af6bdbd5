/* Tasks that wait: see pending.h. */
#include "common/module/pending.h"

#include "common/base/clock.h"
#include "common/base/limits.h"

#include <assert.h>

static void look(struct pending *p, bool is_late)
{
	struct task *task = p->task;
	json_t *result = p->check(p->user, is_late);

	assert(result || !is_late);
	if (!result)
		return;
	p->task = NULL;
	uv_timer_stop(&p->timer);
	task_done(task, result);
}

static void on_tick(uv_timer_t *timer)
{
	pending_look(timer->data);
}

void pending_open(struct pending *p, struct worker *w, pending_check *check, void *user)
{
	*p = (struct pending){.worker = w, .check = check, .user = user};
	uv_timer_init(&w->loop, &p->timer);
	p->timer.data = p;
}

void pending_begin(struct pending *p, struct task *task, uint64_t wait_ms)
{
	assert(!p->task);
	p->task = task;
	p->until_us = worker_now(p->worker) + wait_ms * US_PER_MS;
	uv_timer_start(&p->timer, on_tick, 0, TICK_MS);
}

void pending_look(struct pending *p)
{
	if (p->task)
		look(p, worker_now(p->worker) >= p->until_us);
}

void pending_close(struct pending *p)
{
	if (p->task)
		look(p, true);
	uv_close((uv_handle_t *)&p->timer, NULL);
}
