/* The tunnels that pass one proxy worker: who is upstream, who is downstream, and the relay
 * between them. */
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/minmax.h"
#include "common/base/rng.h"
#include "proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the relay's environment ---- */

static struct subflow *subflow_of(const struct hop *h)
{
	if (h->side == HOP_UP)
		return ((struct upstream *)h->user)->subflow;
	return ((struct downstream *)h->user)->uplink.subflow;
}

static void hop_send(struct hop *h, const struct frame *head, const uint8_t *control,
		     const struct slice *data)
{
	h->is_blocked = !subflow_send(subflow_of(h), head, control, data);
}

static void hop_pause(struct hop *h, bool is_paused)
{
	subflow_pause(subflow_of(h), is_paused);
}

static void wake(struct proxy_tunnel *t)
{
	worker_defer(t->owner->worker, TURN_RUN, &t->run);
}

static void upstream_free(struct upstream *u)
{
	struct proxy_tunnel *t = u->tunnel;

	list_remove(&u->node);
	t->upstream_count--;
	free(u);
	if (list_is_empty(&t->upstreams))
		worker_defer(t->owner->worker, TURN_FLUSH, &t->reap);
}

static void hop_close(struct hop *h, const char *why)
{
	if (h->side == HOP_UP) {
		struct upstream *u = h->user;

		log_info("subflow from %s is closed: %s", subflow_peer(u->subflow), why);
		u->hop = NULL;
		subflow_close(u->subflow, true);
		upstream_free(u);
	} else {
		struct downstream *d = h->user;

		/* It may begin anew, for upstreams that wait. */
		d->hop = NULL;
		if (!d->tunnel->is_ending)
			uplink_restart(&d->uplink, why);
	}
}

static const struct relay_ops relay_ops = {
	.send = hop_send,
	.pause = hop_pause,
	.close = hop_close,
};

static void run(struct deferred *d)
{
	struct proxy_tunnel *t = container_of(d, struct proxy_tunnel, run);

	if (!t->relay)
		return;
	relay_run(t->relay);
	if (t->relay->hop_count[HOP_DOWN] == 0)
		t->ack.instance = 0;
}

static void drop_hop(struct proxy_tunnel *t, struct hop **hop)
{
	struct hop *h = *hop;

	*hop = NULL;
	if (!h)
		return;
	t->owner->relayed_bytes += h->sent_bytes;
	relay_remove_hop(t->relay, h);
	wake(t);
}

/* ---- downstream ---- */

static void make_hello(struct uplink *u, struct hello *ret)
{
	struct downstream *d = u->user;

	*ret = d->tunnel->hello;
}

/* An upstream waits for its HELLO_ACK until the way to the egress is there. */
static void answer(struct upstream *u)
{
	if (u->is_answered || u->tunnel->ack.instance == 0)
		return;
	u->is_answered = true;
	subflow_answer(u->subflow, &u->tunnel->ack);
}

static bool on_downstream_up(struct uplink *u, const struct hello_ack *ack)
{
	struct downstream *d = u->user;
	struct proxy_tunnel *t = d->tunnel;

	if (t->ack.instance && ack->instance != t->ack.instance) {
		log_warn("backend %s leads to another egress than the others", u->name);
		return false;
	}
	subflow_want_whole(u->subflow);
	t->ack = *ack;
	d->hop = relay_add_hop(t->relay, HOP_DOWN, u->backend.ratio, d);
	subflow_pause(u->subflow, d->hop->is_paused);
	list_for_each_safe(node, &t->upstreams)
		answer(container_of(node, struct upstream, node));
	wake(t);
	return true;
}

static int on_downstream_frame(struct uplink *u, const struct frame *head, const uint8_t *control,
			       const struct slice *data)
{
	struct downstream *d = u->user;

	relay_receive(d->tunnel->relay, d->hop, head, control, data);
	wake(d->tunnel);
	return 0;
}

static void on_downstream_blocked(struct uplink *u)
{
	struct downstream *d = u->user;

	if (d->hop)
		d->hop->is_blocked = true;
}

static void on_downstream_room(struct uplink *u)
{
	struct downstream *d = u->user;

	if (d->hop)
		d->hop->is_blocked = false;
	wake(d->tunnel);
}

static void on_downstream_down(struct uplink *u, const char *why)
{
	struct downstream *d = u->user;
	struct proxy_tunnel *t = d->tunnel;

	(void)why;
	drop_hop(t, &d->hop);
}

static void tunnel_free_when_closed(struct proxy_tunnel *t)
{
	struct proxy_worker *pw = t->owner;

	if (t->closing_count > 0)
		return;
	free(t);
	pw->ending_count--;
	if (pw->is_stopping && pw->tunnel_count + pw->ending_count == 0)
		worker_stop(pw->worker);
}

static void on_uplink_closed(struct uplink *u)
{
	struct downstream *d = u->user;
	struct proxy_tunnel *t = d->tunnel;

	list_remove(&d->node);
	free(d);
	t->closing_count--;
	tunnel_free_when_closed(t);
}

static const struct uplink_ops uplink_ops = {
	.hello = make_hello,
	.up = on_downstream_up,
	.frame = on_downstream_frame,
	.blocked = on_downstream_blocked,
	.room = on_downstream_room,
	.down = on_downstream_down,
	.closed = on_uplink_closed,
};

/* ---- upstream ---- */

static bool is_up_on(const struct upstream *u, const struct conf_address *listener)
{
	return u->hop && conf_address_is_same(&u->listener, listener);
}

/* One has come or gone: the others' weights follow. */
static void share_weight(struct proxy_tunnel *t, const struct conf_address *listener)
{
	size_t count = 0;

	list_for_each(node, &t->upstreams)
		count += is_up_on(container_of(node, struct upstream, node), listener);
	list_for_each(node, &t->upstreams) {
		struct upstream *u = container_of(node, struct upstream, node);

		if (is_up_on(u, listener))
			u->hop->weight = gate_weight(listener, count);
	}
}

static void on_upstream_up(struct subflow *sf, const struct hello_ack *ack)
{
	struct upstream *u = subflow_user(sf);
	struct proxy_tunnel *t = u->tunnel;

	(void)ack;
	u->hop = relay_add_hop(t->relay, HOP_UP, gate_weight(&u->listener, 1), u);
	subflow_pause(sf, u->hop->is_paused);
	share_weight(t, &u->listener);
	log_info("subflow from %s is up", subflow_peer(sf));
	wake(t);
}

static int on_upstream_frame(struct subflow *sf, const struct frame *head, const uint8_t *control,
			     const struct slice *data)
{
	struct upstream *u = subflow_user(sf);

	if (!u->hop)
		return -EPROTO;
	relay_receive(u->tunnel->relay, u->hop, head, control, data);
	wake(u->tunnel);
	return 0;
}

static void on_upstream_blocked(struct subflow *sf)
{
	struct upstream *u = subflow_user(sf);

	if (u->hop)
		u->hop->is_blocked = true;
}

static void on_upstream_room(struct subflow *sf)
{
	struct upstream *u = subflow_user(sf);

	if (u->hop)
		u->hop->is_blocked = false;
	wake(u->tunnel);
}

static void on_upstream_lost(struct subflow *sf, const char *why)
{
	struct upstream *u = subflow_user(sf);
	struct proxy_tunnel *t = u->tunnel;

	log_info("subflow from %s: %s", subflow_peer(sf), why);
	drop_hop(t, &u->hop);
	share_weight(t, &u->listener);
	upstream_free(u);
}

static const struct subflow_ops upstream_ops = {
	.up = on_upstream_up,
	.frame = on_upstream_frame,
	.blocked = on_upstream_blocked,
	.room = on_upstream_room,
	.lost = on_upstream_lost,
};

/* ---- tunnels ---- */

static struct proxy_tunnel *find_tunnel(struct proxy_worker *pw, const struct tunnel_id *id)
{
	list_for_each(node, &pw->tunnels) {
		struct proxy_tunnel *t = container_of(node, struct proxy_tunnel, node);

		if (memcmp(&t->hello.tunnel, id, sizeof(*id)) == 0)
			return t;
	}
	return NULL;
}

static void add_downstream(struct proxy_tunnel *t, const struct conf_address *backend)
{
	struct downstream *d = calloc(1, sizeof(*d));
	struct proxy_worker *pw = t->owner;

	if (!d)
		abort();
	d->tunnel = t;
	list_push_back(&t->downstreams, &d->node);
	t->closing_count++;
	uplink_open(&d->uplink, pw->worker, backend, &pw->daemon->key, &uplink_ops, d);
}

void proxy_end_tunnel(struct proxy_tunnel *t)
{
	struct proxy_worker *pw = t->owner;

	list_remove(&t->node);
	pw->tunnel_count--;
	pw->ending_count++;
	t->is_ending = true;
	relay_run(t->relay);
	relay_free(t->relay);
	t->relay = NULL;
	list_for_each_safe(node, &t->upstreams) {
		struct upstream *u = container_of(node, struct upstream, node);

		subflow_close(u->subflow, true);
		upstream_free(u);
	}
	deferred_cancel(&t->reap);
	deferred_cancel(&t->run);
	list_for_each_safe(node, &t->downstreams)
		uplink_close(&container_of(node, struct downstream, node)->uplink, true);
	tunnel_free_when_closed(t);
}

static void run_reap(struct deferred *d)
{
	struct proxy_tunnel *t = container_of(d, struct proxy_tunnel, reap);

	if (list_is_empty(&t->upstreams))
		proxy_end_tunnel(t);
}

static struct proxy_tunnel *begin_tunnel(struct proxy_worker *pw, const struct hello *hello)
{
	const struct conf *c = &pw->daemon->conf;
	struct proxy_tunnel *t = calloc(1, sizeof(*t));
	uint64_t seed;

	if (!t)
		abort();
	t->owner = pw;
	t->hello = *hello;
	t->hello.hops_left--; /* the acceptor lets in none that has 0 left */
	t->hello.payload_max = min_u32(hello->payload_max, c->payload_max);
	list_init(&t->upstreams);
	list_init(&t->downstreams);
	deferred_init(&t->run, run);
	deferred_init(&t->reap, run_reap);
	random_bytes(&seed, sizeof(seed));
	t->relay = relay_new(&relay_ops, &pw->budget.chunks, &pw->items, seed, t);
	list_push_back(&pw->tunnels, &t->node);
	pw->tunnel_count++;
	for (size_t i = 0; i < c->backend_count; i++)
		add_downstream(t, &c->backend[i]);
	return t;
}

/* NULL: it may be taken. `t` is NULL when its tunnel is new here. */
static const char *refusal(const struct proxy_worker *pw, const struct proxy_tunnel *t)
{
	if (pw->is_stopping)
		return "the proxy is ending";
	if (!t && pw->tunnel_count >= pw->tunnels_max)
		return "too many tunnels for the memory limit";
	if (t && t->upstream_count >= PATHS_MAX)
		return "its tunnel has too many subflows";
	return NULL;
}

void proxy_arrived(struct worker *w, struct arrival *a)
{
	struct proxy_worker *pw = w->user;
	struct proxy_tunnel *t = find_tunnel(pw, &a->hello.tunnel);
	const char *why = refusal(pw, t);
	struct upstream *u;

	if (why) {
		log_warn("a subflow is refused: %s", why);
		close(a->fd);
		return;
	}
	if (!t)
		t = begin_tunnel(pw, &a->hello);
	u = calloc(1, sizeof(*u));
	if (!u)
		abort();
	u->tunnel = t;
	u->listener = a->listener;
	list_push_back(&t->upstreams, &u->node);
	t->upstream_count++;
	u->subflow = subflow_accept_take(w, a->fd, &a->hello, &pw->daemon->key, &upstream_ops, u);
	if (!u->subflow) {
		upstream_free(u);
		return;
	}
	subflow_want_whole(u->subflow);
	answer(u);
}

/* ---- life ---- */

void proxy_worker_open(struct daemon *d, struct worker *w)
{
	struct proxy_worker *pw = calloc(1, sizeof(*pw));
	size_t limit = d->conf.memory_limit_bytes / d->conf.workers;

	if (!pw)
		abort();
	w->user = pw;
	pw->worker = w;
	pw->daemon = d;
	pw->tunnels_max = limit / RELAY_TUNNEL_BYTES;
	list_init(&pw->tunnels);
	slab_init(&pw->items, sizeof(struct relay_item));
	budget_init(&pw->budget, limit, 0, 0);
	w->chunks = &pw->budget.chunks;
}

void proxy_worker_freed(struct worker *w)
{
	struct proxy_worker *pw = w->user;

	slab_done(&pw->items);
	budget_done(&pw->budget);
	free(pw);
}
