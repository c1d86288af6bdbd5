/* The loop of a worker of the event model, and its orders: see model_event.h. */
#include "echo/client/model_event.h"

#include "common/base/clock.h"
#include "common/base/minmax.h"
#include "echo/client/sample.h"

#include <errno.h>
#include <stdlib.h>

/* Connections that are being made at the same time: enough to keep a server busy, few enough for
 * any accept queue. */
#define CONNECTING_MAX 64u
/* Messages under way while connections are verified: the tasks' TURNS. */
#define VERIFYING_MAX 256u
/* Timeouts and the end of a run with nothing under way are noticed so late. */
#define LOOK_MS 100

static void answer(struct event *e, enum cause cause)
{
	e->is_working = false;
	worker_answer(e->worker, e->stage, cause);
}

static void connect_more(struct event *e)
{
	while (e->under_way < CONNECTING_MAX && e->tried + e->under_way < e->quota &&
	       dial_may(&e->dial))
		client_connect(e);
	if (e->under_way == 0)
		answer(e, dial_stopped_by(&e->dial, e->tried == e->quota));
}

static void verify_more(struct event *e)
{
	while (e->under_way < VERIFYING_MAX && e->looked_at < e->client_count) {
		struct client *c = &e->clients[e->looked_at++];

		if (c->state == CLIENT_QUIET && sample_has(e->passed++, e->held, e->sample))
			client_begin(c, e->worker->plan->sizes[0], 1, 1);
	}
	if (e->under_way == 0)
		answer(e, CAUSE_NONE);
}

static void finish_running(struct event *e)
{
	if (e->under_way > 0)
		return;
	result_measured(e->worker->result, e->size_index, &e->measured);
	answer(e, CAUSE_NONE);
}

void event_step(struct event *e)
{
	/* What it begins may fail at once, and call it again: thousands of times, one in the other.
	 */
	if (e->is_stepping || !e->is_working)
		return;
	e->is_stepping = true;
	switch (e->stage) {
	case STAGE_CONNECT:
		connect_more(e);
		break;
	case STAGE_VERIFY:
		verify_more(e);
		break;
	case STAGE_RUN:
		finish_running(e);
		break;
	case STAGE_END:
		break;
	}
	e->is_stepping = false;
}

/* Room for all of a quota at once, and for attempts that are repeated with another source address:
 * what is not used is never touched. */
static void begin_connecting(struct event *e, uint32_t quota)
{
	e->quota = quota;
	e->client_max = quota + BOARD_SOURCES_MAX;
	e->clients = calloc(e->client_max, sizeof(*e->clients));
	if (!e->clients) {
		tally(&e->worker->result->failed[CAUSE_NO_MEMORY]);
		answer(e, CAUSE_NO_MEMORY);
	}
}

static void begin_verifying(struct event *e, uint32_t sample)
{
	e->meter = (struct meter){.board = e->worker->board};
	for (uint32_t i = 0; i < e->client_count; i++)
		e->held += e->clients[i].state == CLIENT_QUIET;
	e->sample = min_u32(sample, e->held);
	atomic_store(&e->worker->result->held, e->held);
}

static void begin_running(struct event *e, uint32_t size_index)
{
	const struct plan *plan = e->worker->plan;

	measured_init(&e->measured);
	e->size_index = size_index;
	e->meter = (struct meter){e->worker->board, &e->measured};
	e->is_stepping = true; /* not before all have begun */
	for (uint32_t i = 0; i < e->client_count; i++)
		if (e->clients[i].state == CLIENT_QUIET)
			client_begin(&e->clients[i], plan->sizes[size_index], plan->depth,
				     EXCHANGE_ENDLESS);
	e->is_stepping = false;
}

static void on_order(uv_poll_t *channel, int status, int events)
{
	struct event *e = channel->data;
	struct order order = worker_receive(e->worker);

	(void)status;
	(void)events;
	e->stage = order.stage;
	e->is_working = true;
	switch (order.stage) {
	case STAGE_CONNECT:
		begin_connecting(e, order.count);
		break;
	case STAGE_VERIFY:
		begin_verifying(e, order.count);
		break;
	case STAGE_RUN:
		begin_running(e, order.count);
		break;
	case STAGE_END:
		uv_stop(&e->loop);
		return;
	}
	event_step(e);
}

/* One timer for all connections: a look at a hundred thousand of them takes a millisecond. */
static void on_tick(uv_timer_t *tick)
{
	struct event *e = tick->data;
	uint64_t now = clock_now_ns();

	for (uint32_t i = 0; e->is_working && i < e->client_count; i++)
		client_look(&e->clients[i], now);
}

static int init(struct event *e, struct worker *w)
{
	int err;

	*e = (struct event){.worker = w};
	dial_init(&e->dial, w);
	err = uv_loop_init(&e->loop);
	if (err)
		return err;
	err = uv_poll_init(&e->loop, &e->channel, w->channel);
	if (err) {
		uv_loop_close(&e->loop);
		return err;
	}
	uv_timer_init(&e->loop, &e->tick);
	e->channel.data = e->tick.data = e;
	uv_poll_start(&e->channel, UV_READABLE | UV_DISCONNECT, on_order);
	uv_timer_start(&e->tick, on_tick, LOOK_MS, LOOK_MS);
	return 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void done(struct event *e)
{
	e->is_working = false; /* the rest is no failure */
	for (uint32_t i = 0; i < e->client_count; i++)
		e->clients[i].state = CLIENT_OVER;
	uv_walk(&e->loop, close_handle, NULL);
	uv_run(&e->loop, UV_RUN_DEFAULT);
	uv_loop_close(&e->loop);
	free(e->clients);
}

int model_event_run(struct worker *w)
{
	struct event *e = malloc(sizeof(*e));
	int err = e ? init(e, w) : -ENOMEM;

	if (!err) {
		uv_run(&e->loop, UV_RUN_DEFAULT);
		done(e);
	}
	free(e);
	return err;
}
