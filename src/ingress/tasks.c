/* What the comm socket asks of one ingress worker. */
#include "common/module/report.h"
#include "ingress/ingress.h"

#include <stdlib.h>

void ingress_health(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;
	json_t *degraded = json_array();
	int ways = 0;

	list_for_each(node, &iw->backends) {
		struct backend *b = container_of(node, struct backend, node);

		ways += b->state == BACKEND_LEAVING && b->path && b->path->state != PATH_DRAINING;
		if (b->state != BACKEND_USED)
			continue;
		ways += b->path != NULL;
		if (!b->path)
			json_array_append_new(degraded,
					      json_sprintf("backend %s: %s", b->uplink.name,
							   uplink_trouble(&b->uplink)));
	}
	task_done(task, json_pack("{s:i, s:o}", "ways", ways, "degraded", degraded));
}

static json_t *backend_json(const struct ingress_worker *iw, const struct backend *b,
			    uint64_t sent_total)
{
	const struct uplink *u = &b->uplink;
	json_t *j = b->path ? end_path_json(&iw->end, b->path)
			    : json_pack("{s:s, s:s}", "state", "dialling", "why", u->why);
	double share = b->path && sent_total ? (double)b->path->sent_bytes / (double)sent_total : 0;

	json_object_set_new(j, "peer", json_string(u->name));
	report_put(j, "worker", iw->worker->index);
	json_object_set_new(j, "side", json_string("backend"));
	report_put(j, "ratio", u->backend.ratio);
	json_object_set_new(j, "share", json_real(share));
	report_put(j, "dials", u->dials);
	report_put(j, "losses", u->losses);
	report_put(j, "redials", u->redials);
	return j;
}

static json_t *paths_json(const struct ingress_worker *iw)
{
	uint64_t sent_total = end_sent_bytes(&iw->end);
	json_t *list = json_array();

	list_for_each(node, &iw->backends) {
		const struct backend *b = container_of(node, struct backend, node);

		if (b->state != BACKEND_CLOSED)
			json_array_append_new(list, backend_json(iw, b, sent_total));
	}
	return list;
}

void ingress_paths(struct worker *w, struct task *task)
{
	task_done(task, json_pack("{s:o}", "paths", paths_json(w->user)));
}

void ingress_stats(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;
	json_t *stats = report_begin(&iw->budget);

	report_add_tunnel(stats, iw->end.tunnel);
	json_object_set_new(stats, "connections",
			    json_pack("{s:I}", "accepted_total", (json_int_t)iw->accepted));
	json_object_set_new(stats, "paths", paths_json(iw));
	task_done(task, stats);
}

void ingress_sessions(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;
	size_t limit = report_limit(task_args(task));

	task_done(task, json_pack("{s:o, s:I}", "sessions", end_sessions_json(&iw->end, limit),
				  "total", (json_int_t)tunnel_session_count(iw->end.tunnel)));
}

void ingress_reset(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;
	size_t count = tunnel_reset_all(iw->end.tunnel, RESET_BY_OPERATOR, "reset by the operator",
					worker_now(w));

	end_wake(&iw->end);
	task_done(task, json_pack("{s:I}", "sessions", (json_int_t)count));
}

void ingress_set_scheduler(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;
	const char *name = json_string_value(json_object_get(task_args(task), "scheduler"));

	tunnel_set_scheduler(iw->end.tunnel, scheduler_find(name));
	end_wake(&iw->end);
	task_done(task, NULL);
}

/* ---- ending ---- */

json_t *ingress_is_idle(void *user, bool is_late)
{
	const struct ingress_worker *iw = user;

	return tunnel_session_count(iw->end.tunnel) == 0 || is_late ? json_object() : NULL;
}

void ingress_drain(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;
	json_int_t drain_ms = json_integer_value(json_object_get(task_args(task), "drain_ms"));

	listener_close(iw->listener);
	iw->listener = NULL;
	pending_begin(&iw->drain, task, (uint64_t)drain_ms);
}

void ingress_stop(struct worker *w, struct task *task)
{
	struct ingress_worker *iw = w->user;

	pending_close(&iw->drain);
	pending_close(&iw->rise);
	pending_close(&iw->leave);
	listener_close(iw->listener);
	iw->listener = NULL;
	tunnel_send_close(iw->end.tunnel);
	list_for_each(node, &iw->backends)
		ingress_close_backend(container_of(node, struct backend, node));
	end_close(&iw->end);
	task_done(task, NULL);
}
