/* The life of one task: wait for an order, carry it out, say so. */
#include "echo/client/tasks.h"

#include "echo/client/blocking.h"
#include "echo/client/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Only while a task has something to say, for 40,000 are quiet most of the time. */
struct scratch {
	struct measured measured;
	uint8_t buffer[PATTERN_PIECE_MAX];
};

static void end_connection(struct task *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

static void count_outcome(struct task *t, int err)
{
	struct result *result = t->worker->result;

	if (err == -EBADMSG)
		result_wrong(result, t->exchange.seed, t->exchange.received);
	else
		result_count(result, outcome_of(err));
	if (err)
		end_connection(t);
}

static int exchange_messages(struct task *t, struct scratch *scratch, struct meter *meter)
{
	const struct blocking b = {.fd = t->fd,
				   .timeout_ms = (int)t->worker->plan->timeout_ms,
				   .x = &t->exchange,
				   .pattern = t->worker->pattern,
				   .meter = meter,
				   .buffer = scratch->buffer};

	return blocking_run(&b);
}

static void verify_message(struct task *t)
{
	struct scratch *scratch = malloc(sizeof(*scratch));
	struct meter meter = {.board = t->worker->board};
	int err = -ENOMEM;

	exchange_begin(&t->exchange, t->worker->plan->sizes[0], 1, 1);
	if (scratch)
		err = exchange_messages(t, scratch, &meter);
	if (!err)
		tally(&t->worker->result->verified);
	count_outcome(t, err);
	free(scratch);
}

static bool is_quiet(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* `sample` connections are to be verified. */
static void verify(struct task *t, uint32_t sample)
{
	struct result *result = t->worker->result;

	if (!is_quiet(t->fd)) {
		result_count(result, OUTCOME_DROPPED);
		end_connection(t);
		return;
	}
	tally(&result->held);
	if (!sample_has(t->index, *t->count, sample))
		return;
	gate_take_turn(&result->gate);
	if (!atomic_load(&t->worker->board->is_ending))
		verify_message(t);
	gate_give_turn(&result->gate);
}

static void merge(struct result *r, uint32_t size_index, const struct measured *m)
{
	result_lock(r);
	r->sizes[size_index].messages += m->messages;
	hist_merge(&r->sizes[size_index].latency_ns, &m->latency_ns);
	result_unlock(r);
}

static void run(struct task *t, uint32_t size_index)
{
	const struct plan *plan = t->worker->plan;
	struct scratch *scratch = malloc(sizeof(*scratch));
	struct meter meter = {t->worker->board, scratch ? &scratch->measured : NULL};
	int err = -ENOMEM;

	if (scratch) {
		scratch->measured.messages = 0;
		hist_init(&scratch->measured.latency_ns);
		exchange_begin(&t->exchange, plan->sizes[size_index], plan->depth,
			       EXCHANGE_ENDLESS);
		err = exchange_messages(t, scratch, &meter);
		merge(t->worker->result, size_index, &scratch->measured);
	}
	count_outcome(t, err);
	free(scratch);
}

void task_main(struct task *t)
{
	for (;;) {
		struct order order;

		t->seen = gate_wait(&t->worker->result->gate, t->seen, &order);
		if (order.stage == STAGE_END)
			break;
		if (order.stage == STAGE_VERIFY && t->fd >= 0)
			verify(t, order.count);
		if (order.stage == STAGE_RUN && t->fd >= 0)
			run(t, order.count);
		if (gate_leave(&t->worker->result->gate) == atomic_load(t->count))
			eventfd_write(t->done_fd, 1);
	}
	end_connection(t);
}
