/* Tasks that wait: answered once, as soon as what they wait for has come or their time is up. */
#include "../io/loop.h"

#include "common/base/clock.h"
#include "common/module/pending.h"

#include <stdlib.h>

struct fixture {
	struct turner worker;
	struct daemon daemon;
	struct pending pending;
	bool has_come;
	unsigned int checks, answers;
	bool was_late; /* in the answer */
};

static json_t *check(void *user, bool is_late)
{
	struct fixture *f = user;

	f->checks++;
	return f->has_come || is_late ? json_pack("{s:b}", "late", is_late) : NULL;
}

static void on_done(struct daemon *d, json_t *result, void *user)
{
	struct fixture *f = user;

	(void)d;
	f->answers++;
	f->was_late = json_is_true(json_object_get(result, "late"));
}

/* Both loops are the test's: there is no other thread. */
static void turn_both(struct fixture *f)
{
	turn(&f->worker.w);
	turn(&f->daemon.main);
}

#define await_both(f, condition)      \
	do {                          \
		while (!(condition))  \
			turn_both(f); \
	} while (0)

static void begin(struct worker *w, struct task *task)
{
	struct fixture *f = w->user;
	json_int_t wait_ms = json_integer_value(json_object_get(task_args(task), "wait_ms"));

	pending_begin(&f->pending, task, (uint64_t)wait_ms);
}

static void start(struct fixture *f, int wait_ms)
{
	json_t *args = json_pack("{s:i}", "wait_ms", wait_ms);

	daemon_each(&f->daemon, begin, args, on_done, f);
	json_decref(args);
	await_both(f, f->checks > 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	turner_init(&f->worker);
	assert_int_equal(worker_init(&f->daemon.main, 0, NULL), 0);
	f->daemon.workers = &f->worker.w;
	f->daemon.conf.workers = 1;
	f->worker.w.user = f;
	pending_open(&f->pending, &f->worker.w, check, f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	worker_join(&f->daemon.main);
	turner_done(&f->worker);
	free(f);
	return 0;
}

static void what_has_come_is_answered_at_once(void **state)
{
	struct fixture *f = *state;

	f->has_come = true;
	start(f, 60000);
	await_both(f, f->answers);
	assert_int_equal(f->checks, 1);
	assert_false(f->was_late);
	assert_null(f->pending.task);
	pending_close(&f->pending);
}

static void it_looks_again_and_again(void **state)
{
	struct fixture *f = *state;

	start(f, 60000);
	await_both(f, f->checks == 3);
	assert_int_equal(f->answers, 0);
	f->has_come = true;
	await_both(f, f->answers);
	assert_int_equal(f->checks, 4);
	assert_false(uv_is_active((uv_handle_t *)&f->pending.timer));
	pending_close(&f->pending);
}

static void who_knows_that_it_has_come_may_say_so(void **state)
{
	struct fixture *f = *state;

	pending_look(&f->pending); /* nothing is waited for */
	assert_int_equal(f->checks, 0);
	start(f, 60000);
	f->has_come = true;
	pending_look(&f->pending);
	assert_null(f->pending.task);
	await_both(f, f->answers);
	assert_false(f->was_late);
	pending_close(&f->pending);
}

static void its_time_is_up(void **state)
{
	struct fixture *f = *state;
	uint64_t start_us = clock_now_us();

	start(f, 50);
	await_both(f, f->answers);
	assert_true(f->was_late);
	assert_true(clock_now_us() - start_us >= 50 * US_PER_MS);
	pending_close(&f->pending);
}

static void closing_ends_it(void **state)
{
	struct fixture *f = *state;

	start(f, 60000);
	pending_close(&f->pending);
	await_both(f, f->answers);
	assert_int_equal(f->answers, 1);
	assert_true(f->was_late);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_has_come_is_answered_at_once),
		test(it_looks_again_and_again),
		test(who_knows_that_it_has_come_may_say_so),
		test(its_time_is_up),
		test(closing_ends_it),
	};

	return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}
