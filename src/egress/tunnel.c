/* One worker's tunnels: subflows arrive, sessions go to the server. */
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/minmax.h"
#include "common/base/rng.h"
#include "common/module/edge.h"
#include "egress/egress.h"

#include <errno.h>
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

static void leg_free(struct leg *leg)
{
	list_remove(&leg->node);
	leg->tunnel->leg_count--;
	free(leg);
}

const struct conf_address *egress_listener(const struct leg *leg)
{
	const struct topo_list *l = &leg->tunnel->owner->listeners;

	return topo_find(l->list, l->count, &leg->listener);
}

void egress_set_rank(struct leg *leg)
{
	const struct topo_list *l = &leg->tunnel->owner->listeners;
	const struct conf_address *a = egress_listener(leg);

	if (leg->path)
		leg->path->rank = (uint16_t)(a ? (size_t)(a - l->list) : l->count);
}

/* Does it carry what comes from the server, so that the others on this listener have less to? */
static bool is_used_on(const struct leg *leg, const struct conf_address *listener)
{
	return leg->path && leg->path->state != PATH_PREPARED &&
	       leg->path->state != PATH_DRAINING && conf_address_is_same(&leg->listener, listener);
}

/* One has come or gone: the others' weights follow. */
void egress_share_weight(struct egress_tunnel *t, const struct conf_address *listener)
{
	size_t count = 0;

	list_for_each(node, &t->legs)
		count += is_used_on(container_of(node, struct leg, node), listener);
	list_for_each(node, &t->legs) {
		struct leg *leg = container_of(node, struct leg, node);

		if (is_used_on(leg, listener))
			tunnel_set_weight(t->end.tunnel, leg->path, gate_weight(listener, count));
	}
}

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

void egress_close_leg(struct leg *leg)
{
	struct egress_tunnel *t = leg->tunnel;

	log_info("subflow from %s is closed", subflow_peer(leg->subflow));
	end_remove_path(&t->end, leg->path);
	leg->path = NULL;
	egress_share_weight(t, &leg->listener);
	if (leg->is_drained)
		subflow_finish(leg->subflow);
	else
		subflow_close(leg->subflow, true);
	leg_free(leg);
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

/* ---- subflows ---- */

static void on_up(struct subflow *sf, const struct hello_ack *ack)
{
	struct leg *leg = subflow_user(sf);
	struct egress_tunnel *t = leg->tunnel;

	leg->path = end_add_path(&t->end, sf, gate_weight(&leg->listener, 1), ack->payload_max);
	if (!leg->path) {
		log_warn("subflow from %s is not used: more than %u paths", subflow_peer(sf),
			 PATHS_MAX);
		return;
	}
	/* Of a topology that is only prepared: the ingress uses it first. */
	if (leg->generation > t->generation && t->had_path)
		tunnel_hold_path(leg->path);
	egress_set_rank(leg);
	t->had_path = true;
	egress_share_weight(t, &leg->listener);
	log_info("subflow from %s is up", subflow_peer(sf));
}

static int on_frame(struct subflow *sf, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	struct leg *leg = subflow_user(sf);
	struct egress_tunnel *t = leg->tunnel;
	enum path_state before;
	int err;

	if (!leg->path)
		return -EPROTO;
	/* The ingress has carried out its part of the change; of a relay that says nothing. */
	if (leg->generation > t->generation && head->type != FRAME_DRAIN &&
	    !frame_is_path_event(head->type))
		t->generation = leg->generation;
	before = leg->path->state;
	err = end_receive(&t->end, leg->path, head, control, data);
	if (leg->path->state != before)
		egress_share_weight(t, &leg->listener);
	return err;
}

static void on_blocked(struct subflow *sf)
{
	struct leg *leg = subflow_user(sf);

	end_blocked(leg->path);
}

static void on_room(struct subflow *sf)
{
	struct leg *leg = subflow_user(sf);

	end_room(&leg->tunnel->end, leg->path);
}

static void on_stalled(struct subflow *sf, bool is_stalled)
{
	struct leg *leg = subflow_user(sf);

	end_stalled(&leg->tunnel->end, leg->path, is_stalled);
}

static void on_lost(struct subflow *sf, const char *why)
{
	struct leg *leg = subflow_user(sf);
	struct egress_tunnel *t = leg->tunnel;

	log_info("subflow from %s: %s", subflow_peer(sf), why);
	end_remove_path(&t->end, leg->path);
	leg->path = NULL;
	egress_share_weight(t, &leg->listener);
	leg_free(leg);
	/* Whoever never proved to be somebody leaves nothing behind. */
	if (!t->had_path && list_is_empty(&t->legs))
		worker_defer(t->owner->worker, TURN_FLUSH, &t->reap);
}

static const struct subflow_ops subflow_ops = {
	.up = on_up,
	.frame = on_frame,
	.blocked = on_blocked,
	.room = on_room,
	.stalled = on_stalled,
	.lost = on_lost,
};

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

static void answer(struct leg *leg, const struct hello *hello)
{
	const struct egress_worker *ew = leg->tunnel->owner;
	struct hello_ack ack = {
		.version = FRAME_VERSION,
		.instance = leg->tunnel->instance,
		.payload_max = min_u32(hello->payload_max, ew->daemon->conf.payload_max),
		.first_credit = FIRST_CREDIT_BYTES,
		.sessions_max = ew->budget.sessions_max,
	};

	subflow_answer(leg->subflow, &ack);
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
	struct leg *leg;

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
	leg = calloc(1, sizeof(*leg));
	if (!leg)
		abort();
	leg->tunnel = t;
	leg->listener = a->listener;
	leg->generation = a->hello.generation;
	list_push_back(&t->legs, &leg->node);
	t->leg_count++;
	leg->subflow =
		subflow_accept_take(w, a->fd, &a->hello, &ew->daemon->key, &subflow_ops, leg);
	if (!leg->subflow) {
		leg_free(leg);
		return;
	}
	answer(leg, &a->hello);
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
