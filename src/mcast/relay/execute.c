/* What control_client asks for: docs/multicast.md has the operations and their arguments. */
#include "mcast/relay/supervisor.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/version.h"
#include "mcast/common/rule_conf.h"
#include "mcast/common/rule_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Batches that are open at once, how long one may be unused, and what may be in one: each rule
 * there may be removed and added. */
#define BATCHES_MAX 16
#define BATCH_WAIT_S 60
#define BATCH_CHANGES_MAX ((size_t)2 * BOARD_SLOTS_MAX)
/* Who moves a stream by hand does not want it to be moved back at once. */
#define MOVED_REST_ROUNDS 600
/* Rules in one reply, when the asker does not say: 0.3 MB. */
#define PAGE_DEFAULT 1000

struct batch {
	struct list node;
	uint32_t id;
	uint64_t used_ns;
	struct rule_batch changes;
};

/* ---- batches ---- */

static void batch_free(struct batch *b)
{
	list_remove(&b->node);
	rule_batch_done(&b->changes);
	free(b);
}

void execute_done(struct supervisor *s)
{
	list_for_each_safe(node, &s->batches)
		batch_free(container_of(node, struct batch, node));
}

void execute_tick(struct supervisor *s)
{
	uint64_t now_ns = clock_now_ns();

	list_for_each_safe(node, &s->batches) {
		struct batch *b = container_of(node, struct batch, node);

		if (now_ns - b->used_ns > BATCH_WAIT_S * NS_PER_S)
			batch_free(b);
	}
}

static struct batch *find_batch(struct supervisor *s, const json_t *args)
{
	json_int_t id = json_integer_value(json_object_get(args, "batch"));

	list_for_each(node, &s->batches) {
		struct batch *b = container_of(node, struct batch, node);

		if (b->id != id)
			continue;
		b->used_ns = clock_now_ns();
		return b;
	}
	return NULL;
}

static void refuse_batch(struct control_request *req)
{
	control_reply_error(req, "not_found",
			    "batch: expected one that is open (unused for %d s, it is closed)",
			    BATCH_WAIT_S);
}

static void begin_batch(struct supervisor *s, struct control_request *req)
{
	struct batch *b;
	size_t count = 0;

	list_for_each(node, &s->batches)
		count++;
	if (count >= BATCHES_MAX) {
		control_reply_error(req, "busy", "expected fewer than %d open batches",
				    BATCHES_MAX);
		return;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	b->id = ++s->batch_last;
	b->used_ns = clock_now_ns();
	list_push_back(&s->batches, &b->node);
	control_reply_ok(req, json_pack("{s:I}", "batch", (json_int_t)b->id));
}

/* ---- changes ---- */

static const char *code_of(int err)
{
	switch (err) {
	case -EEXIST:
		return "exists";
	case -ENOENT:
		return "not_found";
	case -ELOOP:
		return "loop";
	case -ENOSPC:
		return "full";
	default:
		return "bad_request";
	}
}

static void count_changes(const struct rule_batch *b, size_t ret_counts[3])
{
	for (size_t i = 0; i < b->count; i++)
		ret_counts[b->changes[i].kind]++;
}

static void reply_changes(struct control_request *req, const struct rule_batch *b)
{
	size_t counts[3] = {0};

	count_changes(b, counts);
	log_info("%zu rules added, %zu changed, %zu removed", counts[RULE_ADD], counts[RULE_CHANGE],
		 counts[RULE_REMOVE]);
	control_reply_ok(req, json_pack("{s:I, s:I, s:I}", "added", (json_int_t)counts[RULE_ADD],
					"changed", (json_int_t)counts[RULE_CHANGE], "removed",
					(json_int_t)counts[RULE_REMOVE]));
}

static json_t *reply_of(struct supervisor *s, const char *name)
{
	struct stream *st = stream_find(s, name);
	json_t *body = json_pack("{s:s}", "name", name);
	const char *why;

	if (st && !stream_is_live(st, &why))
		json_object_set_new(body, "waiting", json_string(why));
	return body;
}

/* One change, at once or in a batch. */
static void change(struct supervisor *s, struct control_request *req, enum rule_change_kind kind,
		   const struct rule *rule)
{
	struct batch *b = find_batch(s, control_args(req));
	struct rule_batch one = {0};
	char why[WHY_BYTES_MAX];
	int err;

	if (!b && json_object_get(control_args(req), "batch")) {
		refuse_batch(req);
		return;
	}
	if (b && b->changes.count >= BATCH_CHANGES_MAX) {
		control_reply_error(req, "full", "batch: expected at most %zu changes",
				    BATCH_CHANGES_MAX);
		return;
	}
	rule_batch_push(b ? &b->changes : &one, kind, rule);
	if (b) {
		control_reply_ok(req, json_pack("{s:s}", "name", rule->name));
		return;
	}
	err = supervisor_apply(s, &one, why);
	if (err)
		control_reply_error(req, code_of(err), "%s", why);
	else
		control_reply_ok(req, reply_of(s, rule->name));
	rule_batch_done(&one);
}

static void change_to_rule(struct supervisor *s, struct control_request *req,
			   enum rule_change_kind kind)
{
	struct rule rule = {0};
	char why[WHY_BYTES_MAX];

	if (rule_from_json(json_object_get(control_args(req), "rule"), &rule, why) < 0)
		control_reply_error(req, "bad_request", "%s", why);
	else
		change(s, req, kind, &rule);
	rule_done(&rule);
}

static void add(struct supervisor *s, struct control_request *req)
{
	change_to_rule(s, req, RULE_ADD);
}

static void change_rule(struct supervisor *s, struct control_request *req)
{
	change_to_rule(s, req, RULE_CHANGE);
}

/* The name that is asked for, "" when there is none. False: it was refused. */
static bool name_of(struct control_request *req, char ret_name[RULE_NAME_MAX])
{
	const json_t *given = json_object_get(control_args(req), "name");
	const char *name = json_string_value(given);

	memset(ret_name, 0, RULE_NAME_MAX);
	if (!given)
		return true;
	if (!name || !*name || strlen(name) >= RULE_NAME_MAX) {
		control_reply_error(req, "bad_request",
				    "name: expected that of a rule, a text of 1 to %u characters",
				    RULE_NAME_MAX - 1);
		return false;
	}
	memcpy(ret_name, name, strlen(name));
	return true;
}

static void remove_rule(struct supervisor *s, struct control_request *req)
{
	struct rule rule = {0};

	if (!name_of(req, rule.name))
		return;
	if (!*rule.name)
		control_reply_error(req, "bad_request", "name: expected that of a rule");
	else
		change(s, req, RULE_REMOVE, &rule);
}

static void commit(struct supervisor *s, struct control_request *req)
{
	struct batch *b = find_batch(s, control_args(req));
	char why[WHY_BYTES_MAX];
	int err;

	if (!b) {
		refuse_batch(req);
		return;
	}
	err = supervisor_apply(s, &b->changes, why);
	if (err)
		control_reply_error(req, code_of(err), "%s", why);
	else
		reply_changes(req, &b->changes);
	batch_free(b);
}

static void abort_batch(struct supervisor *s, struct control_request *req)
{
	struct batch *b = find_batch(s, control_args(req));

	if (!b) {
		refuse_batch(req);
		return;
	}
	batch_free(b);
	control_reply_ok(req, NULL);
}

/* ---- the file ---- */

static void save(struct supervisor *s, struct control_request *req)
{
	const char *file = json_string_value(json_object_get(control_args(req), "file"));
	char why[WHY_BYTES_MAX];

	if (!file)
		file = s->options->config;
	if (!file)
		control_reply_error(req, "bad_request", "file: expected one; there is no --config");
	else if (rule_conf_write(file, s->rules, why) < 0)
		control_reply_error(req, "failed", "%s", why);
	else
		control_reply_ok(req, json_pack("{s:s, s:I}", "file", file, "count",
						(json_int_t)ruleset_count(s->rules)));
}

static void reload(struct supervisor *s, struct control_request *req)
{
	struct rule_batch batch = {0};
	char why[WHY_BYTES_MAX];

	if (!s->options->config)
		control_reply_error(req, "bad_request", "there is no --config to read again");
	else if (supervisor_load(s, s->options->config, &batch, why) < 0)
		control_reply_error(req, "failed", "%s", why);
	else
		reply_changes(req, &batch);
	rule_batch_done(&batch);
}

/* ---- looking ---- */

static void page_of(const struct control_request *req, size_t *ret_from, size_t *ret_count)
{
	const json_t *args = control_args(req);
	json_int_t from = json_integer_value(json_object_get(args, "from"));
	json_int_t count = json_integer_value(json_object_get(args, "count"));

	*ret_from = from > 0 ? (size_t)from : 0;
	*ret_count = count > 0 ? (size_t)count : PAGE_DEFAULT;
}

static void list(struct supervisor *s, struct control_request *req)
{
	size_t from, count;

	page_of(req, &from, &count);
	control_reply_ok(req, report_list(s, from, count));
}

static void stats(struct supervisor *s, struct control_request *req)
{
	char name[RULE_NAME_MAX];
	size_t from, count;

	if (!name_of(req, name))
		return;
	page_of(req, &from, &count);
	if (*name && !stream_find(s, name))
		control_reply_error(req, "not_found", "rule \"%s\": expected one of `list`", name);
	else
		control_reply_ok(req, report_stats(s, name, from, count));
}

static void workers(struct supervisor *s, struct control_request *req)
{
	control_reply_ok(req, report_workers(s));
}

static void ping(struct supervisor *s, struct control_request *req)
{
	control_reply_ok(req, json_pack("{s:i, s:s, s:f}", "pid", (int)getpid(), "version",
					MPP_VERSION, "uptime_s",
					(double)(clock_now_ns() - s->began_ns) / (double)NS_PER_S));
}

static void metrics(struct supervisor *s, struct control_request *req)
{
	char *text = report_metrics(s);

	control_reply_ok(req, json_pack("{s:s}", "text", text));
	free(text);
}

static void health_check(struct supervisor *s, struct control_request *req)
{
	control_reply_ok(req,
			 json_pack("{s:b, s:i}", "live", 1, "rules", (int)ruleset_count(s->rules)));
}

/* ---- workers ---- */

/* The worker that is asked for; NULL: it was answered. */
static struct process *worker_of(struct supervisor *s, struct control_request *req)
{
	const json_t *number = json_object_get(control_args(req), "worker");
	json_int_t index = json_integer_value(number);
	struct process *p = NULL;

	if (!json_is_integer(number) || index < 0 || index >= s->options->worker_count) {
		control_reply_error(req, "not_found", "worker: expected 0 to %u",
				    s->options->worker_count - 1);
		return NULL;
	}
	p = staff_at(s, (uint32_t)index);
	if (!p)
		control_reply_error(req, "busy", "worker %d: it is being started again",
				    (int)index);
	return p;
}

static void move(struct supervisor *s, struct control_request *req)
{
	struct process *to = worker_of(s, req);
	struct stream *st;
	char name[RULE_NAME_MAX];

	if (!to || !name_of(req, name))
		return;
	st = stream_find(s, name);
	if (!st) {
		control_reply_error(req, "not_found", "rule \"%s\": expected one of `list`", name);
		return;
	}
	if (!stream_move(st, to)) {
		control_reply_error(req, "busy", "rule \"%s\": it is being moved already", name);
		return;
	}
	st->rest_rounds = MOVED_REST_ROUNDS;
	control_reply_ok(req, NULL);
}

static void restart_worker(struct supervisor *s, struct control_request *req)
{
	struct process *old = worker_of(s, req);

	if (!old)
		return;
	if (staff_replace(s, old) < 0)
		control_reply_error(req, "failed", "no process can be started");
	else
		control_reply_ok(req, NULL);
}

/* ---- the end ---- */

static void detach(struct supervisor *s, struct control_request *req)
{
	if (s->ending_request)
		control_reply_error(req, "busy", "it is about to detach");
	else
		supervisor_leave(s, req);
}

static void shut_down(struct supervisor *s, struct control_request *req)
{
	supervisor_stay(s, "all of it ends");
	s->ending_request = req;
	supervisor_end(s, false);
}

static const struct {
	const char *op;
	void (*run)(struct supervisor *s, struct control_request *req);
} operations[] = {
	{"ping", ping},		 {"add", add},		 {"change", change_rule},
	{"remove", remove_rule}, {"batch", begin_batch}, {"commit", commit},
	{"abort", abort_batch},	 {"list", list},	 {"stats", stats},
	{"workers", workers},	 {"move", move},	 {"restart-worker", restart_worker},
	{"save", save},		 {"reload", reload},	 {"detach", detach},
	{"shutdown", shut_down}, {"metrics", metrics},	 {"health_check", health_check},
};

void execute(void *user, struct control_request *req)
{
	struct supervisor *s = user;

	if (s->is_adopting || !s->board || s->is_ending) {
		control_reply_error(req, "busy", "it is %s", s->is_ending ? "ending" : "beginning");
		return;
	}
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		if (strcmp(operations[i].op, control_op(req)) != 0)
			continue;
		operations[i].run(s, req);
		return;
	}
	control_reply_error(req, "bad_request", "op \"%.40s\": expected one of docs/multicast.md",
			    control_op(req));
}
