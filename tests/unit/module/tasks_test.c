/* One operation at every worker: how their results add up, and that each worker runs its part on
 * its own thread with arguments of its own. */
#include "../io/loop.h"

#include "common/module/daemon.h"

#include <stdlib.h>

/* ---- adding ---- */

static void assert_sum(const char *into_text, const char *from_text, const char *wanted_text)
{
	json_t *into = json_loads(into_text, 0, NULL), *from = json_loads(from_text, 0, NULL);
	json_t *wanted = json_loads(wanted_text, 0, NULL), *before = json_deep_copy(from);

	assert_non_null(wanted);
	json_add(into, from);
	if (!json_equal(into, wanted)) {
		json_dumpf(into, stderr, 0);
		fail_msg(" is not %s", wanted_text);
	}
	assert_true(json_equal(from, before));
	json_decref(before);
	json_decref(wanted);
	json_decref(from);
	json_decref(into);
}

static void each_kind_adds_in_its_way(void **state)
{
	(void)state;
	assert_sum("{\"n\": 1}", "{\"n\": 2}", "{\"n\": 3}");
	assert_sum("{\"a\": [1, 2]}", "{\"a\": [3]}", "{\"a\": [1, 2, 3]}");
	assert_sum("{\"b\": true, \"c\": true}", "{\"b\": true, \"c\": false}",
		   "{\"b\": true, \"c\": false}");
	assert_sum("{\"b\": false}", "{\"b\": true}", "{\"b\": false}");
	assert_sum("{\"o\": {\"n\": 1, \"m\": 1}}", "{\"o\": {\"n\": 2, \"k\": 5}}",
		   "{\"o\": {\"n\": 3, \"m\": 1, \"k\": 5}}");
}

static void what_is_lacking_is_taken_over(void **state)
{
	(void)state;
	assert_sum("{}", "{\"n\": 1, \"a\": [1], \"s\": \"x\", \"b\": false}",
		   "{\"n\": 1, \"a\": [1], \"s\": \"x\", \"b\": false}");
	assert_sum("{\"n\": 1}", "{}", "{\"n\": 1}");
}

static void what_cannot_be_added_stays(void **state)
{
	(void)state;
	assert_sum("{\"s\": \"x\"}", "{\"s\": \"y\"}", "{\"s\": \"x\"}");
	assert_sum("{\"n\": 1}", "{\"n\": [1]}", "{\"n\": 1}");
}

/* As the results of three workers are. */
static void three_are_added_one_after_another(void **state)
{
	json_t *sum = json_object();
	json_int_t total = 0;

	(void)state;
	for (int i = 1; i <= 3; i++) {
		json_t *one = json_pack("{s:{s:i}, s:[i]}", "o", "n", i, "a", i);

		json_add(sum, one);
		json_decref(one);
	}
	total = json_integer_value(json_object_get(json_object_get(sum, "o"), "n"));
	assert_int_equal(total, 6);
	assert_int_equal(json_array_size(json_object_get(sum, "a")), 3);
	json_decref(sum);
}

/* ---- at every worker ---- */

#define WORKERS 3

struct answer {
	json_t *result;
	unsigned int count;
	pthread_t thread;
};

static void on_task(struct worker *w, struct task *task)
{
	const json_t *step = json_object_get(task_args(task), "step");

	*(pthread_t *)w->user = pthread_self();
	if (json_integer_value(step) == 0)
		task_done(task, NULL);
	else
		task_done(task, json_pack("{s:I, s:[i]}", "n", json_integer_value(step), "workers",
					  (int)w->index));
}

static void on_done(struct daemon *d, json_t *result, void *user)
{
	struct answer *a = user;

	(void)d;
	a->result = json_incref(result);
	a->count++;
	a->thread = pthread_self();
}

static void on_stop(struct worker *w, struct message *m)
{
	(void)m;
	worker_stop(w);
}

static void every_worker_runs_it_and_it_is_answered_once(void **state)
{
	struct worker workers[WORKERS];
	pthread_t threads[WORKERS];
	struct message stops[WORKERS];
	struct daemon d = {.workers = workers, .conf.workers = WORKERS};
	json_t *args = json_pack("{s:i}", "step", 7);
	struct answer all = {0}, none = {0};

	(void)state;
	alarm(TEST_SECONDS_MAX);
	assert_int_equal(worker_init(&d.main, 0, NULL), 0);
	for (uint32_t i = 0; i < WORKERS; i++) {
		assert_int_equal(worker_init(&workers[i], i, &threads[i]), 0);
		assert_int_equal(worker_start(&workers[i]), 0);
	}
	daemon_each(&d, on_task, args, on_done, &all);
	json_decref(args); /* it was copied */
	daemon_each(&d, on_task, NULL, on_done, &none);
	await(&d.main, none.count > 0 && all.count > 0);
	assert_int_equal(all.count, 1);
	assert_true(pthread_equal(all.thread, pthread_self()));
	assert_int_equal(json_integer_value(json_object_get(all.result, "n")), 7 * WORKERS);
	assert_int_equal(json_array_size(json_object_get(all.result, "workers")), WORKERS);
	assert_int_equal(json_object_size(none.result), 0);
	json_decref(all.result);
	json_decref(none.result);
	for (uint32_t i = 0; i < WORKERS; i++) {
		stops[i] = (struct message){.run = on_stop};
		worker_post(&workers[i], &stops[i]);
		worker_join(&workers[i]);
		assert_false(pthread_equal(threads[i], pthread_self()));
	}
	worker_join(&d.main);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_adds_in_its_way),
		cmocka_unit_test(what_is_lacking_is_taken_over),
		cmocka_unit_test(what_cannot_be_added_stays),
		cmocka_unit_test(three_are_added_one_after_another),
		cmocka_unit_test(every_worker_runs_it_and_it_is_answered_once),
	};

	return cmocka_run_group_tests_name("tasks", tests, NULL, NULL);
}
