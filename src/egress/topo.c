/* Changing the listeners while the egress runs: update_topo_pre binds the new ones beside the
 * old, update_topo closes those that are not wanted any more. Subflows that came in by a closed
 * listener stay until their ingress, which has its own update_topo, hangs up. */
#include "common/module/topo.h"
#include "common/base/log.h"
#include "egress/egress.h"

#include <string.h>

void egress_topo_pre(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct egress *eg = d->user;
	char why[256];

	if (eg->is_prepared) {
		control_reply_error(req, "busy",
				    "a topology is prepared already: update_topo or "
				    "abort_topo first");
		return;
	}
	if (topo_parse(control_args(req), eg->listeners, eg->listener_count, eg->prepared,
		       &eg->prepared_count, why) < 0) {
		control_reply_error(req, "bad_request", "%s", why);
		return;
	}
	if (gate_add(&eg->gate, eg->prepared, eg->prepared_count, why) < 0) {
		control_reply_error(req, "busy", "%s", why);
		return;
	}
	eg->is_prepared = true;
	control_reply_ok(req, topo_ratios_json(eg->prepared, eg->prepared_count));
}

/* Arguments: the listeners in use. Says which tunnels have no subflow on any of them. */
static void list_left_behind(struct worker *w, struct task *task)
{
	struct egress_worker *ew = w->user;
	struct conf_address addresses[CONF_ADDRESSES_MAX];
	size_t count = topo_from_json(task_args(task), addresses);
	json_t *left = json_array();

	list_for_each(node, &ew->tunnels) {
		struct egress_tunnel *t = container_of(node, struct egress_tunnel, node);
		bool has_new = false;
		char text[TUNNEL_ID_TEXT_BYTES];

		list_for_each(n, &t->legs) {
			const struct leg *leg = container_of(n, struct leg, node);

			has_new |= leg->path && topo_find(addresses, count, &leg->listener);
		}
		tunnel_id_text(&t->end.tunnel->config.id, text);
		if (!has_new)
			json_array_append_new(left, json_string(text));
	}
	task_done(task, json_pack("{s:o}", "tunnels_left_behind", left));
}

static void on_listed(struct daemon *d, json_t *result, void *user)
{
	struct egress *eg = d->user;

	json_object_set_new(result, "listeners", json_integer((json_int_t)eg->listener_count));
	control_reply_ok(user, json_incref(result));
}

void egress_topo_commit(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct egress *eg = d->user;
	json_t *args;

	if (!eg->is_prepared) {
		control_reply_error(req, "not_prepared", "update_topo_pre comes first");
		return;
	}
	eg->is_prepared = false;
	memcpy(eg->listeners, eg->prepared, sizeof(eg->listeners));
	eg->listener_count = eg->prepared_count;
	gate_keep(&eg->gate, eg->listeners, eg->listener_count);
	log_info("topology changed: %zu listener(s)", eg->listener_count);
	args = topo_to_json(eg->listeners, eg->listener_count);
	daemon_each(d, list_left_behind, args, on_listed, req);
	json_decref(args);
}

void egress_topo_abort(void *user, struct control_request *req)
{
	struct daemon *d = user;
	struct egress *eg = d->user;

	if (!eg->is_prepared) {
		control_reply_error(req, "not_prepared", "nothing is prepared");
		return;
	}
	eg->is_prepared = false;
	gate_keep(&eg->gate, eg->listeners, eg->listener_count);
	control_reply_ok(req, NULL);
}
