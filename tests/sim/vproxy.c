/* The life and death of a proxy. */
#include "vproxy.h"

#include "faults.h"
#include "vhop.h"
#include "vrelay.h"

static void on_accept(struct vnode *n, struct vside *s)
{
	vhop_accept(container_of(n, struct vproxy, node), s);
}

static void end_all(struct vproxy *p)
{
	while (!list_is_empty(&p->relays))
		vrelay_end(list_first(&p->relays, struct vrelay, node));
	while (!list_is_empty(&p->strangers))
		vhop_free(list_first(&p->strangers, struct vhop, node));
}

/* What it had sent and was still on its way dies with it. */
static void break_links(struct vproxy *p)
{
	list_for_each(node, &p->strangers)
		vlink_kill(container_of(node, struct vhop, node)->side->link);
	list_for_each(node, &p->relays)
		vrelay_break_links(container_of(node, struct vrelay, node));
}

void vproxy_kill(struct vproxy *p, uint64_t down_us)
{
	struct world *w = p->node.world;

	world_trace(w, "%s dies for %.3f s", p->node.name, (double)down_us / US_PER_S);
	p->node.is_down = true;
	p->is_doomed = false;
	break_links(p);
	end_all(p);
	world_timer_set(w, &p->return_timer, w->now_us + down_us);
}

static void kill_now(void *arg)
{
	struct vproxy *p = arg;

	vproxy_kill(p, p->down_us);
}

static void come_back(void *arg)
{
	struct vproxy *p = arg;

	world_trace(p->node.world, "%s is back", p->node.name);
	p->node.is_down = false;
}

void vproxy_kill_at(struct vproxy *p, uint64_t at_us, uint64_t down_us)
{
	p->down_us = down_us;
	world_timer_set(p->node.world, &p->kill_timer, at_us);
}

void vproxy_init(struct vproxy *p, struct world *w, struct vlinks *links, struct faults *faults)
{
	*p = (struct vproxy){.node = {.world = w, .links = links, .accept = on_accept},
			     .faults = faults,
			     .kill_timer = {.fire = kill_now, .arg = p},
			     .return_timer = {.fire = come_back, .arg = p}};
	list_init(&p->relays);
	list_init(&p->strangers);
	chunk_pool_init(&p->chunks, MEMORY_LIMIT_MIN);
	slab_init(&p->items, sizeof(struct relay_item));
}

void vproxy_done(struct vproxy *p)
{
	struct world *w = p->node.world;

	end_all(p);
	world_timer_stop(w, &p->kill_timer);
	world_timer_stop(w, &p->return_timer);
	if (p->items.used || p->chunks.used_bytes) {
		world_fail(w, "%s leaves %zu items and %zu bytes behind", p->node.name,
			   p->items.used, p->chunks.used_bytes);
		return;
	}
	slab_done(&p->items);
	chunk_pool_done(&p->chunks);
}
