/* One subflow of a tunnel: how it joins, what comes on it, how it goes. */
#include "common/base/log.h"
#include "common/base/minmax.h"
#include "egress/egress.h"

#include <errno.h>
#include <stdlib.h>

void leg_free(struct leg *leg)
{
	list_remove(&leg->node);
	leg->tunnel->leg_count--;
	free(leg);
}

const struct conf_address *leg_listener(const struct leg *leg)
{
	const struct topo_list *l = &leg->tunnel->owner->listeners;

	return topo_find(l->list, l->count, &leg->listener);
}

void leg_set_rank(struct leg *leg)
{
	const struct topo_list *l = &leg->tunnel->owner->listeners;
	const struct conf_address *a = leg_listener(leg);

	if (leg->path)
		leg->path->rank = (uint16_t)(a ? (size_t)(a - l->list) : l->count);
}

/* Does it carry what comes from the server, so that the others on this listener have less to? */
static bool is_used_on(const struct leg *leg, const struct conf_address *listener)
{
	return leg->path && leg->path->state != PATH_PREPARED &&
	       leg->path->state != PATH_DRAINING && conf_address_is_same(&leg->listener, listener);
}

void leg_share_weight(struct egress_tunnel *t, const struct conf_address *listener)
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

void leg_close(struct leg *leg)
{
	struct egress_tunnel *t = leg->tunnel;

	log_info("subflow from %s is closed", subflow_peer(leg->subflow));
	end_remove_path(&t->end, leg->path);
	leg->path = NULL;
	leg_share_weight(t, &leg->listener);
	if (leg->is_drained)
		subflow_finish(leg->subflow);
	else
		subflow_close(leg->subflow, true);
	leg_free(leg);
}

/* ---- subflow_ops ---- */

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
	leg_set_rank(leg);
	t->had_path = true;
	leg_share_weight(t, &leg->listener);
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
		leg_share_weight(t, &leg->listener);
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
	leg_share_weight(t, &leg->listener);
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

void leg_accept_take(struct egress_tunnel *t, const struct arrival *a)
{
	struct egress_worker *ew = t->owner;
	struct leg *leg = calloc(1, sizeof(*leg));

	if (!leg)
		abort();
	leg->tunnel = t;
	leg->listener = a->listener;
	leg->generation = a->hello.generation;
	list_push_back(&t->legs, &leg->node);
	t->leg_count++;
	leg->subflow = subflow_accept_take(ew->worker, a->fd, &a->hello, &ew->daemon->key,
					   &subflow_ops, leg);
	if (leg->subflow)
		answer(leg, &a->hello);
	else
		leg_free(leg);
}
