/* Connect; then hold and verify, or one run for each size; then add up. */
#include "echo/client/trial.h"

#include "common/base/clock.h"
#include "common/base/minmax.h"
#include "echo/client/hiring.h"
#include "echo/client/sample.h"

/* With fewer, what else comes and goes in this machine is more than what they need. */
#define MEMORY_CONNECTIONS_MIN 1000u
/* After a signal, for what is outstanding to come back. */
#define INTERRUPT_WAIT_NS (2 * NS_PER_S)

static uint64_t count_connected(const struct crew *c)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < c->count; i++)
		sum += c->board->results[i].connected;
	return sum;
}

static void connect_all(struct crew *c, struct summary *s)
{
	uint64_t begin = clock_now_ns();

	s->stopped_by = hiring_run(c);
	s->connect_ns = clock_now_ns() - begin;
}

static void hold(struct crew *c, struct summary *s)
{
	uint64_t begin = clock_now_ns();

	crew_sleep(c, begin + c->plan->hold_ms * NS_PER_MS);
	s->held_ns = clock_now_ns() - begin;
	if (count_connected(c) < MEMORY_CONNECTIONS_MIN)
		return;
	s->after = memory_look(c->plan->server_pid);
	s->has_memory = s->before.available_bytes >= 0 && s->after.available_bytes >= 0;
}

/* Each worker verifies its part of the sample, which is spread over all connections. */
static void verify(struct crew *c, struct summary *s)
{
	uint64_t total = count_connected(c), before = 0;
	uint64_t sample = min_u64(c->plan->verify, total);

	s->sample = sample;
	for (uint32_t i = 0; i < c->count; i++) {
		uint64_t after = before + c->board->results[i].connected;
		uint64_t share =
			sample_before(after, total, sample) - sample_before(before, total, sample);

		crew_order(c, &c->members[i], STAGE_VERIFY, (uint32_t)share);
		before = after;
	}
	crew_wait_all(c);
}

/* A signal brings the end nearer; what is outstanding still may come back. */
static void finish_early(struct crew *c)
{
	uint64_t now = clock_now_ns();

	if (atomic_load(&c->board->end_ns) > now)
		atomic_store(&c->board->end_ns, now);
	while (c->working > 0 && clock_now_ns() < now + INTERRUPT_WAIT_NS)
		crew_wait(c, now + INTERRUPT_WAIT_NS);
}

static void run_size(struct crew *c, struct summary *s, uint32_t index)
{
	uint64_t begin = clock_now_ns() + c->plan->warm_up_ms * NS_PER_MS;
	uint64_t end = begin + c->plan->seconds_ms * NS_PER_MS;

	s->size_count = index + 1;
	for (uint32_t i = 0; i < c->count; i++)
		result_init_size(&c->board->results[i], index);
	atomic_store(&c->board->begin_ns, begin);
	atomic_store(&c->board->end_ns, end);
	crew_order_all(c, STAGE_RUN, index);
	crew_wait_all(c);
	if (c->is_interrupted)
		finish_early(c);
	end = min_u64(atomic_load(&c->board->end_ns), clock_now_ns());
	s->measured_ns[index] = end > begin ? end - begin : 0;
}

static void run_sizes(struct crew *c, struct summary *s)
{
	for (uint32_t i = 0; i < c->plan->size_count && !c->is_interrupted; i++)
		run_size(c, s, i);
}

void trial_run(struct crew *c, struct summary *ret)
{
	const struct plan *plan = c->plan;

	*ret = (struct summary){.plan = plan};
	if (plan->test == TEST_CONNECTIONS && plan->connections >= MEMORY_CONNECTIONS_MIN) {
		memory_settle();
		ret->before = memory_look(plan->server_pid);
	}
	connect_all(c, ret);
	if (count_connected(c) > 0 && plan->test == TEST_CONNECTIONS) {
		hold(c, ret);
		if (!c->is_interrupted)
			verify(c, ret);
	} else if (count_connected(c) > 0) {
		run_sizes(c, ret);
	}
	ret->workers = c->count;
	ret->workers_lost = c->lost;
	ret->is_interrupted = c->is_interrupted;
	summary_add_results(ret, c->board);
}
