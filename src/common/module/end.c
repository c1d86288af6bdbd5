/* Wires the tunnel core to the loop: frames to and from subflows, sessions to and from edges, and
 * one alarm. */
#include "common/module/end.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/rng.h"
#include "common/module/edge.h"
#include "common/module/report.h"

#include <errno.h>

/* ---- the core's environment ---- */

static struct end *end_of(const struct tunnel *t)
{
	return t->user;
}

static void send_frame(struct path *p, const struct frame *head, const uint8_t *control,
		       const struct slice *data)
{
	p->is_blocked = !subflow_send(p->user, head, control, data);
}

static void on_opened(struct session *s, const struct open_info *info)
{
	struct end *e = end_of(s->tunnel);

	e->ops->opened(e, s, info);
}

static void on_drained(struct path *p)
{
	struct end *e = end_of(p->tunnel);

	e->ops->drained(e, p);
}

static void on_tunnel_closed(struct tunnel *t)
{
	struct end *e = end_of(t);

	e->ops->closed(e);
}

static const struct tunnel_ops tunnel_ops = {
	.send = send_frame,
	.pull = edge_pull,
	.opened = on_opened,
	.deliverable = edge_deliverable,
	.ended = edge_ended,
	.drained = on_drained,
	.closed = on_tunnel_closed,
};

/* ---- running ---- */

static void on_alarm(struct alarm *a)
{
	end_wake(container_of(a, struct end, alarm));
}

static void set_alarm(struct end *e)
{
	uint64_t now_us = worker_now(e->worker);
	uint64_t at_us = tunnel_next_run_at(e->tunnel, now_us);
	uint64_t look_us = now_us + LINGER_LOOK_MS * US_PER_MS;

	if (!list_is_empty(&e->closing) && look_us < at_us)
		at_us = look_us;
	alarm_set(&e->alarm, at_us);
}

static void run(struct deferred *d)
{
	struct end *e = container_of(d, struct end, run);

	if (e->is_closing)
		return;
	edge_look_at_closing(e);
	for (size_t i = 0; i < e->tunnel->path_count; i++)
		e->tunnel->paths[i]->hop_base_rtt_us =
			subflow_base_rtt_us(e->tunnel->paths[i]->user);
	tunnel_run(e->tunnel, worker_now(e->worker));
	set_alarm(e);
}

void end_wake(struct end *e)
{
	if (!e->is_closing)
		worker_defer(e->worker, TURN_RUN, &e->run);
}

/* ---- life ---- */

struct tunnel_config end_tunnel_config(const struct conf *conf)
{
	struct tunnel_config config = {
		.window_max_bytes = conf->window_max_bytes,
		.first_credit = FIRST_CREDIT_BYTES,
		.client_wait_us = conf->client_wait_ms * US_PER_MS,
		.session_wait_us = conf->session_wait_ms * US_PER_MS,
		.open_wait_us = conf->open_wait_ms * US_PER_MS,
		.reset_wait_us = conf->reset_wait_ms * US_PER_MS,
	};

	random_bytes(&config.seed, sizeof(config.seed));
	return config;
}

void end_budget_init(struct budget *b, const struct conf *conf)
{
	uint32_t sessions = (conf->sessions_max + conf->workers - 1) / conf->workers;

	budget_init(b, conf->memory_limit_bytes / conf->workers, sessions, FIRST_CREDIT_BYTES);
}

void end_init(struct end *e, struct worker *w, const struct conf *conf,
	      const struct tunnel_config *config, struct budget *budget, const struct end_ops *ops,
	      void *user)
{
	*e = (struct end){.ops = ops, .user = user, .worker = w, .conf = conf};
	list_init(&e->edges);
	list_init(&e->closing);
	deferred_init(&e->run, run);
	alarm_open(&e->alarm, w, on_alarm);
	e->tunnel = tunnel_new(config, &tunnel_ops, budget, e, worker_now(w));
	end_wake(e);
}

void end_renew(struct end *e, const struct tunnel_id *id, enum reset_code code, const char *reason)
{
	tunnel_renew(e->tunnel, id, code, reason);
	end_wake(e);
}

static void on_alarm_closed(struct alarm *a)
{
	struct end *e = container_of(a, struct end, alarm);

	e->ops->freed(e);
}

void end_close(struct end *e)
{
	e->is_closing = true;
	tunnel_free(e->tunnel);
	e->tunnel = NULL;
	edge_abort_all(e);
	deferred_cancel(&e->run);
	alarm_close(&e->alarm, on_alarm_closed);
}

/* ---- paths ---- */

struct path *end_add_path(struct end *e, struct subflow *sf, uint32_t weight, uint32_t payload_max)
{
	end_wake(e);
	return tunnel_add_path(e->tunnel, weight, payload_max, sf);
}

void end_remove_path(struct end *e, struct path *p)
{
	if (!p)
		return;
	tunnel_path_undelivered(p, subflow_undelivered_bytes(p->user));
	tunnel_remove_path(e->tunnel, p, worker_now(e->worker));
	end_wake(e);
}

int end_receive(struct end *e, struct path *p, const struct frame *head, const uint8_t *control,
		const struct slice *data)
{
	if (!p)
		return -EPROTO;
	end_wake(e);
	return tunnel_receive(e->tunnel, p, head, control, data, worker_now(e->worker));
}

void end_blocked(struct path *p)
{
	if (p)
		p->is_blocked = true;
}

void end_room(struct end *e, struct path *p)
{
	if (!p)
		return;
	p->is_blocked = false;
	end_wake(e);
}

void end_stalled(struct end *e, struct path *p, bool is_stalled)
{
	if (!p)
		return;
	tunnel_path_stalled(e->tunnel, p, is_stalled, worker_now(e->worker));
	end_wake(e);
}

void end_drain_path(struct end *e, struct path *p)
{
	tunnel_drain_path(e->tunnel, p);
	end_wake(e);
}

/* ---- for people ---- */

static json_t *session_json(const struct end *e, const struct session *s, const char *tunnel)
{
	uint64_t now_us = worker_now(e->worker);
	const struct edge *edge = s->user;
	json_t *j = json_pack("{s:s, s:s, s:s}", "tunnel", tunnel, "peer", edge ? edge->peer : "",
			      "state", session_state_name(s));

	report_put(j, "worker", e->worker->index);
	report_put(j, "id", s->id);
	report_put(j, "sent_bytes", s->out.next - s->out.has_fin);
	report_put(j, "acked_bytes", s->out.acked);
	report_put(j, "received_bytes", s->in.next);
	report_put(j, "delivered_bytes", s->in.consumed);
	report_put(j, "send_credit_bytes", s->out.credit - s->out.next);
	report_put(j, "window_bytes", s->window_bytes);
	report_put(j, "age_ms", (now_us - s->opened_us) / US_PER_MS);
	report_put(j, "idle_ms", (now_us - s->active_us) / US_PER_MS);
	return j;
}

json_t *end_sessions_json(const struct end *e, size_t limit)
{
	json_t *list = json_array();
	char tunnel[TUNNEL_ID_TEXT_BYTES];

	tunnel_id_text(&e->tunnel->config.id, tunnel);
	list_for_each(node, &e->tunnel->sessions_all) {
		if (json_array_size(list) >= limit)
			break;
		json_array_append_new(list,
				      session_json(e, container_of(node, struct session, all_node),
						   tunnel));
	}
	return list;
}

uint64_t end_sent_bytes(const struct end *e)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < e->tunnel->path_count; i++)
		bytes += e->tunnel->paths[i]->sent_bytes;
	return bytes;
}

json_t *end_path_json(const struct end *e, const struct path *p)
{
	char tunnel[TUNNEL_ID_TEXT_BYTES];
	json_t *j;

	tunnel_id_text(&e->tunnel->config.id, tunnel);
	j = json_pack("{s:s, s:s, s:s, s:s}", "tunnel", tunnel, "peer", subflow_peer(p->user),
		      "state", path_state_name(p->state), "why", p->why);
	report_put(j, "worker", e->worker->index);
	report_put(j, "index", p->index);
	report_put(j, "rate_bps", 8 * p->rate_Bps);
	report_put(j, "base_rtt_us", p->base_rtt_us);
	report_put(j, "rtt_us", p->rtt_us);
	report_put(j, "hop_rtt_us", subflow_hop_rtt_us(p->user));
	report_put(j, "inflight_bytes", p->inflight_bytes);
	report_put(j, "cap_bytes", p->cap_bytes);
	report_put(j, "sent_bytes", p->sent_bytes);
	report_put(j, "resent_bytes", p->resent_bytes);
	report_put(j, "received_bytes", p->received_bytes);
	report_put(j, "duplicate_bytes", p->duplicate_bytes);
	report_put(j, "doubt_us", p->doubt_us);
	report_put(j, "stalls", p->stalls);
	report_put(j, "parks", p->parks);
	return j;
}
