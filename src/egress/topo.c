/* Changing the listeners while the egress runs: update_topo_pre binds the new ones beside the
 * old, update_topo closes those that are not wanted any more and drains the subflows that came in
 * by them, of every tunnel that has others. */
#include "common/base/log.h"
#include "egress/egress.h"

#include <string.h>

/* ---- on the workers ---- */

/* Is there a leg that stays and can take what the others carry? One that is only prepared cannot:
 * the ingress has not carried out its part of the change, and perhaps never will. */
static bool has_gone_over(const struct egress_tunnel *t)
{
	list_for_each(node, &t->legs) {
		const struct leg *leg = container_of(node, struct leg, node);
		const struct path *p = leg->path;

		if (p && (p->state == PATH_ACTIVE || p->state == PATH_PARKED) && leg_listener(leg))
			return true;
	}
	return false;
}

/* What has become of the subflows on listeners that are closed. */
struct leavers {
	json_int_t left; /* not closed yet */
	json_int_t cut;	 /* closed without having been drained */
};

/* It leaves as soon as it may, and is cut when it is late, or does not get on. */
static void look_at_leaver(struct leg *leg, bool may_leave, bool is_late, struct leavers *l)
{
	if (!leg->path) { /* it has not been up yet, and is not to come into use */
		if (may_leave)
			leg_close(leg);
		return;
	}
	if (may_leave) {
		leg->is_leaving = true;
		end_drain_path(&leg->tunnel->end, leg->path);
	}
	if (leg->is_leaving && (leg->is_drained || is_late || leg->path->is_given_up)) {
		l->cut += !leg->is_drained;
		leg_close(leg);
	} else {
		l->left++;
	}
}

static void look_at_tunnel(struct egress_tunnel *t, bool is_late, struct leavers *l)
{
	bool may_leave = has_gone_over(t);

	list_for_each_safe(node, &t->legs) {
		struct leg *leg = container_of(node, struct leg, node);

		if (!leg_listener(leg))
			look_at_leaver(leg, may_leave, is_late, l);
	}
}

/* At the end of the waiting: it has kept what came in by listeners that are closed, or has nothing
 * at all. */
static bool is_left_behind(const struct egress_tunnel *t)
{
	bool has_path = false;

	list_for_each(node, &t->legs) {
		const struct leg *leg = container_of(node, struct leg, node);

		if (leg->path && !leg_listener(leg))
			return true;
		has_path |= leg->path != NULL;
	}
	return t->had_path && !has_path;
}

static json_t *left_behind_json(const struct egress_worker *ew)
{
	json_t *list = json_array();

	list_for_each(node, &ew->tunnels) {
		const struct egress_tunnel *t = container_of(node, struct egress_tunnel, node);
		char text[TUNNEL_ID_TEXT_BYTES];

		tunnel_id_text(&t->end.tunnel->config.id, text);
		if (is_left_behind(t))
			json_array_append_new(list, json_string(text));
	}
	return list;
}

json_t *egress_are_gone(void *user, bool is_late)
{
	struct egress_worker *ew = user;
	struct leavers l = {0};

	list_for_each(node, &ew->tunnels)
		look_at_tunnel(container_of(node, struct egress_tunnel, node), is_late, &l);
	if (l.left > 0 && !is_late)
		return NULL;
	return json_pack("{s:o, s:I}", "tunnels_left_behind", left_behind_json(ew), "cut", l.cut);
}

/* A listener's ratio may have changed, or its place. */
static void take_over(struct egress_tunnel *t)
{
	list_for_each(node, &t->legs) {
		struct leg *leg = container_of(node, struct leg, node);
		const struct conf_address *now = leg_listener(leg);

		leg_set_rank(leg);
		if (now && now->ratio != leg->listener.ratio) {
			leg->listener.ratio = now->ratio;
			leg_share_weight(t, now);
		}
	}
}

/* Arguments: the listeners in use. Done when the legs on others are drained, and those tunnels that
 * have only such have had their time to go over. */
static void leave_others(struct worker *w, struct task *task)
{
	struct egress_worker *ew = w->user;

	ew->listeners.count = topo_from_json(task_args(task), ew->listeners.list);
	list_for_each(node, &ew->tunnels)
		take_over(container_of(node, struct egress_tunnel, node));
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
