/* An operator with a die. Rules of the programs hold: the last path that is in use, and a proxy's
 * last next hop, cannot be removed. */
#include "changes.h"

#include "vhop.h"
#include "vpath.h"
#include "vrelay.h"

#include "common/base/limits.h"

/* Below what a tunnel takes, with those that are still leaving. */
#define DIALS_MAX 8
#define DOWNS_MAX 6

const char *change_name(enum change_kind kind)
{
	static const char *const names[] = {
		[CHANGE_SCHEDULER] = "another scheduler",
		[CHANGE_WEIGHT] = "another weight",
		[CHANGE_LEAVE] = "a path leaves",
		[CHANGE_JOIN] = "a path joins",
		[CHANGE_PREPARE] = "a path is prepared",
		[CHANGE_USE] = "what is prepared is used",
		[CHANGE_GIVE_UP] = "what is prepared is given up",
		[CHANGE_HOP_LEAVE_UP] = "a proxy's subflow upwards leaves",
		[CHANGE_HOP_LEAVE_DOWN] = "a proxy's subflow downwards leaves",
		[CHANGE_HOP_JOIN] = "a proxy's subflow joins",
		[CHANGE_HOP_WEIGHT] = "another weight at a proxy",
	};

	return names[kind];
}

static void count(struct changes *c, enum change_kind kind, const char *who)
{
	c->done[kind]++;
	world_trace(c->world, "%s: %s", who, change_name(kind));
}

/* ---- picking ---- */

static struct list *pick_node(struct world *w, struct list *all)
{
	struct list *node = all;
	uint64_t len = 0;

	list_for_each(n, all)
		len++;
	if (len == 0)
		return NULL;
	for (uint64_t i = rng_below(&w->rng, len) + 1; i > 0; i--)
		node = node->next;
	return node;
}

static struct vpath *pick_path(struct vend *e)
{
	struct list *node = pick_node(e->node.world, &e->paths);

	return node ? container_of(node, struct vpath, node) : NULL;
}

static struct vrelay *pick_relay(struct vproxy *p)
{
	struct list *node = pick_node(p->node.world, &p->relays);

	return node ? container_of(node, struct vrelay, node) : NULL;
}

static struct vhop *pick_hop(struct world *w, struct list *hops)
{
	struct list *node = pick_node(w, hops);

	return node ? container_of(node, struct vhop, node) : NULL;
}

const char *draw_scheduler(struct world *w)
{
	size_t all = 0;

	while (scheduler_names[all])
		all++;
	return scheduler_names[rng_below(&w->rng, all)];
}

static uint32_t draw_weight(struct world *w)
{
	return (uint32_t)world_between(w, 1, 10);
}

/* ---- at an end ---- */

static void set_scheduler(struct changes *c, struct vend *e)
{
	tunnel_set_scheduler(e->tunnel, scheduler_find(draw_scheduler(c->world)));
	count(c, CHANGE_SCHEDULER, e->node.name);
	vend_wake(e);
}

static void set_weight(struct changes *c, struct vend *e)
{
	struct vpath *s = pick_path(e);

	if (!s)
		return;
	count(c, CHANGE_WEIGHT, e->node.name);
	vpath_set_weight(s, draw_weight(c->world));
}

/* At the ingress one that it dials, at the egress one that can take what others carry. */
static bool is_in_use(const struct vpath *s)
{
	if (s->is_dialled)
		return !s->is_prepared && !s->is_leaving;
	return s->path && (s->path->state == PATH_ACTIVE || s->path->state == PATH_PARKED);
}

static void leave(struct changes *c, struct vend *e)
{
	struct vpath *s = pick_path(e);
	unsigned in_use = 0;

	list_for_each(node, &e->paths)
		in_use += is_in_use(container_of(node, struct vpath, node));
	if (!s || !is_in_use(s) || in_use < 2)
		return;
	count(c, CHANGE_LEAVE, e->node.name);
	vend_leave(s);
}

static void join(struct changes *c, struct vend *e)
{
	const struct vpath *like = pick_path(e);
	unsigned dialled = 0;
	struct vway way;

	list_for_each(node, &e->paths)
		dialled++;
	if (!like || dialled >= DIALS_MAX)
		return;
	way = c->draw_way(c, like->dial.way.to);
	if (world_chance(c->world, 70)) {
		count(c, CHANGE_PREPARE, e->node.name);
		vend_prepare(e, &way);
	} else {
		count(c, CHANGE_JOIN, e->node.name);
		vpath_dial(e, &way, false);
	}
}

static void settle(struct changes *c, struct vend *e)
{
	if (world_chance(c->world, 75)) {
		count(c, CHANGE_USE, e->node.name);
		vend_commit(e);
	} else {
		count(c, CHANGE_GIVE_UP, e->node.name);
		vend_abort(e);
	}
}

static void change_end(struct changes *c, struct vend *e)
{
	uint64_t die = rng_below(&c->world->rng, 100);

	if (e->is_closed)
		return;
	if (die < 20)
		set_scheduler(c, e);
	else if (die < 35)
		set_weight(c, e);
	else if (die < 60)
		leave(c, e);
	else if (!e->is_initiator)
		return;
	else if (die < 80)
		join(c, e);
	else
		settle(c, e);
}

/* ---- at a proxy ---- */

static bool is_last_down(const struct vhop *h)
{
	bool is_last = true;

	list_for_each(node, &h->relay->downs) {
		const struct vhop *other = container_of(node, struct vhop, node);

		is_last &= other == h || other->is_leaving;
	}
	return h->to == HOP_DOWN && is_last;
}

static void hop_leaves(struct changes *c, struct list *hops)
{
	struct vhop *h = pick_hop(c->world, hops);

	if (!h || h->is_leaving || is_last_down(h))
		return;
	count(c, h->to == HOP_UP ? CHANGE_HOP_LEAVE_UP : CHANGE_HOP_LEAVE_DOWN,
	      h->proxy->node.name);
	vhop_leave(h);
}

static void hop_joins(struct changes *c, struct vrelay *r)
{
	const struct vhop *like = pick_hop(c->world, &r->downs);
	struct vway way;

	if (!like || r->down_count >= DOWNS_MAX)
		return;
	count(c, CHANGE_HOP_JOIN, r->proxy->node.name);
	way = c->draw_way(c, like->dial.way.to);
	vhop_dial(r, &way);
}

static void hop_weighs(struct changes *c, struct list *hops)
{
	struct vhop *h = pick_hop(c->world, hops);

	if (!h)
		return;
	count(c, CHANGE_HOP_WEIGHT, h->proxy->node.name);
	vhop_set_weight(h, draw_weight(c->world));
}

static void change_proxy(struct changes *c, struct vproxy *p)
{
	struct vrelay *r = pick_relay(p);
	uint64_t die = rng_below(&c->world->rng, 100);

	if (!r)
		return;
	if (die < 35)
		hop_leaves(c, &r->ups);
	else if (die < 60)
		hop_leaves(c, &r->downs);
	else if (die < 80)
		hop_joins(c, r);
	else
		hop_weighs(c, die < 90 ? &r->ups : &r->downs);
}

/* ---- when ---- */

static void change(void *arg)
{
	struct changes *c = arg;
	struct world *w = c->world;

	if (c->left == 0)
		return;
	c->left--;
	world_timer_set(w, &c->timer, w->now_us + world_scale(w, 1, c->pause_us_max));
	if (c->proxy_count > 0 && world_chance(w, 50))
		change_proxy(c, &c->proxies[rng_below(&w->rng, c->proxy_count)]);
	else
		change_end(c, &c->ends[rng_below(&w->rng, c->tunnel_count)][rng_below(&w->rng, 2)]);
}

void changes_start(struct changes *c, unsigned most, uint64_t pause_us_max)
{
	struct world *w = c->world;

	c->left = most;
	c->pause_us_max = pause_us_max;
	c->timer = (struct world_timer){.fire = change, .arg = c};
	world_timer_set(w, &c->timer, w->now_us + world_scale(w, 1, pause_us_max));
}

void changes_done(struct changes *c)
{
	world_timer_stop(c->world, &c->timer);
}
