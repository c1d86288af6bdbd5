/* What the comm socket asks of one egress worker. */
#include "common/base/hostport.h"
#include "common/module/report.h"
#include "egress/egress.h"

#include <stdlib.h>

static struct egress_tunnel *tunnel_of(struct list *node)
{
	return container_of(node, struct egress_tunnel, node);
}

void egress_health(struct worker *w, struct task *task)
{
	struct egress_worker *ew = w->user;
	json_t *degraded = json_array();
	int ways = 0;

	list_for_each(node, &ew->tunnels) {
		struct egress_tunnel *t = tunnel_of(node);
		char text[TUNNEL_ID_TEXT_BYTES];

		ways += (int)t->end.tunnel->path_count;
		tunnel_id_text(&t->end.tunnel->config.id, text);
		if (t->end.tunnel->path_count == 0)
			json_array_append_new(degraded, json_sprintf("tunnel %s: no path", text));
	}
	if (ew->server_why[0]) {
		const struct conf_address *server = &ew->daemon->conf.backend[0];
		char name[HOSTPORT_TEXT_MAX];

		hostport_text(server->host, server->port, name);
		json_array_append_new(degraded,
				      json_sprintf("server %s: %s", name, ew->server_why));
	}
	task_done(task, json_pack("{s:i, s:o}", "ways", ways, "degraded", degraded));
}

static json_t *leg_json(const struct leg *leg)
{
	const struct end *e = &leg->tunnel->end;
	uint64_t sent_total = end_sent_bytes(e);
	json_t *j = leg->path ? end_path_json(e, leg->path)
			      : json_pack("{s:s, s:s, s:s}", "peer", subflow_peer(leg->subflow),
					  "state", "down", "why", "not proven yet");
	double share =
		leg->path && sent_total ? (double)leg->path->sent_bytes / (double)sent_total : 0;

	report_put(j, "worker", e->worker->index);
	json_object_set_new(j, "side", json_string("listen"));
	report_put_address(j, "listener", &leg->listener);
	report_put(j, "ratio", leg->listener.ratio);
	json_object_set_new(j, "share", json_real(share));
	return j;
}

static json_t *paths_json(const struct egress_worker *ew)
{
	json_t *list = json_array();

	list_for_each(node, &ew->tunnels)
		list_for_each(leg, &tunnel_of(node)->legs)
			json_array_append_new(list, leg_json(container_of(leg, struct leg, node)));
	return list;
}

void egress_paths(struct worker *w, struct task *task)
{
	task_done(task, json_pack("{s:o}", "paths", paths_json(w->user)));
}

void egress_stats(struct worker *w, struct task *task)
{
	struct egress_worker *ew = w->user;
	json_t *stats = report_begin(&ew->budget);

	report_add_counters(stats, &ew->gone);
	list_for_each(node, &ew->tunnels)
		report_add_tunnel(stats, tunnel_of(node)->end.tunnel);
	json_object_set_new(stats, "paths", paths_json(ew));
	task_done(task, stats);
}

static size_t session_count(const struct egress_worker *ew)
{
	size_t count = 0;

	list_for_each(node, &ew->tunnels)
		count += tunnel_session_count(tunnel_of(node)->end.tunnel);
	return count;
}

void egress_sessions(struct worker *w, struct task *task)
{
	struct egress_worker *ew = w->user;
	size_t limit = report_limit(task_args(task));
	json_t *list = json_array();

	list_for_each(node, &ew->tunnels) {
		json_t *some =
			end_sessions_json(&tunnel_of(node)->end, limit - json_array_size(list));

		json_array_extend(list, some);
		json_decref(some);
	}
	task_done(task, json_pack("{s:o, s:I}", "sessions", list, "total",
				  (json_int_t)session_count(ew)));
}

void egress_reset(struct worker *w, struct task *task)
{
	struct egress_worker *ew = w->user;
	size_t count = 0;

	list_for_each(node, &ew->tunnels) {
		struct end *e = &tunnel_of(node)->end;

		count += tunnel_reset_all(e->tunnel, RESET_BY_OPERATOR, "reset by the operator",
					  worker_now(w));
		end_wake(e);
	}
	task_done(task, json_pack("{s:I}", "sessions", (json_int_t)count));
}

void egress_set_scheduler(struct worker *w, struct task *task)
{
	struct egress_worker *ew = w->user;
	const char *name = json_string_value(json_object_get(task_args(task), "scheduler"));

	ew->scheduler = scheduler_find(name);
	list_for_each(node, &ew->tunnels) {
		struct end *e = &tunnel_of(node)->end;

		tunnel_set_scheduler(e->tunnel, ew->scheduler);
		end_wake(e);
	}
	task_done(task, NULL);
}

/* ---- ending ---- */

json_t *egress_is_idle(void *user, bool is_late)
{
	return session_count(user) == 0 || is_late ? json_object() : NULL;
}

void egress_drain(struct worker *w, struct task *task)
{
	struct egress_worker *ew = w->user;
	json_int_t drain_ms = json_integer_value(json_object_get(task_args(task), "drain_ms"));

	ew->is_ending = true;
	pending_begin(&ew->drain, task, (uint64_t)drain_ms);
}

void egress_stop(struct worker *w, struct task *task)
{
	struct egress_worker *ew = w->user;

	ew->is_ending = ew->is_stopping = true;
	pending_close(&ew->drain);
	pending_close(&ew->leave);
	list_for_each_safe(node, &ew->tunnels) {
		tunnel_send_close(tunnel_of(node)->end.tunnel);
		egress_end_tunnel(tunnel_of(node));
	}
	if (ew->ending_count == 0)
		worker_stop(w);
	task_done(task, NULL);
}
