/* Changing the listeners while the egress runs: update_topo_pre binds the new ones beside the
 * old, update_topo closes those that are not wanted any more and drains the subflows that came in
 * by them, of every tunnel that has others. */
#include "common/base/log.h"
#include "egress/egress.h"

#include <string.h>

/* ---- on the workers ---- */

static bool is_on(const struct leg *leg, const struct conf_address *list, size_t count)
{
	return leg->path && topo_find(list, count, &leg->listener);
}

/* An old leg is drained once its tunnel has one that stays; a tunnel without keeps what it has, and
 * is told about. */
static bool drain_tunnel(struct egress_tunnel *t, const struct conf_address *list, size_t count)
{
	bool stays = false;

	list_for_each(node, &t->legs)
		stays |= is_on(container_of(node, struct leg, node), list, count);
	if (!stays)
		return false;
	list_for_each(node, &t->legs) {
		struct leg *leg = container_of(node, struct leg, node);

		if (topo_find(list, count, &leg->listener))
			continue;
		leg->is_leaving = true;
		if (leg->path)
			end_drain_path(&t->end, leg->path);
	}
	return true;
}

static size_t close_drained(struct egress_tunnel *t, bool is_late)
{
	size_t left = 0;

	list_for_each_safe(node, &t->legs) {
		struct leg *leg = container_of(node, struct leg, node);

		if (leg->is_leaving && (leg->is_drained || is_late))
			egress_close_leg(leg);
		else
			left += leg->is_leaving;
	}
	return left;
}

json_t *egress_are_gone(void *user, bool is_late)
{
	struct egress_worker *ew = user;
	size_t left = 0;

	list_for_each(node, &ew->tunnels)
		left += close_drained(container_of(node, struct egress_tunnel, node), is_late);
	return left ? NULL : json_pack("{s:o}", "tunnels_left_behind", ew->left_behind);
}

/* A listener's ratio may have changed. */
static void set_weights(struct egress_tunnel *t, const struct conf_address *list, size_t count)
{
	list_for_each(node, &t->legs) {
		struct leg *leg = container_of(node, struct leg, node);
		const struct conf_address *now = topo_find(list, count, &leg->listener);

		if (now && now->ratio != leg->listener.ratio) {
			leg->listener.ratio = now->ratio;
			egress_share_weight(t, now);
		}
	}
}

/* Arguments: the listeners in use. Done when the legs on others are drained. */
static void leave_others(struct worker *w, struct task *task)
{
	struct egress_worker *ew = w->user;
	struct conf_address addresses[CONF_ADDRESSES_MAX];
	size_t count = topo_from_json(task_args(task), addresses);

	ew->left_behind = json_array();
	list_for_each(node, &ew->tunnels) {
		struct egress_tunnel *t = container_of(node, struct egress_tunnel, node);
		char text[TUNNEL_ID_TEXT_BYTES];

		tunnel_id_text(&t->end.tunnel->config.id, text);
		set_weights(t, addresses, count);
		if (!drain_tunnel(t, addresses, count))
			json_array_append_new(ew->left_behind, json_string(text));
	}
	pending_begin(&ew->leave, task, ew->daemon->conf.topo_wait_ms);
}

/* ---- on the main thread ---- */

void egress_topo_pre(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct egress *eg = d->user;
	struct topo *t = &eg->topo;
	char why[256];

	if (topo_is_taken(t, req))
		return;
	if (topo_parse(control_args(req), &t->used, &t->prepared, why) < 0) {
		control_reply_error(req, "bad_request", "%s", why);
		return;
	}
	if (gate_add(&eg->gate, t->prepared.list, t->prepared.count, why) < 0) {
		control_reply_error(req, "busy", "%s", why);
		return;
	}
	t->is_prepared = true;
	control_reply_ok(req, topo_ratios_json(t->prepared.list, t->prepared.count));
}

static void on_listed(struct daemon *d, json_t *result, void *user)
{
	struct topo *t = &((struct egress *)d->user)->topo;
	json_t *reply;

	t->is_busy = false;
	reply = topo_reply_json(t->used.list, t->used.count, control_args(user));
	json_object_set_new(reply, "listeners", json_integer((json_int_t)t->used.count));
	json_object_update(reply, result);
	control_reply_ok(user, reply);
}

/* All workers go over to these listeners, which are open. */
static void begin_commit(struct daemon *d, const struct topo_list *next,
			 struct control_request *req)
{
	struct egress *eg = d->user;
	json_t *args = topo_to_json(next->list, next->count);

	eg->topo.is_busy = true;
	eg->topo.used = *next;
	gate_keep(&eg->gate, next->list, next->count);
	log_info("topology changed: %zu listener(s)", next->count);
	daemon_each(d, leave_others, args, on_listed, req);
	json_decref(args);
}

void egress_topo_commit(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct topo *t = &((struct egress *)d->user)->topo;

	if (topo_lacks_prepared(t, "update_topo_pre comes first", req))
		return;
	t->is_prepared = false;
	begin_commit(d, &t->prepared, req);
}

void egress_topo_abort(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct egress *eg = d->user;

	if (topo_lacks_prepared(&eg->topo, "nothing is prepared", req))
		return;
	eg->topo.is_prepared = false;
	gate_keep(&eg->gate, eg->topo.used.list, eg->topo.used.count);
	control_reply_ok(req, NULL);
}

/* ---- one address at a time ---- */

static void change_one(struct daemon *d, struct control_request *req, enum topo_change change)
{
	struct egress *eg = d->user;
	struct topo_list next;
	char why[256];

	if (topo_is_taken(&eg->topo, req))
		return;
	if (topo_change(control_args(req), change, "listener", &eg->topo.used, &next, why) < 0)
		control_reply_error(req, "bad_request", "%s", why);
	else if (gate_add(&eg->gate, next.list, next.count, why) < 0)
		control_reply_error(req, "busy", "%s", why);
	else
		begin_commit(d, &next, req);
}

void egress_set_weight(void *user, struct control_request *req)
{
	change_one(user, req, TOPO_SET_WEIGHT);
}

void egress_add_path(void *user, struct control_request *req)
{
	change_one(user, req, TOPO_ADD);
}

void egress_remove_path(void *user, struct control_request *req)
{
	change_one(user, req, TOPO_REMOVE);
}
