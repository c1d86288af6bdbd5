/* Virtual time: a binary heap of timers, those of the same microsecond in the order in which
 * they were set. */
#include "world.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The longest wait that the protocol knows is 30 s without a path; a run that delivers nothing
 * for several times as long is stuck. */
#define STALL_US (200 * US_PER_S)
/* Far beyond the largest run: a run that needs more goes in a circle. */
#define STEPS_MAX 20000000u

void world_init(struct world *w, uint64_t seed, bool is_traced)
{
	*w = (struct world){.seed = seed, .is_traced = is_traced, .now_us = US_PER_S};
	w->progress_us = w->now_us;
	rng_init(&w->rng, seed);
}

void world_done(struct world *w)
{
	assert(w->timer_count == 0);
	free(w->heap);
}

/* ---- timers ---- */

static bool is_before(const struct world_timer *a, const struct world_timer *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void place(struct world *w, struct world_timer *t, size_t i)
{
	w->heap[i] = t;
	t->place = i;
}

static void sift_up(struct world *w, struct world_timer *t, size_t i)
{
	for (; i > 1 && is_before(t, w->heap[i / 2]); i /= 2)
		place(w, w->heap[i / 2], i);
	place(w, t, i);
}

static void sift_down(struct world *w, struct world_timer *t, size_t i)
{
	for (size_t child; (child = 2 * i) <= w->timer_count; i = child) {
		if (child < w->timer_count && is_before(w->heap[child + 1], w->heap[child]))
			child++;
		if (is_before(t, w->heap[child]))
			break;
		place(w, w->heap[child], i);
	}
	place(w, t, i);
}

void world_timer_stop(struct world *w, struct world_timer *t)
{
	struct world_timer *last;
	size_t i = t->place;

	if (i == 0)
		return;
	t->place = 0;
	last = w->heap[w->timer_count--];
	if (last == t)
		return;
	if (i > 1 && is_before(last, w->heap[i / 2]))
		sift_up(w, last, i);
	else
		sift_down(w, last, i);
}

void world_timer_set(struct world *w, struct world_timer *t, uint64_t at_us)
{
	assert(t->fire);
	world_timer_stop(w, t);
	if (at_us == NEVER_US)
		return;
	if (w->timer_count + 2 > w->timer_room) {
		w->timer_room = w->timer_room ? 2 * w->timer_room : 64;
		w->heap = realloc(w->heap, w->timer_room * sizeof(struct world_timer *));
		if (!w->heap)
			abort();
	}
	t->at_us = at_us > w->now_us ? at_us : w->now_us;
	t->order = w->order++;
	sift_up(w, t, ++w->timer_count);
}

void world_run(struct world *w, bool (*is_over)(void *arg), void *arg)
{
	while (!world_has_failed(w) && !is_over(arg)) {
		struct world_timer *t = w->timer_count ? w->heap[1] : NULL;

		if (!t) {
			world_fail(w, "stall: nothing will ever happen again");
			return;
		}
		world_timer_stop(w, t);
		w->now_us = t->at_us;
		if (w->now_us > w->progress_us + STALL_US)
			world_fail(w, "stall: no progress since %.3f s",
				   (double)w->progress_us / US_PER_S);
		if (++w->steps > STEPS_MAX)
			world_fail(w, "more than %u steps: it goes in a circle", STEPS_MAX);
		t->fire(t->arg);
	}
}

/* ---- failure and trace ---- */

void world_fail(struct world *w, const char *fmt, ...)
{
	va_list args;
	int at;

	if (world_has_failed(w))
		return;
	at = snprintf(w->failure, sizeof(w->failure), "%.6f s: ", (double)w->now_us / US_PER_S);
	va_start(args, fmt);
	vsnprintf(w->failure + at, sizeof(w->failure) - (size_t)at, fmt, args);
	va_end(args);
}

void world_trace(struct world *w, const char *fmt, ...)
{
	va_list args;

	if (!w->is_traced)
		return;
	printf("%11.6f ", (double)w->now_us / US_PER_S);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

/* ---- chance ---- */

uint64_t world_between(struct world *w, uint64_t low, uint64_t high)
{
	return low + rng_below(&w->rng, high - low + 1);
}

uint64_t world_scale(struct world *w, uint64_t low, uint64_t high)
{
	double octaves = log2((double)(high + 1) / (double)(low + 1));

	return (uint64_t)(exp2(rng_unit(&w->rng) * octaves) * (double)(low + 1)) - 1;
}

bool world_chance(struct world *w, unsigned percent)
{
	return rng_below(&w->rng, 100) < percent;
}
