/* One worker's tunnels: subflows arrive, sessions go to the server. */
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "common/module/edge.h"
#include "egress/egress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- sessions ---- */

static void on_server_result(void *user, int err, const char *why)
{
	struct egress_worker *ew = user;

	snprintf(ew->server_why, sizeof(ew->server_why), "%s", err < 0 ? why : "");
}

static void on_opened(struct end *e, struct session *s, const struct open_info *info)
{
	struct egress_tunnel *t = e->user;
	struct egress_worker *ew = t->owner;
	const struct conf_address *server = &ew->daemon->conf.backend[0];

	if (ew->is_ending)
		session_reset(s, RESET_CLOSING, "the egress is ending", worker_now(ew->worker));
	else if (info->target.kind != ADDRESS_NONE)
		session_reset(s, RESET_REFUSED, "this egress serves its own backend only",
			      worker_now(ew->worker));
	else
		edge_connect(e, s, server->host, server->port, on_server_result, ew);
}

/* ---- ending ---- */

/* Who began it closes it: we do in the next tick, or the neighbour does. */
static void on_drained(struct end *e, struct path *p)
{
	struct leg *leg = subflow_user(p->user);

	(void)e;
	leg->is_drained = true;
}

static void on_tunnel_closed(struct end *e)
{
	struct egress_tunnel *t = e->user;

	worker_defer(t->owner->worker, TURN_FLUSH, &t->reap);
}

static void on_end_freed(struct end *e)
{
	struct egress_tunnel *t = e->user;
	struct egress_worker *ew = t->owner;

	free(t);
	ew->ending_count--;
	if (ew->is_stopping && ew->tunnel_count + ew->ending_count == 0)
		worker_stop(ew->worker);
}

static const struct end_ops end_ops = {
	.opened = on_opened,
	.drained = on_drained,
	.closed = on_tunnel_closed,
	.freed = on_end_freed,
};

static void add_counters(struct tunnel_counters *sum, const struct tunnel_counters *c)
{
	sum->opened += c->opened;
	sum->finished += c->finished;
	sum->reset += c->reset;
	sum->refused += c->refused;
	sum->from_edge_bytes += c->from_edge_bytes;
	sum->to_edge_bytes += c->to_edge_bytes;
	sum->sent_bytes += c->sent_bytes;
	sum->resent_bytes += c->resent_bytes;
	sum->received_bytes += c->received_bytes;
	sum->duplicate_bytes += c->duplicate_bytes;
}

void egress_end_tunnel(struct egress_tunnel *t)
{
	struct egress_worker *ew = t->owner;
	char text[TUNNEL_ID_TEXT_BYTES];

	tunnel_id_text(&t->end.tunnel->config.id, text);
	log_info("tunnel %s ends", text);
	list_remove(&t->node);
	ew->tunnel_count--;
	ew->ending_count++;
	deferred_cancel(&t->reap);
	add_counters(&ew->gone, &t->end.tunnel->counters);
	list_for_each_safe(node, &t->legs) {
		struct leg *leg = container_of(node, struct leg, node);

		subflow_close(leg->subflow, true);
		leg_free(leg);
	}
	end_close(&t->end);
}

static void run_reap(struct deferred *d)
{
	egress_end_tunnel(container_of(d, struct egress_tunnel, reap));
}

/* ---- arriving ---- */

static struct egress_tunnel *find_tunnel(struct egress_worker *ew, const struct tunnel_id *id)
{
	list_for_each(node, &ew->tunnels) {
		struct egress_tunnel *t = container_of(node, struct egress_tunnel, node);

		if (memcmp(&t->end.tunnel->config.id, id, sizeof(*id)) == 0)
			return t;
	}
	return NULL;
}

static struct egress_tunnel *begin_tunnel(struct egress_worker *ew, const struct tunnel_id *id)
{
	struct tunnel_config config = end_tunnel_config(&ew->daemon->conf);
	struct egress_tunnel *t = calloc(1, sizeof(*t));
	char text[TUNNEL_ID_TEXT_BYTES];

	if (!t)
		abort();
	t->owner = ew;
	list_init(&t->legs);
	deferred_init(&t->reap, run_reap);
	while (t->instance == 0)
		random_bytes(&t->instance, sizeof(t->instance));
	config.id = *id;
	config.scheduler = ew->scheduler;
	end_init(&t->end, ew->worker, &ew->daemon->conf, &config, &ew->budget, &end_ops, t);
	list_push_back(&ew->tunnels, &t->node);
	ew->tunnel_count++;
	tunnel_id_text(id, text);
	log_info("tunnel %s begins", text);
	return t;
}

/* A tunnel outlives its paths for session_wait, but one without sessions has only its id to lose:
 * when there is no room for others, the oldest of those ends. */
static void make_room(struct egress_worker *ew)
{
	list_for_each(node, &ew->tunnels) {
		struct egress_tunnel *t = container_of(node, struct egress_tunnel, node);

		if (list_is_empty(&t->legs) && tunnel_session_count(t->end.tunnel) == 0) {
			egress_end_tunnel(t);
			return;
		}
	}
}

/* NULL: it may be taken. `t` is NULL when its tunnel is new here. */
static const char *refusal(const struct egress_worker *ew, const struct egress_tunnel *t)
{
	if (ew->is_ending)
		return "the egress is ending";
	if (!t && ew->tunnel_count >= TUNNELS_MAX)
		return "too many tunnels";
	if (t && t->leg_count >= PATHS_MAX)
		return "its tunnel has too many subflows";
	return NULL;
}

void egress_arrived(struct worker *w, struct arrival *a)
{
	struct egress_worker *ew = w->user;
	struct egress_tunnel *t = find_tunnel(ew, &a->hello.tunnel);
	const char *why;

	if (!t && ew->tunnel_count >= TUNNELS_MAX)
		make_room(ew);
	why = refusal(ew, t);
	if (why) {
		log_warn("a subflow is refused: %s", why);
		close(a->fd);
		return;
	}
	if (!t)
		t = begin_tunnel(ew, &a->hello.tunnel);
	leg_accept_take(t, a);
}

/* ---- life ---- */

void egress_worker_open(struct daemon *d, struct worker *w)
{
	const struct egress *eg = d->user;
	struct egress_worker *ew = calloc(1, sizeof(*ew));

	if (!ew)
		abort();
	w->user = ew;
	ew->worker = w;
	ew->daemon = d;
	ew->scheduler = scheduler_find(d->conf.scheduler);
	ew->listeners = eg->topo.used;
	list_init(&ew->tunnels);
	end_budget_init(&ew->budget, &d->conf);
	w->chunks = &ew->budget.chunks;
	pending_open(&ew->leave, w, egress_are_gone, ew);
	pending_open(&ew->drain, w, egress_is_idle, ew);
}

void egress_worker_freed(struct worker *w)
{
	struct egress_worker *ew = w->user;

	budget_done(&ew->budget);
	free(ew);
}
