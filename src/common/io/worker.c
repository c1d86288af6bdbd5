/* A worker's loop, its inbox and its turn: see worker.h. The end of a turn is a uv_prepare
 * callback, which libuv runs right before it sleeps; own handles do not keep the loop alive, but
 * for the inbox until worker_stop. */
#include "common/io/worker.h"

#include "common/base/clock.h"

#include <assert.h>

static void run_inbox(struct worker *w)
{
	struct list batch;
	struct list *node;

	/* `batch` takes the place of the inbox in its ring of messages. */
	pthread_mutex_lock(&w->lock);
	list_insert_after(&w->inbox, &batch);
	list_remove(&w->inbox);
	pthread_mutex_unlock(&w->lock);

	while ((node = list_pop_front(&batch))) {
		struct message *m = container_of(node, struct message, node);

		m->run(w, m);
	}
}

static void on_wake(uv_async_t *wake)
{
	run_inbox(wake->data);
}

static bool run_phase(struct worker *w, enum turn_phase phase)
{
	struct list *node;
	bool has_run = false;

	while ((node = list_pop_front(&w->phases[phase]))) {
		struct deferred *d = container_of(node, struct deferred, node);

		d->run(d);
		has_run = true;
	}
	return has_run;
}

static void run_phases(struct worker *w)
{
	bool has_run;

	do {
		has_run = run_phase(w, TURN_DELIVER);
		has_run |= run_phase(w, TURN_RUN);
		has_run |= run_phase(w, TURN_FLUSH);
	} while (has_run);
}

static void on_turn_end(uv_prepare_t *turn_end)
{
	struct worker *w = turn_end->data;

	run_phases(w);
	worker_forget_now(w); /* the loop sleeps now */
}

/* After the sockets' callbacks, before the timers'. */
static void on_turn_start(uv_check_t *turn_start)
{
	worker_forget_now(turn_start->data);
}

int worker_init(struct worker *w, uint32_t index, void *user)
{
	int err;

	*w = (struct worker){.index = index, .user = user};
	err = -pthread_mutex_init(&w->lock, NULL);
	if (err)
		return err;
	err = uv_loop_init(&w->loop);
	if (err)
		goto out_lock;
	err = uv_async_init(&w->loop, &w->wake, on_wake);
	if (err)
		goto out_loop;
	uv_prepare_init(&w->loop, &w->turn_end);
	uv_check_init(&w->loop, &w->turn_start);
	w->wake.data = w->turn_end.data = w->turn_start.data = w;
	uv_prepare_start(&w->turn_end, on_turn_end);
	uv_check_start(&w->turn_start, on_turn_start);
	uv_unref((uv_handle_t *)&w->turn_end);
	uv_unref((uv_handle_t *)&w->turn_start);
	list_init(&w->inbox);
	for (int i = 0; i < TURN_PHASES; i++)
		list_init(&w->phases[i]);
	return 0;

out_loop:
	uv_loop_close(&w->loop);
out_lock:
	pthread_mutex_destroy(&w->lock);
	return err;
}

/* Until nothing but the worker's own handles is left; then closes these. */
static void run_to_end(struct worker *w)
{
	do {
		uv_run(&w->loop, UV_RUN_DEFAULT);
		/* What the very last callbacks put off; libuv does not call us for it. */
		run_inbox(w);
		run_phases(w);
	} while (uv_loop_alive(&w->loop));

	uv_close((uv_handle_t *)&w->wake, NULL);
	uv_close((uv_handle_t *)&w->turn_end, NULL);
	uv_close((uv_handle_t *)&w->turn_start, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	chunk_unref(w->rx);
	w->rx = NULL;
}

static void *thread_main(void *arg)
{
	run_to_end(arg);
	return NULL;
}

int worker_start(struct worker *w)
{
	int err = -pthread_create(&w->thread, NULL, thread_main, w);

	w->has_thread = !err;
	return err;
}

void worker_post(struct worker *w, struct message *m)
{
	pthread_mutex_lock(&w->lock);
	list_push_back(&w->inbox, &m->node);
	pthread_mutex_unlock(&w->lock);
	uv_async_send(&w->wake);
}

void worker_stop(struct worker *w)
{
	uv_unref((uv_handle_t *)&w->wake);
}

void worker_join(struct worker *w)
{
	int err;

	if (w->has_thread) {
		pthread_join(w->thread, NULL);
	} else {
		worker_stop(w);
		run_to_end(w);
	}
	err = uv_loop_close(&w->loop);
	assert(!err);
	(void)err;
	pthread_mutex_destroy(&w->lock);
}

void worker_defer(struct worker *w, enum turn_phase phase, struct deferred *d)
{
	if (!list_is_linked(&d->node))
		list_push_back(&w->phases[phase], &d->node);
}

void deferred_init(struct deferred *d, void (*run)(struct deferred *))
{
	list_init(&d->node);
	d->run = run;
}

void deferred_cancel(struct deferred *d)
{
	list_remove(&d->node);
}

uint64_t worker_now(struct worker *w)
{
	if (!w->now_us)
		w->now_us = clock_now_us();
	return w->now_us;
}
