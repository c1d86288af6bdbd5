/* Moves that pay. Each takes a stream that is smaller than the gap between two workers, so the sum
 * of the squares of the loads falls with every one: under constant load it comes to an end. */
#include "mcast/core/balance.h"

#include "common/base/limits.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

/* What each worker has, and which are the ends of the scale; both are `worker_count` when no
 * worker is usable. */
struct scale {
	double loads[WORKERS_MAX];
	uint32_t worker_count;
	const uint8_t *is_usable;
};

static void scale_init(struct scale *s, const struct balance_stream *streams, size_t count,
		       const uint8_t *is_usable, uint32_t worker_count)
{
	assert(worker_count <= WORKERS_MAX);
	*s = (struct scale){.worker_count = worker_count, .is_usable = is_usable};
	for (size_t i = 0; i < count; i++) {
		assert(streams[i].worker < worker_count);
		s->loads[streams[i].worker] += streams[i].load;
	}
}

static uint32_t lightest(const struct scale *s)
{
	uint32_t best = s->worker_count;

	for (uint32_t w = 0; w < s->worker_count; w++)
		if (s->is_usable[w] && (best == s->worker_count || s->loads[w] < s->loads[best]))
			best = w;
	return best;
}

static uint32_t heaviest(const struct scale *s)
{
	uint32_t best = s->worker_count;

	for (uint32_t w = 0; w < s->worker_count; w++)
		if (s->is_usable[w] && (best == s->worker_count || s->loads[w] > s->loads[best]))
			best = w;
	return best;
}

/* What a move of such a load leaves of the gap. */
static double rest_of(double gap, double load)
{
	return fabs(gap - 2 * load);
}

/* Whether `a` brings both workers closer together than `b`, or as close with a larger load. */
static bool is_better(const struct balance_stream *a, const struct balance_stream *b, double gap)
{
	double rest_a = rest_of(gap, a->load), rest_b = rest_of(gap, b->load);

	if (rest_a < rest_b || rest_a > rest_b)
		return rest_a < rest_b;
	return a->load > b->load;
}

/* The best stream of `from` to move; `count` when none brings both closer together. */
static size_t pick(const struct balance_stream *streams, size_t count, uint32_t from, double gap)
{
	size_t best = count;

	for (size_t i = 0; i < count; i++) {
		const struct balance_stream *s = &streams[i];

		if (s->worker != from || s->rest_rounds > 0 || rest_of(gap, s->load) >= gap)
			continue;
		if (best == count || is_better(s, &streams[best], gap))
			best = i;
	}
	return best;
}

static void count_down(struct balance_stream *streams, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (streams[i].rest_rounds > 0)
			streams[i].rest_rounds--;
}

size_t balance_round(struct balance_stream *streams, size_t count, const uint8_t *is_usable,
		     uint32_t worker_count, struct balance_move *ret_moves, size_t max)
{
	struct scale s;
	size_t moves = 0;

	count_down(streams, count);
	scale_init(&s, streams, count, is_usable, worker_count);
	while (moves < max) {
		uint32_t from = heaviest(&s), to = lightest(&s);
		double gap = from < worker_count ? s.loads[from] - s.loads[to] : 0;
		size_t stream;

		if (gap < BALANCE_GAP_MIN || gap <= s.loads[to] * BALANCE_GAP_SHARE)
			break;
		stream = pick(streams, count, from, gap);
		if (stream == count)
			break;
		s.loads[from] -= streams[stream].load;
		s.loads[to] += streams[stream].load;
		/* This also keeps it from being moved twice in this round. */
		streams[stream].rest_rounds = BALANCE_REST_ROUNDS;
		ret_moves[moves++] = (struct balance_move){stream, from, to};
	}
	return moves;
}
