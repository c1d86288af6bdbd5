/* What set_weight, add_path and remove_path do at one worker. Their arguments were checked on the
 * main thread: {"addresses": [the one], "side": HOP_UP or HOP_DOWN}. */
#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/module/report.h"
#include "proxy/proxy.h"

#include <string.h>

static enum hop_side read_args(const struct task *task, struct conf_address *ret)
{
	struct conf_address addresses[CONF_ADDRESSES_MAX];

	topo_from_json(task_args(task), addresses);
	*ret = addresses[0];
	return (enum hop_side)json_integer_value(json_object_get(task_args(task), "side"));
}

static struct proxy_tunnel *tunnel_of(struct list *node)
{
	return container_of(node, struct proxy_tunnel, node);
}

static bool is_backend(const struct downstream *d, const struct conf_address *a)
{
	return !d->is_closing && conf_address_is_same(&d->uplink.backend, a);
}

/* ---- set_weight ---- */

static void weigh_backend(struct proxy_worker *pw, const struct conf_address *a)
{
	for (size_t i = 0; i < pw->backends.count; i++)
		if (conf_address_is_same(&pw->backends.list[i], a))
			pw->backends.list[i].ratio = a->ratio;
	list_for_each(node, &pw->tunnels)
		list_for_each(n, &tunnel_of(node)->downstreams) {
			struct downstream *d = container_of(n, struct downstream, node);

			if (!is_backend(d, a) || d->is_removed)
				continue;
			d->uplink.backend.ratio = a->ratio;
			if (d->hop)
				d->hop->weight = a->ratio;
		}
}

static void weigh_listener(struct proxy_worker *pw, const struct conf_address *a)
{
	list_for_each(node, &pw->tunnels) {
		list_for_each(n, &tunnel_of(node)->upstreams) {
			struct upstream *u = container_of(n, struct upstream, node);

			if (conf_address_is_same(&u->listener, a))
				u->listener.ratio = a->ratio;
		}
		upstream_share_weight(tunnel_of(node), a);
	}
}

void proxy_weigh(struct worker *w, struct task *task)
{
	struct conf_address a;

	if (read_args(task, &a) == HOP_DOWN)
		weigh_backend(w->user, &a);
	else
		weigh_listener(w->user, &a);
	task_done(task, NULL);
}

/* ---- add_path ---- */

/* A listener is the main thread's alone. */
void proxy_add_backend(struct worker *w, struct task *task)
{
	struct proxy_worker *pw = w->user;
	struct conf_address a;

	if (read_args(task, &a) == HOP_DOWN) {
		pw->backends.list[pw->backends.count++] = a;
		list_for_each(node, &pw->tunnels)
			downstream_open(tunnel_of(node), &a);
	}
	task_done(task, NULL);
}

/* ---- remove_path ---- */

typedef void upstream_do(struct upstream *u);
typedef void downstream_do(struct downstream *d);

/* Does it to each that is to go. Returns how many there are. */
static size_t each_removed(struct proxy_worker *pw, upstream_do *on_up, downstream_do *on_down)
{
	const struct removal *r = &pw->removal;
	size_t count = 0;

	list_for_each(node, &pw->tunnels) {
		list_for_each_safe(up, &tunnel_of(node)->upstreams) {
			struct upstream *u = container_of(up, struct upstream, node);

			if (r->side != HOP_UP || !conf_address_is_same(&u->listener, &r->address))
				continue;
			count++;
			if (on_up)
				on_up(u);
		}
		list_for_each_safe(down, &tunnel_of(node)->downstreams) {
			struct downstream *d = container_of(down, struct downstream, node);

			if (r->side != HOP_DOWN || !is_backend(d, &r->address))
				continue;
			count++;
			if (on_down)
				on_down(d);
		}
	}
	return count;
}

static void drain_upstream(struct upstream *u)
{
	if (!u->hop) {
		upstream_close(u, "its listener is removed");
		return;
	}
	relay_drain_hop(u->tunnel->relay, u->hop);
	proxy_wake(u->tunnel);
}

static void drain_downstream(struct downstream *d)
{
	d->is_removed = true;
	if (!d->hop) {
		downstream_close(d);
		return;
	}
	relay_drain_hop(d->tunnel->relay, d->hop);
	proxy_wake(d->tunnel);
}

static void cut_upstream(struct upstream *u)
{
	upstream_close(u, "its listener is removed, and it was not drained in time");
}

static void end_removal(struct proxy_worker *pw, size_t cut)
{
	struct task *task = pw->removal.task;

	pw->removal.task = NULL;
	uv_timer_stop(&pw->tick);
	task_done(task, json_pack("{s:I}", "cut", (json_int_t)cut));
}

void proxy_cut_removal(struct proxy_worker *pw)
{
	if (pw->removal.task)
		end_removal(pw, each_removed(pw, cut_upstream, downstream_close));
}

static void on_tick(uv_timer_t *tick)
{
	struct proxy_worker *pw = tick->data;

	if (each_removed(pw, NULL, NULL) == 0)
		end_removal(pw, 0);
	else if (worker_now(pw->worker) >= pw->removal.until_us)
		proxy_cut_removal(pw);
}

static void forget_backend(struct topo_list *l, const struct conf_address *a)
{
	for (size_t i = 0; i < l->count; i++) {
		if (!conf_address_is_same(&l->list[i], a))
			continue;
		l->count--;
		memmove(&l->list[i], &l->list[i + 1], (l->count - i) * sizeof(l->list[0]));
		return;
	}
}

void proxy_remove(struct worker *w, struct task *task)
{
	struct proxy_worker *pw = w->user;
	struct removal *r = &pw->removal;

	r->task = task;
	r->side = read_args(task, &r->address);
	r->until_us = worker_now(w) + pw->daemon->conf.topo_wait_ms * US_PER_MS;
	if (r->side == HOP_DOWN)
		forget_backend(&pw->backends, &r->address);
	each_removed(pw, drain_upstream, drain_downstream);
	uv_timer_start(&pw->tick, on_tick, 0, TICK_MS);
}
