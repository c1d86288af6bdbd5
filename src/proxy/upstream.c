/* Subflows from the ingress's side: see proxy.h. */
#include "common/base/limits.h"
#include "common/base/log.h"
#include "proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>

void upstream_answer(struct upstream *u)
{
	struct proxy_tunnel *t = u->tunnel;

	if (u->is_answered || t->ack.instance == 0 || !relay_has_way(t->relay, HOP_DOWN))
		return;
	u->is_answered = true;
	subflow_answer(u->subflow, &t->ack);
}

void upstream_free(struct upstream *u)
{
	struct proxy_tunnel *t = u->tunnel;

	list_remove(&u->node);
	t->upstream_count--;
	free(u);
	if (list_is_empty(&t->upstreams))
		worker_defer(t->owner->worker, TURN_FLUSH, &t->reap);
}

static bool is_up_on(const struct upstream *u, const struct conf_address *listener)
{
	return u->hop && conf_address_is_same(&u->listener, listener);
}

void upstream_share_weight(struct proxy_tunnel *t, const struct conf_address *listener)
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

void upstream_close(struct upstream *u, const char *why)
{
	struct proxy_tunnel *t = u->tunnel;
	struct conf_address listener = u->listener;

	log_info("subflow from %s is closed: %s", subflow_peer(u->subflow), why);
	proxy_drop_hop(t, &u->hop, u->is_drained);
	if (u->is_drained)
		subflow_finish(u->subflow);
	else
		subflow_close(u->subflow, true);
	upstream_free(u);
	upstream_share_weight(t, &listener);
}

/* ---- subflow_ops ---- */

static void on_up(struct subflow *sf, const struct hello_ack *ack)
{
	struct upstream *u = subflow_user(sf);
	struct proxy_tunnel *t = u->tunnel;

	(void)ack;
	if (!relay_has_way(t->relay, HOP_DOWN)) {
		/* It ended while the peer proved that it has the key. */
		upstream_close(u, "there is no next hop any more");
		return;
	}
	u->hop = relay_add_hop(t->relay, HOP_UP, gate_weight(&u->listener, 1), u);
	subflow_pause(sf, u->hop->is_paused);
	if (subflow_is_stalled(sf))
		relay_set_stalled(t->relay, u->hop, true);
	upstream_share_weight(t, &u->listener);
	log_info("subflow from %s is up", subflow_peer(sf));
	proxy_wake(t);
}

static int on_frame(struct subflow *sf, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	struct upstream *u = subflow_user(sf);

	if (!u->hop)
		return -EPROTO;
	relay_receive(u->tunnel->relay, u->hop, head, control, data);
	proxy_wake(u->tunnel);
	return 0;
}

static void on_blocked(struct subflow *sf)
{
	struct upstream *u = subflow_user(sf);

	if (u->hop)
		u->hop->is_blocked = true;
}

static void on_room(struct subflow *sf)
{
	struct upstream *u = subflow_user(sf);

	if (u->hop)
		u->hop->is_blocked = false;
	proxy_wake(u->tunnel);
}

static void on_stalled(struct subflow *sf, bool is_stalled)
{
	struct upstream *u = subflow_user(sf);

	if (!u->hop)
		return;
	u->stalls += is_stalled;
	relay_set_stalled(u->tunnel->relay, u->hop, is_stalled);
	proxy_wake(u->tunnel);
}

static void on_lost(struct subflow *sf, const char *why)
{
	struct upstream *u = subflow_user(sf);
	struct proxy_tunnel *t = u->tunnel;
	struct conf_address listener = u->listener;

	log_info("subflow from %s: %s", subflow_peer(sf), why);
	proxy_drop_hop(t, &u->hop, subflow_has_ended(sf));
	upstream_free(u);
	upstream_share_weight(t, &listener);
}

static const struct subflow_ops upstream_ops = {
	.up = on_up,
	.frame = on_frame,
	.blocked = on_blocked,
	.room = on_room,
	.stalled = on_stalled,
	.lost = on_lost,
};

void upstream_accept_take(struct proxy_tunnel *t, struct arrival *a)
{
	struct proxy_worker *pw = t->owner;
	struct upstream *u = calloc(1, sizeof(*u));

	if (!u)
		abort();
	u->tunnel = t;
	u->listener = a->listener;
	list_push_back(&t->upstreams, &u->node);
	t->upstream_count++;
	u->subflow = subflow_accept_take(pw->worker, a->fd, &a->hello, &pw->daemon->key,
					 &upstream_ops, u);
	if (!u->subflow) {
		upstream_free(u);
		return;
	}
	subflow_want_whole(u->subflow);
	upstream_answer(u);
}
