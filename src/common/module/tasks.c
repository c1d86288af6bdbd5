/* One operation at every worker: a message to each, a message back from each, and the sum of
 * their results. */
#include "common/module/daemon.h"

#include <stdlib.h>

struct tasks {
	struct daemon *daemon;
	uint32_t pending;
	json_t *result;
	tasks_done *done;
	void *user;
};

struct task {
	struct message message; /* to the worker, then back to the main loop */
	struct tasks *tasks;
	task_run *run;
	json_t *args; /* a copy of its own: threads share nothing */
	json_t *result;
};

const json_t *task_args(const struct task *task)
{
	return task->args;
}

static void add_member(json_t *into, const char *key, json_t *value)
{
	json_t *old = json_object_get(into, key);

	if (!old)
		json_object_set(into, key, value);
	else if (json_is_integer(old) && json_is_integer(value))
		json_integer_set(old, json_integer_value(old) + json_integer_value(value));
	else if (json_is_boolean(old) && json_is_boolean(value))
		json_object_set_new(into, key,
				    json_boolean(json_is_true(old) && json_is_true(value)));
	else if (json_is_array(old) && json_is_array(value))
		json_array_extend(old, value);
	else if (json_is_object(old) && json_is_object(value))
		json_add(old, value);
}

void json_add(json_t *into, const json_t *from)
{
	const char *key;
	json_t *value;

	/* jansson's iterator wants it writable, and leaves it alone. */
	json_object_foreach((json_t *)(uintptr_t)from, key, value)
		add_member(into, key, value);
}

static void come_back(struct worker *main, struct message *m)
{
	struct task *task = container_of(m, struct task, message);
	struct tasks *tasks = task->tasks;

	(void)main;
	json_add(tasks->result, task->result);
	json_decref(task->result);
	json_decref(task->args);
	free(task);
	if (--tasks->pending > 0)
		return;
	tasks->done(tasks->daemon, tasks->result, tasks->user);
	json_decref(tasks->result);
	free(tasks);
}

void task_done(struct task *task, json_t *result_take)
{
	task->result = result_take ? result_take : json_object();
	task->message.run = come_back;
	worker_post(&task->tasks->daemon->main, &task->message);
}

static void go(struct worker *w, struct message *m)
{
	struct task *task = container_of(m, struct task, message);

	task->run(w, task);
}

void daemon_each(struct daemon *d, task_run *run, const json_t *args, tasks_done *done, void *user)
{
	struct tasks *tasks = malloc(sizeof(*tasks));

	if (!tasks)
		abort();
	*tasks = (struct tasks){.daemon = d,
				.pending = d->conf.workers,
				.result = json_object(),
				.done = done,
				.user = user};
	for (uint32_t i = 0; i < d->conf.workers; i++) {
		struct task *task = calloc(1, sizeof(*task));

		if (!task)
			abort();
		task->tasks = tasks;
		task->run = run;
		task->args = args ? json_deep_copy(args) : json_object();
		task->message.run = go;
		worker_post(&d->workers[i], &task->message);
	}
}
