/* What the comm socket asks of one proxy worker. */
#include "common/base/limits.h"
#include "common/module/report.h"
#include "proxy/proxy.h"

#include <stdlib.h>

static struct proxy_tunnel *tunnel_of(struct list *node)
{
	return container_of(node, struct proxy_tunnel, node);
}

/* A way end to end: a tunnel with a hop on both sides. */
void proxy_health(struct worker *w, struct task *task)
{
	struct proxy_worker *pw = w->user;
	json_t *degraded = json_array();
	int ways = 0;

	list_for_each(node, &pw->tunnels) {
		struct proxy_tunnel *t = tunnel_of(node);

		ways += t->relay->hop_count[HOP_UP] > 0 && t->relay->hop_count[HOP_DOWN] > 0;
		list_for_each(n, &t->downstreams) {
			const struct downstream *d = container_of(n, struct downstream, node);

			if (!d->hop)
				json_array_append_new(degraded,
						      json_sprintf("backend %s: %s", d->uplink.name,
								   uplink_trouble(&d->uplink)));
		}
	}
	task_done(task, json_pack("{s:i, s:o}", "ways", ways, "degraded", degraded));
}

/* Why a hop that there is is not just up; "": it is. */
static const char *hop_trouble(const struct hop *h)
{
	if (h->is_stalled)
		return "nothing that is sent arrives";
	if (h->is_stalled_behind)
		return "the proxy there has no way on";
	if (h->is_unwanted)
		return "its address is removed";
	if (h->in_done)
		return "its peer sends no more";
	return h->out_done ? "nothing more comes for it" : "";
}

static const char *hop_state(const struct hop *h)
{
	if (!hop_stays(h))
		return "draining";
	return hop_is_stalled(h) ? "stalled" : "up";
}

static json_t *hop_json(const struct proxy_tunnel *t, const struct hop *h, const char *side,
			const struct subflow *sf, uint32_t ratio)
{
	const char *state = h ? hop_state(h) : (sf ? "dialling" : "down");
	char id[TUNNEL_ID_TEXT_BYTES];
	json_t *j;

	tunnel_id_text(&t->hello.tunnel, id);
	j = json_pack("{s:s, s:s, s:s, s:s}", "tunnel", id, "side", side, "state", state, "why",
		      h ? hop_trouble(h) : "");
	report_put(j, "worker", t->owner->worker->index);
	report_put(j, "ratio", ratio);
	report_put(j, "hop_rtt_us", sf ? subflow_hop_rtt_us(sf) : 0);
	report_put(j, "sent_bytes", h ? h->sent_bytes : 0);
	report_put(j, "received_bytes", h ? h->received_bytes : 0);
	return j;
}

static void add_downstreams(json_t *list, const struct proxy_tunnel *t)
{
	list_for_each(node, &t->downstreams) {
		const struct downstream *d = container_of(node, struct downstream, node);
		const struct uplink *u = &d->uplink;
		json_t *j = hop_json(t, d->hop, "backend", u->subflow, u->backend.ratio);

		json_object_set_new(j, "peer", json_string(u->name));
		if (!d->hop)
			json_object_set_new(j, "why", json_string(u->why));
		report_put(j, "dials", u->dials);
		report_put(j, "redials", u->redials);
		report_put(j, "losses", u->losses);
		report_put(j, "stalls", u->stalls);
		json_array_append_new(list, j);
	}
}

static void add_upstreams(json_t *list, const struct proxy_tunnel *t)
{
	list_for_each(node, &t->upstreams) {
		const struct upstream *u = container_of(node, struct upstream, node);
		json_t *j = hop_json(t, u->hop, "listen", u->subflow, u->listener.ratio);

		json_object_set_new(j, "peer", json_string(subflow_peer(u->subflow)));
		report_put_address(j, "listener", &u->listener);
		report_put(j, "stalls", u->stalls);
		json_array_append_new(list, j);
	}
}

static json_t *paths_json(const struct proxy_worker *pw)
{
	json_t *list = json_array();

	list_for_each(node, &pw->tunnels) {
		add_upstreams(list, tunnel_of(node));
		add_downstreams(list, tunnel_of(node));
	}
	return list;
}

void proxy_paths(struct worker *w, struct task *task)
{
	task_done(task, json_pack("{s:o}", "paths", paths_json(w->user)));
}

void proxy_stats(struct worker *w, struct task *task)
{
	struct proxy_worker *pw = w->user;
	json_t *stats = report_begin(&pw->budget);
	uint64_t sent = pw->relayed_bytes;

	list_for_each(node, &pw->tunnels)
		for (int side = HOP_UP; side <= HOP_DOWN; side++)
			list_for_each(n, &tunnel_of(node)->relay->hops[side])
				sent += container_of(n, struct hop, node)->sent_bytes;
	report_add_counters(stats, &(struct tunnel_counters){.sent_bytes = sent});
	report_put(stats, "tunnels", pw->tunnel_count);
	json_object_set_new(stats, "paths", paths_json(pw));
	task_done(task, stats);
}

/* Sessions are the ends' business. */
void proxy_sessions(struct worker *w, struct task *task)
{
	(void)w;
	task_done(task, json_pack("{s:[], s:i}", "sessions", "total", 0));
}

/* Hangs up on every tunnel: the ends send what was lost another way, and dial again. */
void proxy_reset(struct worker *w, struct task *task)
{
	struct proxy_worker *pw = w->user;
	size_t count = pw->tunnel_count;

	list_for_each_safe(node, &pw->tunnels)
		proxy_end_tunnel(tunnel_of(node));
	task_done(task, json_pack("{s:i, s:I}", "sessions", 0, "tunnels", (json_int_t)count));
}

/* Nothing to wait for: what is under way here is sent again by the ends. */
void proxy_drain(struct worker *w, struct task *task)
{
	(void)w;
	task_done(task, NULL);
}

void proxy_stop(struct worker *w, struct task *task)
{
	struct proxy_worker *pw = w->user;

	pw->is_stopping = true;
	proxy_cut_removal(pw);
	uv_close((uv_handle_t *)&pw->tick, NULL);
	list_for_each_safe(node, &pw->tunnels)
		proxy_end_tunnel(tunnel_of(node));
	if (pw->tunnel_count + pw->ending_count == 0)
		worker_stop(w);
	task_done(task, NULL);
}
