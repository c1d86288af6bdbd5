/* Changing the backends while the ingress runs, in two steps as the original's controller does:
 * update_topo_pre dials the new ones beside the old; update_topo waits until they are up at every
 * worker, then all of them switch, or none does. */
#include "common/base/log.h"
#include "common/module/report.h"
#include "ingress/ingress.h"

#include <stdlib.h>

/* ---- on the workers ---- */

/* Arguments: the prepared addresses. Those in use already keep their subflow. */
static void prepare(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;
	struct conf_address addresses[CONF_ADDRESSES_MAX];
	size_t count = topo_from_json(task_args(task), addresses);

	iw->generation++;
	for (size_t i = 0; i < count; i++)
		if (!ingress_find_backend(iw, &addresses[i]))
			ingress_add_backend(iw, addresses, i, BACKEND_PREPARED);
	task_done(task, NULL);
}

static void abort_prepared(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;

	list_for_each(node, &iw->backends) {
		struct backend *b = container_of(node, struct backend, node);

		if (b->state == BACKEND_PREPARED)
			ingress_close_backend(b);
	}
	task_done(task, NULL);
}

/* {"missing": {backend: why}}: a backend that several workers miss is one in their sum. */
json_t *ingress_are_up(void *user, bool is_late)
{
	const struct ingress_worker *iw = user;
	json_t *missing = json_object();

	list_for_each(node, &iw->backends) {
		const struct backend *b = container_of(node, struct backend, node);

		if (b->state == BACKEND_PREPARED && !b->uplink.is_up)
			json_object_set_new(missing, b->uplink.name,
					    json_string(uplink_trouble(&b->uplink)));
	}
	if (json_object_size(missing) == 0 || is_late)
		return json_pack("{s:o}", "missing", missing);
	json_decref(missing);
	return NULL;
}

/* Those that leave are drained, once another is up, and closed; or closed when it is late, or when
 * they do not get on. */
json_t *ingress_are_gone(void *user, bool is_late)
{
	struct ingress_worker *iw = user;
	json_int_t left = 0, cut = 0;

	list_for_each(node, &iw->backends) {
		struct backend *b = container_of(node, struct backend, node);

		if (b->state != BACKEND_LEAVING)
			continue;
		ingress_drain_backend(b);
		if (b->is_drained || is_late || (b->path && b->path->is_given_up)) {
			cut += !b->is_drained;
			ingress_close_backend(b);
		} else {
			left++;
		}
	}
	return left ? NULL : json_pack("{s:I}", "cut", cut);
}

static void wait_until_up(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;

	pending_begin(&iw->rise, task, iw->daemon->conf.topo_wait_ms);
}

static void keep_or_leave(struct backend *b, const struct conf_address *list, size_t count)
{
	const struct conf_address *a = topo_find(list, count, &b->uplink.backend);

	if (!a) {
		ingress_drain_backend(b);
		return;
	}
	b->rank = (uint16_t)(a - list);
	b->uplink.backend.ratio = a->ratio;
	if (!b->path)
		return;
	b->path->rank = b->rank;
	tunnel_set_weight(b->owner->end.tunnel, b->path, a->ratio);
}

/* Arguments: the addresses that are in use from now on. Those that are neither in use nor prepared
 * are dialled now. Done when the others are drained. */
static void commit(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;
	struct conf_address addresses[CONF_ADDRESSES_MAX];
	size_t count = topo_from_json(task_args(task), addresses);

	list_for_each(node, &iw->backends) {
		struct backend *b = container_of(node, struct backend, node);

		if (b->state == BACKEND_PREPARED)
			ingress_use_backend(b);
	}
	for (size_t i = 0; i < count; i++)
		if (!ingress_find_backend(iw, &addresses[i]))
			ingress_add_backend(iw, addresses, i, BACKEND_USED);
	list_for_each(old, &iw->backends) {
		struct backend *b = container_of(old, struct backend, node);

		if (b->state == BACKEND_USED)
			keep_or_leave(b, addresses, count);
	}
	pending_begin(&iw->leave, task, iw->daemon->conf.topo_wait_ms);
}

/* ---- on the main thread ---- */

static void on_prepared(struct daemon *d, json_t *result, void *user)
{
	struct ingress *in = d->user;

	(void)result;
	in->topo.is_busy = false;
	control_reply_ok(user, topo_ratios_json(in->topo.prepared.list, in->topo.prepared.count));
}

/* True when the request has been answered: some are not up, or the module ends. */
static bool has_failed(struct ingress *in, const json_t *result, const char *what,
		       struct control_request *req)
{
	const json_t *missing = json_object_get(result, "missing");
	char *text;

	if (daemon_refuses(in->daemon, req))
		return true;
	if (json_object_size(missing) == 0)
		return false;
	in->topo.is_busy = false;
	text = report_join(missing);
	control_reply_error(req, "timeout", "%s: %s", what, text);
	free(text);
	return true;
}

static void on_prepared_and_up(struct daemon *d, json_t *result, void *user)
{
	if (!has_failed(d->user, result, "not up yet", user))
		on_prepared(d, result, user);
}

static void on_prepared_then_wait(struct daemon *d, json_t *result, void *user)
{
	(void)result;
	if (!daemon_refuses(d, user))
		daemon_each(d, wait_until_up, NULL, on_prepared_and_up, user);
}

void ingress_topo_pre(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct topo *t = &((struct ingress *)d->user)->topo;
	bool waits = json_is_true(json_object_get(control_args(req), "wait"));
	json_t *args;
	char why[256];

	if (topo_is_taken(t, req))
		return;
	if (topo_parse(control_args(req), &t->used, &t->prepared, why) < 0) {
		control_reply_error(req, "bad_request", "%s", why);
		return;
	}
	t->is_prepared = t->is_busy = true;
	args = topo_to_json(t->prepared.list, t->prepared.count);
	daemon_each(d, prepare, args, waits ? on_prepared_then_wait : on_prepared, req);
	json_decref(args);
}

static void on_committed(struct daemon *d, json_t *result, void *user)
{
	struct topo *t = &((struct ingress *)d->user)->topo;
	json_t *reply;

	t->is_busy = false;
	log_info("topology changed: %zu backend(s)", t->used.count);
	reply = topo_reply_json(t->used.list, t->used.count, control_args(user));
	json_object_set_new(reply, "paths", json_integer((json_int_t)t->used.count));
	json_object_update(reply, result);
	control_reply_ok(user, reply);
}

/* All workers go over to these backends. */
static void begin_commit(struct ingress *in, const struct topo_list *next,
			 struct control_request *req)
{
	json_t *args = topo_to_json(next->list, next->count);

	in->topo.is_busy = true;
	in->topo.used = *next;
	daemon_each(in->daemon, commit, args, on_committed, req);
	json_decref(args);
}

static void on_all_up(struct daemon *d, json_t *result, void *user)
{
	struct ingress *in = d->user;

	if (has_failed(in, result, "topology unchanged, not up", user))
		return;
	in->topo.is_prepared = false;
	begin_commit(in, &in->topo.prepared, user);
}

void ingress_topo_commit(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct topo *t = &((struct ingress *)d->user)->topo;

	if (topo_lacks_prepared(t, "update_topo_pre comes first", req))
		return;
	t->is_busy = true;
	daemon_each(d, wait_until_up, NULL, on_all_up, req);
}

static void on_aborted(struct daemon *d, json_t *result, void *user)
{
	struct ingress *in = d->user;

	(void)result;
	in->topo.is_prepared = in->topo.is_busy = false;
	control_reply_ok(user, NULL);
}

void ingress_topo_abort(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct topo *t = &((struct ingress *)d->user)->topo;

	if (topo_lacks_prepared(t, "nothing is prepared", req))
		return;
	t->is_busy = true;
	daemon_each(d, abort_prepared, NULL, on_aborted, req);
}

/* ---- one address at a time ---- */

static void change_one(struct daemon *d, struct control_request *req, enum topo_change change)
{
	struct ingress *in = d->user;
	struct topo_list next;
	char why[256];

	if (topo_is_taken(&in->topo, req))
		return;
	if (topo_change(control_args(req), change, "backend", &in->topo.used, &next, why) < 0)
		control_reply_error(req, "bad_request", "%s", why);
	else
		begin_commit(in, &next, req);
}

void ingress_set_weight(void *user, struct control_request *req)
{
	change_one(user, req, TOPO_SET_WEIGHT);
}

void ingress_add_path(void *user, struct control_request *req)
{
	change_one(user, req, TOPO_ADD);
}

void ingress_remove_path(void *user, struct control_request *req)
{
	change_one(user, req, TOPO_REMOVE);
}
