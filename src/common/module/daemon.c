/* The frame of a module's program: see daemon.h. */
#include "common/module/daemon.h"

#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/hostport.h"
#include "common/base/log.h"
#include "common/base/version.h"
#include "common/flow/scheduler.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- ending ---- */

static void on_control_closed(void *user)
{
	(void)user;
	log_debug("comm socket closed");
}

static void stop_signals(struct daemon *d)
{
	uv_close((uv_handle_t *)&d->on_term, NULL);
	uv_close((uv_handle_t *)&d->on_int, NULL);
}

static void on_workers_stopped(struct daemon *d, json_t *result, void *user)
{
	(void)result;
	(void)user;
	for (uint32_t i = 0; i < d->conf.workers; i++) {
		worker_join(&d->workers[i]);
		d->ops->worker_freed(&d->workers[i]);
	}
	stop_signals(d);
	control_close(d->control, on_control_closed, d);
}

static void stop(struct daemon *d)
{
	if (d->state == DAEMON_STOPPING)
		return;
	if (d->state == DAEMON_RUNNING)
		d->ops->stop_listening(d);
	d->state = DAEMON_STOPPING;
	log_info("stopping");
	daemon_each(d, d->ops->stop, NULL, on_workers_stopped, NULL);
}

static void on_drained(struct daemon *d, json_t *result, void *user)
{
	(void)result;
	(void)user;
	stop(d);
}

static void drain(struct daemon *d, uint32_t drain_ms)
{
	json_t *args;

	if (d->state != DAEMON_RUNNING)
		return;
	d->state = DAEMON_DRAINING;
	log_info("draining: no new connections, sessions may finish within %u ms", drain_ms);
	d->ops->stop_listening(d);
	args = json_pack("{s:I}", "drain_ms", (json_int_t)drain_ms);
	daemon_each(d, d->ops->drain, args, on_drained, NULL);
	json_decref(args);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct daemon *d = signal->data;

	(void)number;
	if (d->state == DAEMON_RUNNING)
		drain(d, d->conf.drain_wait_ms);
	else
		stop(d);
}

/* ---- operations ---- */

static void reply_result(struct daemon *d, json_t *result, void *user)
{
	(void)d;
	control_reply_ok(user, json_incref(result));
}

static void reply_health(struct daemon *d, json_t *result, void *user)
{
	bool is_ready = json_integer_value(json_object_get(result, "ways")) > 0;

	json_object_del(result, "ways");
	json_object_set_new(result, "live", json_true());
	json_object_set_new(result, "ready", json_boolean(is_ready));
	if (!is_ready)
		json_array_append_new(json_object_get(result, "degraded"),
				      json_string("no way end to end"));
	reply_result(d, result, user);
}

static void reply_stats(struct daemon *d, json_t *result, void *user)
{
	json_t *own = json_pack("{s:s, s:s, s:I, s:i, s:s, s:s, s:{s:I, s:I}}", "module",
				module_name(d->ops->module), "version", MPP_VERSION, "uptime_ms",
				(json_int_t)((clock_now_us() - d->start_us) / US_PER_MS), "workers",
				(int)d->conf.workers, "state",
				d->state == DAEMON_RUNNING ? "running" : "draining", "scheduler",
				d->conf.scheduler, "connections", "accepted_total",
				(json_int_t)d->accepted, "rejected_total", (json_int_t)d->rejected);

	json_add(result, own);
	json_decref(own);
	reply_result(d, result, user);
}

static void handle_close(struct daemon *d, struct control_request *req)
{
	const json_t *ms = json_object_get(control_args(req), "drain_ms");
	json_int_t drain_ms = ms ? json_integer_value(ms) : d->conf.drain_wait_ms;

	if ((ms && !json_is_integer(ms)) || drain_ms < 0 || drain_ms > UINT32_MAX) {
		control_reply_error(req, "bad_request", "drain_ms: expected a whole number from 0");
		return;
	}
	control_reply_ok(req, NULL);
	drain(d, (uint32_t)drain_ms);
}

bool daemon_refuses(struct daemon *d, struct control_request *req)
{
	if (d->state == DAEMON_STOPPING)
		control_reply_error(req, "busy", "the module is ending");
	return d->state == DAEMON_STOPPING;
}

static void handle_change(struct daemon *d, struct control_request *req, control_handle *handle)
{
	if (!handle)
		control_reply_error(req, "unsupported", "%s has no %s", d->ops->program,
				    control_op(req));
	else if (d->state != DAEMON_RUNNING)
		control_reply_error(req, "busy", "the module is ending");
	else
		handle(d, req);
}

static void reply_scheduler(struct daemon *d, json_t *result, void *user)
{
	(void)result;
	log_info("scheduler changed: %s", d->conf.scheduler);
	control_reply_ok(user, json_pack("{s:s}", "scheduler", d->conf.scheduler));
}

/* conf.scheduler is the main thread's to change: the workers have their own since the start. */
static void handle_set_scheduler(void *user, struct control_request *req)
{
	const char *name = json_string_value(json_object_get(control_args(req), "scheduler"));
	const struct scheduler *s = name ? scheduler_find(name) : NULL;
	struct daemon *d = user;
	char known[NAMES_TEXT_MAX];

	if (s) {
		snprintf(d->conf.scheduler, sizeof(d->conf.scheduler), "%s", s->name);
		daemon_each(d, d->ops->set_scheduler, control_args(req), reply_scheduler, req);
		return;
	}
	names_text(scheduler_names, known);
	control_reply_error(req, "bad_request", "scheduler \"%.64s\": expected one of: %s",
			    name ? name : "", known);
}

/* All that may be asked. What a module has of it is in its daemon_ops: `field` is the task_run of
 * a query, the control_handle of a change. */
struct operation {
	const char *name;
	enum { OPERATION_QUERY, OPERATION_CHANGE, OPERATION_SCHEDULER, OPERATION_CLOSE } kind;
	size_t field;
	tasks_done *done; /* of a query */
};

#define FIELD(member) offsetof(struct daemon_ops, member)

static const struct operation operations[] = {
	{"health_check", OPERATION_QUERY, FIELD(health), reply_health},
	{"stats", OPERATION_QUERY, FIELD(stats), reply_stats},
	{"paths", OPERATION_QUERY, FIELD(paths), reply_result},
	{"sessions", OPERATION_QUERY, FIELD(sessions), reply_result},
	{"reset", OPERATION_QUERY, FIELD(reset), reply_result},
	{"close", OPERATION_CLOSE, 0, NULL},
	{"update_topo_pre", OPERATION_CHANGE, FIELD(update_topo_pre), NULL},
	{"update_topo", OPERATION_CHANGE, FIELD(update_topo), NULL},
	{"abort_topo", OPERATION_CHANGE, FIELD(abort_topo), NULL},
	{"set_weight", OPERATION_CHANGE, FIELD(set_weight), NULL},
	{"add_path", OPERATION_CHANGE, FIELD(add_path), NULL},
	{"remove_path", OPERATION_CHANGE, FIELD(remove_path), NULL},
	{"set_scheduler", OPERATION_SCHEDULER, FIELD(set_scheduler), NULL},
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))

static void reply_unknown(struct control_request *req)
{
	const char *names[OPERATION_COUNT + 1] = {NULL};
	char known[NAMES_TEXT_MAX];

	for (size_t i = 0; i < OPERATION_COUNT; i++)
		names[i] = operations[i].name;
	names_text(names, known);
	control_reply_error(req, "unknown_op", "no operation \"%.64s\"; there are %s",
			    control_op(req), known);
}

static void handle_operation(struct daemon *d, struct control_request *req,
			     const struct operation *o)
{
	const void *field = (const char *)d->ops + o->field;

	switch (o->kind) {
	case OPERATION_QUERY:
		daemon_each(d, *(task_run *const *)field, control_args(req), o->done, req);
		return;
	case OPERATION_CHANGE:
		handle_change(d, req, *(control_handle *const *)field);
		return;
	case OPERATION_SCHEDULER:
		handle_change(d, req, d->ops->set_scheduler ? handle_set_scheduler : NULL);
		return;
	case OPERATION_CLOSE:
		handle_close(d, req);
		return;
	}
}

static void handle_request(void *user, struct control_request *req)
{
	struct daemon *d = user;

	if (daemon_refuses(d, req))
		return;
	for (size_t i = 0; i < OPERATION_COUNT; i++)
		if (strcmp(control_op(req), operations[i].name) == 0) {
			handle_operation(d, req, &operations[i]);
			return;
		}
	reply_unknown(req);
}

struct worker *daemon_worker_for(struct daemon *d, const struct tunnel_id *id)
{
	uint64_t hash;

	/* Ids are random: their first bytes are a hash. */
	memcpy(&hash, id->bytes, sizeof(hash));
	return &d->workers[hash % d->conf.workers];
}

/* ---- beginning ---- */

/* Open to whoever reaches it is allowed, and said. */
static void warn_if_open(const struct daemon *d)
{
	const struct conf *c = &d->conf;
	bool is_open = !conf_address_is_loopback(&c->comm);

	for (size_t i = 0; i < c->listen_count; i++)
		is_open |= !conf_address_is_loopback(&c->listen[i]);
	if (is_open && d->key.len == 0)
		log_warn("no key is set: whoever reaches the listen and comm addresses may use "
			 "them");
}

static int open_control(struct daemon *d)
{
	char why[256];

	if (control_open(&d->main.loop, d->conf.comm.host, d->conf.comm.port, handle_request, d,
			 &d->control, why) < 0) {
		log_error("%s", why);
		return 2;
	}
	return 0;
}

static int start_workers(struct daemon *d)
{
	d->workers = calloc(d->conf.workers, sizeof(*d->workers));
	if (!d->workers)
		abort();
	for (uint32_t i = 0; i < d->conf.workers; i++) {
		int err = worker_init(&d->workers[i], i, NULL);

		if (err == 0) {
			d->ops->worker_open(d, &d->workers[i]);
			err = worker_start(&d->workers[i]);
		}
		if (err < 0) {
			log_error("worker %u: %s", i, strerror(-err));
			return 1;
		}
	}
	return 0;
}

static void start_signals(struct daemon *d)
{
	uv_signal_init(&d->main.loop, &d->on_term);
	uv_signal_init(&d->main.loop, &d->on_int);
	d->on_term.data = d->on_int.data = d;
	uv_signal_start(&d->on_term, on_signal, SIGTERM);
	uv_signal_start(&d->on_int, on_signal, SIGINT);
}

static int start(struct daemon *d)
{
	int code = open_control(d);

	if (code == 0)
		code = d->ops->start(d);
	if (code == 0)
		code = start_workers(d);
	return code;
}

int daemon_main(const struct daemon_ops *ops, int argc, char **argv, void *user)
{
	struct daemon *d = calloc(1, sizeof(*d));
	char comm[HOSTPORT_TEXT_MAX];
	int code;

	if (!d)
		abort();
	d->ops = ops;
	d->user = user;
	d->start_us = clock_now_us();
	switch (conf_parse(ops->module, argc, argv, scheduler_names, &d->conf)) {
	case CONF_DONE:
		free(d);
		return 0;
	case CONF_FAILED:
		free(d);
		return 2;
	case CONF_RUN:
		break;
	}
	memcpy(d->key.bytes, d->conf.key, d->conf.key_len);
	d->key.len = d->conf.key_len;
	log_init(ops->program, d->conf.log_level, d->conf.log_format);
	signal(SIGPIPE, SIG_IGN);
	json_object_seed(0); /* before there are threads */
	files_raise_limit();
	if (worker_init(&d->main, 0, d) < 0)
		abort();
	start_signals(d); /* whoever ends us while we begin must not find the default */
	code = start(d);
	if (code != 0)
		goto out;
	warn_if_open(d);
	hostport_text(d->conf.comm.host, d->conf.comm.port, comm);
	log_info("%s %s is running: comm %s, %u worker(s), memory limit %llu MiB", ops->program,
		 MPP_VERSION, comm, d->conf.workers,
		 (unsigned long long)(d->conf.memory_limit_bytes / MIB));
	/* Runs the main loop here, until its last handle is closed. */
	worker_join(&d->main);
	log_info("ended");
	free(d->workers);
	free(d);
	return 0;

out:
	if (d->workers) /* threads run: no orderly end is possible */
		_exit(code);
	stop_signals(d);
	if (d->control)
		control_close(d->control, NULL, NULL);
	worker_join(&d->main);
	free(d);
	return code;
}
