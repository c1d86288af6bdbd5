/* A tunnel's backends: see proxy.h. */
#include "common/base/log.h"
#include "proxy/proxy.h"

#include <stdlib.h>

void downstream_close(struct downstream *d)
{
	proxy_drop_hop(d->tunnel, &d->hop, false);
	if (!d->is_closing)
		uplink_close(&d->uplink, true);
	d->is_closing = true;
}

void downstream_restart(struct downstream *d, const char *why)
{
	if (d->is_removed)
		downstream_close(d);
	else if (!d->is_closing)
		uplink_restart(&d->uplink, why);
}

/* Somebody is there, or waits to be answered, who has not said that he goes. */
static bool is_needed(const struct proxy_tunnel *t)
{
	list_for_each(node, &t->upstreams) {
		const struct upstream *u = container_of(node, struct upstream, node);

		if (!u->hop || !u->hop->in_done)
			return true;
	}
	return false;
}

void downstream_finish(struct downstream *d)
{
	d->is_drained = false;
	proxy_drop_hop(d->tunnel, &d->hop, true);
	uplink_rest(&d->uplink, "drained");
	if (d->is_removed)
		downstream_close(d);
	else if (is_needed(d->tunnel))
		uplink_wake(&d->uplink);
}

/* ---- uplink_ops ---- */

static void make_hello(struct uplink *u, struct hello *ret)
{
	struct downstream *d = u->user;

	*ret = d->tunnel->hello;
}

/* NULL: it may be used. */
static const char *find_fault(const struct proxy_tunnel *t, const struct hello_ack *ack)
{
	if (t->ack.instance && ack->instance != t->ack.instance)
		return "leads to another egress than the others";
	if (t->relay->hop_count[HOP_UP] > 0 && !relay_has_way(t->relay, HOP_UP))
		return "is up while the tunnel ends";
	return NULL;
}

static bool on_up(struct uplink *u, const struct hello_ack *ack)
{
	struct downstream *d = u->user;
	struct proxy_tunnel *t = d->tunnel;
	const char *fault = find_fault(t, ack);

	if (fault) {
		log_warn("backend %s %s", u->name, fault);
		return false;
	}
	subflow_want_whole(u->subflow);
	t->ack = *ack;
	d->hop = relay_add_hop(t->relay, HOP_DOWN, u->backend.ratio, d);
	subflow_pause(u->subflow, d->hop->is_paused);
	list_for_each_safe(node, &t->upstreams)
		upstream_answer(container_of(node, struct upstream, node));
	proxy_wake(t);
	return true;
}

static int on_frame(struct uplink *u, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	struct downstream *d = u->user;

	relay_receive(d->tunnel->relay, d->hop, head, control, data);
	proxy_wake(d->tunnel);
	return 0;
}

static void on_blocked(struct uplink *u)
{
	struct downstream *d = u->user;

	if (d->hop)
		d->hop->is_blocked = true;
}

static void on_room(struct uplink *u)
{
	struct downstream *d = u->user;

	if (d->hop)
		d->hop->is_blocked = false;
	proxy_wake(d->tunnel);
}

static void on_stalled(struct uplink *u, bool is_stalled)
{
	struct downstream *d = u->user;

	if (d->hop)
		relay_set_stalled(d->tunnel->relay, d->hop, is_stalled);
	proxy_wake(d->tunnel);
}

static void on_down(struct uplink *u, const char *why)
{
	struct downstream *d = u->user;

	(void)why;
	proxy_drop_hop(d->tunnel, &d->hop, u->has_ended);
	if (d->is_removed)
		downstream_close(d);
}

static void on_closed(struct uplink *u)
{
	struct downstream *d = u->user;
	struct proxy_tunnel *t = d->tunnel;

	list_remove(&d->node);
	free(d);
	proxy_uplink_closed(t);
}

static const struct uplink_ops uplink_ops = {
	.hello = make_hello,
	.up = on_up,
	.frame = on_frame,
	.blocked = on_blocked,
	.room = on_room,
	.stalled = on_stalled,
	.down = on_down,
	.closed = on_closed,
};

void downstream_open(struct proxy_tunnel *t, const struct conf_address *backend)
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
