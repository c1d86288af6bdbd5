/* The worker: messages from several threads, the order of a turn's phases, its clock, and an end
 * that leaves nothing undone. */
#include "loop.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- phases ---- */

struct step {
	struct deferred d;
	struct worker *w;
	char letter;
	char *log;
	struct step *again; /* deferred once more by this one */
	enum turn_phase again_phase;
};

static void on_step(struct deferred *d)
{
	struct step *s = container_of(d, struct step, d);
	struct step *again = s->again;

	s->log[strlen(s->log)] = s->letter;
	s->again = NULL;
	if (again)
		worker_defer(s->w, s->again_phase, &again->d);
}

static void phases_run_in_order_until_all_are_empty(void **state)
{
	struct turner t;
	char log[16] = "";
	struct step deliver = {.letter = 'D', .log = log}, run = {.letter = 'R', .log = log},
		    flush = {.letter = 'F', .log = log}, gone = {.letter = 'x', .log = log};

	(void)state;
	turner_init(&t);
	deliver.w = run.w = flush.w = gone.w = &t.w;
	deferred_init(&deliver.d, on_step);
	deferred_init(&run.d, on_step);
	deferred_init(&flush.d, on_step);
	deferred_init(&gone.d, on_step);
	flush.again = &deliver;
	flush.again_phase = TURN_DELIVER;
	run.again = &run;
	run.again_phase = TURN_RUN;
	worker_defer(&t.w, TURN_FLUSH, &flush.d);
	worker_defer(&t.w, TURN_RUN, &run.d);
	worker_defer(&t.w, TURN_DELIVER, &deliver.d);
	worker_defer(&t.w, TURN_DELIVER, &deliver.d);
	worker_defer(&t.w, TURN_DELIVER, &gone.d);
	deferred_cancel(&gone.d);
	uv_run(&t.w.loop, UV_RUN_NOWAIT);
	assert_string_equal(log, "DRRFD");
	turner_done(&t);
}

/* ---- messages ---- */

#define POSTERS 4
#define MESSAGES 2000

struct count {
	unsigned int next[POSTERS], out_of_order;
	pthread_t thread;
	bool is_elsewhere;
};

struct numbered {
	struct message m;
	unsigned int poster, number;
};

static void on_numbered(struct worker *w, struct message *m)
{
	struct numbered *n = container_of(m, struct numbered, m);
	struct count *c = w->user;

	if (n->number != c->next[n->poster]++)
		c->out_of_order++;
	if (!pthread_equal(pthread_self(), w->thread))
		c->is_elsewhere = true;
	free(n);
}

static void on_stop(struct worker *w, struct message *m)
{
	(void)m;
	worker_stop(w);
}

struct poster {
	struct worker *w;
	unsigned int index;
	pthread_t thread;
};

static void *post_all(void *arg)
{
	struct poster *p = arg;

	for (unsigned int i = 0; i < MESSAGES; i++) {
		struct numbered *n = calloc(1, sizeof(*n));

		n->m.run = on_numbered;
		n->poster = p->index;
		n->number = i;
		worker_post(p->w, &n->m);
	}
	return NULL;
}

static void messages_arrive_in_order_on_the_worker(void **state)
{
	struct worker w;
	struct count count = {0};
	struct poster posters[POSTERS];
	struct message stop = {.run = on_stop};

	(void)state;
	alarm(TEST_SECONDS_MAX);
	assert_int_equal(worker_init(&w, 3, &count), 0);
	/* One posts before the thread runs. */
	posters[0] = (struct poster){.w = &w};
	post_all(&posters[0]);
	assert_int_equal(worker_start(&w), 0);
	for (unsigned int i = 1; i < POSTERS; i++) {
		posters[i] = (struct poster){.w = &w, .index = i};
		pthread_create(&posters[i].thread, NULL, post_all, &posters[i]);
	}
	for (unsigned int i = 1; i < POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	worker_post(&w, &stop);
	worker_join(&w);
	for (unsigned int i = 0; i < POSTERS; i++)
		assert_int_equal(count.next[i], MESSAGES);
	assert_int_equal(count.out_of_order, 0);
	assert_false(count.is_elsewhere);
	alarm(0);
}

/* ---- the end ---- */

struct last_words {
	uv_timer_t timer;
	struct worker *w;
	struct deferred d;
	bool is_said;
};

static void say(struct deferred *d)
{
	container_of(d, struct last_words, d)->is_said = true;
}

static void on_last_closed(uv_handle_t *handle)
{
	struct last_words *l = handle->data;

	worker_defer(l->w, TURN_FLUSH, &l->d);
}

static void on_last_timer(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, on_last_closed);
}

static void on_stop_early(struct worker *w, struct message *m)
{
	struct last_words *l = w->user;

	(void)m;
	worker_stop(w);
	uv_timer_init(&w->loop, &l->timer);
	uv_timer_start(&l->timer, on_last_timer, 1, 0);
	l->timer.data = l;
}

static void stopping_waits_for_handles_and_what_they_put_off(void **state)
{
	struct worker w;
	struct last_words last = {.w = &w};
	struct message stop = {.run = on_stop_early};

	(void)state;
	alarm(TEST_SECONDS_MAX);
	deferred_init(&last.d, say);
	assert_int_equal(worker_init(&w, 0, &last), 0);
	assert_int_equal(worker_start(&w), 0);
	worker_post(&w, &stop);
	worker_join(&w);
	assert_true(last.is_said);
	alarm(0);
}

/* ---- the clock ---- */

static void on_timer(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
	uv_close((uv_handle_t *)timer, NULL);
}

static void the_clock_stands_within_a_turn(void **state)
{
	struct turner t;
	uv_timer_t timer;
	bool has_rung = false;
	uint64_t before;

	(void)state;
	turner_init(&t);
	before = worker_now(&t.w);
	uv_timer_init(&t.w.loop, &timer);
	timer.data = &has_rung;
	uv_timer_start(&timer, on_timer, 2, 0);
	assert_int_equal(worker_now(&t.w), before);
	await(&t.w, has_rung);
	assert_true(worker_now(&t.w) >= before + 1000);
	turner_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(phases_run_in_order_until_all_are_empty),
		cmocka_unit_test(messages_arrive_in_order_on_the_worker),
		cmocka_unit_test(stopping_waits_for_handles_and_what_they_put_off),
		cmocka_unit_test(the_clock_stands_within_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
