/* The tunnels that pass one proxy worker: the relay between upstreams and downstreams, and how they
 * begin and end. */
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/minmax.h"
#include "common/base/rng.h"
#include "proxy/proxy.h"

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

static void hop_close(struct hop *h, const char *why)
{
	if (h->side == HOP_UP) {
		struct upstream *u = h->user;

		u->hop = NULL;
		upstream_close(u, why);
	} else {
		struct downstream *d = h->user;

		d->hop = NULL;
		if (!d->tunnel->is_ending)
			downstream_restart(d, why);
	}
}

/* Noted only: the relay is at work. */
static void hop_drained(struct hop *h)
{
	if (h->side == HOP_UP)
		((struct upstream *)h->user)->is_drained = true;
	else
		((struct downstream *)h->user)->is_drained = true;
}

static const struct relay_ops relay_ops = {
	.send = hop_send,
	.pause = hop_pause,
	.close = hop_close,
	.drained = hop_drained,
};

void proxy_wake(struct proxy_tunnel *t)
{
	worker_defer(t->owner->worker, TURN_RUN, &t->run);
}

void proxy_drop_hop(struct proxy_tunnel *t, struct hop **hop, bool has_ended)
{
	struct hop *h = *hop;

	*hop = NULL;
	if (!h)
		return;
	t->owner->relayed_bytes += h->sent_bytes;
	if (has_ended && h->in_done && h->out_done)
		relay_retire_hop(t->relay, h);
	else
		relay_remove_hop(t->relay, h);
	proxy_wake(t);
}

/* A hop that has no room still has something to write. */
static void finish_drained(struct proxy_tunnel *t)
{
	list_for_each_safe(up, &t->upstreams) {
		struct upstream *u = container_of(up, struct upstream, node);

		if (u->is_drained && u->hop && !u->hop->is_blocked)
			upstream_close(u, "drained");
	}
	list_for_each_safe(down, &t->downstreams) {
		struct downstream *d = container_of(down, struct downstream, node);

		if (d->is_drained && d->hop && !d->hop->is_blocked)
			downstream_finish(d);
	}
}

static void run(struct deferred *d)
{
	struct proxy_tunnel *t = container_of(d, struct proxy_tunnel, run);

	if (!t->relay)
		return;
	relay_run(t->relay);
	finish_drained(t);
	if (t->relay->hop_count[HOP_DOWN] == 0)
		t->ack.instance = 0;
	if (list_is_empty(&t->upstreams))
		worker_defer(t->owner->worker, TURN_FLUSH, &t->reap);
}

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

static void tunnel_free_when_closed(struct proxy_tunnel *t)
{
	struct proxy_worker *pw = t->owner;

	if (!t->is_ending || t->closing_count > 0)
		return;
	free(t);
	pw->ending_count--;
	if (pw->is_stopping && pw->tunnel_count + pw->ending_count == 0)
		worker_stop(pw->worker);
}

void proxy_uplink_closed(struct proxy_tunnel *t)
{
	t->closing_count--;
	tunnel_free_when_closed(t);
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
		downstream_close(container_of(node, struct downstream, node));
	tunnel_free_when_closed(t);
}

/* Its upstreams are gone in order, and a downstream is still to be told that nothing follows. */
static bool has_to_finish(const struct proxy_tunnel *t)
{
	list_for_each(node, &t->downstreams) {
		const struct downstream *d = container_of(node, struct downstream, node);

		if (t->relay->is_over[HOP_UP] && d->hop &&
		    (!d->hop->out_done || d->hop->is_blocked))
			return true;
	}
	return false;
}

static void run_reap(struct deferred *d)
{
	struct proxy_tunnel *t = container_of(d, struct proxy_tunnel, reap);

	if (!list_is_empty(&t->upstreams) || has_to_finish(t))
		return;
	list_for_each_safe(node, &t->downstreams) {
		struct downstream *down = container_of(node, struct downstream, node);

		if (down->hop && down->hop->in_done && down->hop->out_done)
			downstream_finish(down);
	}
	proxy_end_tunnel(t);
}

static struct proxy_tunnel *begin_tunnel(struct proxy_worker *pw, const struct hello *hello)
{
	struct proxy_tunnel *t = calloc(1, sizeof(*t));
	uint64_t seed;

	if (!t)
		abort();
	t->owner = pw;
	t->hello = *hello;
	t->hello.hops_left--; /* the acceptor lets in none that has 0 left */
	t->hello.payload_max = min_u32(hello->payload_max, pw->daemon->conf.payload_max);
	list_init(&t->upstreams);
	list_init(&t->downstreams);
	deferred_init(&t->run, run);
	deferred_init(&t->reap, run_reap);
	random_bytes(&seed, sizeof(seed));
	t->relay = relay_new(&relay_ops, &pw->budget.chunks, &pw->items, seed, t);
	list_push_back(&pw->tunnels, &t->node);
	pw->tunnel_count++;
	for (size_t i = 0; i < pw->backends.count; i++)
		downstream_open(t, &pw->backends.list[i]);
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

	if (why) {
		log_warn("a subflow is refused: %s", why);
		close(a->fd);
		return;
	}
	if (!t)
		t = begin_tunnel(pw, &a->hello);
	upstream_accept_take(t, a);
	/* They may rest, because the tunnel was about to end. */
	list_for_each(node, &t->downstreams) {
		struct downstream *d = container_of(node, struct downstream, node);

		if (!d->is_closing)
			uplink_wake(&d->uplink);
	}
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
	pw->backends.count = d->conf.backend_count;
	memcpy(pw->backends.list, d->conf.backend, sizeof(pw->backends.list));
	uv_timer_init(&w->loop, &pw->tick);
	pw->tick.data = pw;
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
