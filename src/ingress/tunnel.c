/* One worker's tunnel: clients come in, backends come and go. */
#include "common/base/clock.h"
#include "common/base/hostport.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/module/edge.h"
#include "ingress/ingress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the egress behind the backends ---- */

/* Another egress (it restarted, or has forgotten us): nothing of the old tunnel may reach it. */
static void begin_new_tunnel(struct ingress_worker *iw, const char *why)
{
	log_warn("tunnel begins anew: %s", why);
	list_for_each(node, &iw->backends) {
		struct backend *b = container_of(node, struct backend, node);

		if (b->state != BACKEND_CLOSED)
			uplink_restart(&b->uplink, why);
	}
	random_bytes(&iw->tunnel_id, sizeof(iw->tunnel_id));
	iw->instance = 0;
	iw->end.tunnel->sessions_max = iw->budget.sessions_max;
	end_renew(&iw->end, &iw->tunnel_id, RESET_CLOSING, why);
}

/* The first subflow tells what the egress gives each session. */
static void agree(struct ingress_worker *iw, const struct hello_ack *ack)
{
	struct tunnel *t = iw->end.tunnel;

	iw->instance = ack->instance;
	t->config.first_credit = ack->first_credit;
	if (ack->sessions_max < t->sessions_max)
		t->sessions_max = ack->sessions_max;
}

/* A prepared one only takes what comes. False when there are too many. */
static bool add_path(struct backend *b, uint32_t payload_max)
{
	struct ingress_worker *iw = b->owner;

	b->path = end_add_path(&iw->end, b->uplink.subflow, b->uplink.backend.ratio, payload_max);
	if (!b->path) {
		log_warn("backend %s is not used: more than %u paths", b->uplink.name, PATHS_MAX);
		return false;
	}
	b->path->rank = b->rank;
	if (b->state == BACKEND_PREPARED)
		tunnel_hold_path(b->path);
	return true;
}

void ingress_use_backend(struct backend *b)
{
	b->state = BACKEND_USED;
	if (b->path)
		tunnel_use_path(b->owner->end.tunnel, b->path);
	end_wake(&b->owner->end);
}

/* ---- uplink_ops ---- */

static void make_hello(struct uplink *u, struct hello *ret)
{
	struct backend *b = u->user;
	struct ingress_worker *iw = b->owner;

	*ret = (struct hello){
		.version_min = FRAME_VERSION,
		.version_max = FRAME_VERSION,
		.hops_left = HOP_LIMIT,
		.tunnel = iw->tunnel_id,
		.generation = iw->generation + (b->state == BACKEND_PREPARED),
		.payload_max = iw->daemon->conf.payload_max,
	};
}

static bool on_up(struct uplink *u, const struct hello_ack *ack)
{
	struct backend *b = u->user;
	struct ingress_worker *iw = b->owner;

	if (ack->first_credit == 0 || ack->first_credit > FIRST_CREDIT_BYTES) {
		log_warn("backend %s gives a first credit of %u bytes; expected 1 to %u", u->name,
			 ack->first_credit, FIRST_CREDIT_BYTES);
		return false;
	}
	if (iw->instance && ack->instance != iw->instance) {
		if (iw->end.tunnel->path_count == 0)
			begin_new_tunnel(iw, "the egress has restarted");
		else
			log_warn("backend %s leads to another egress than the others", u->name);
		return false;
	}
	if (!iw->instance)
		agree(iw, ack);
	if (!add_path(b, ack->payload_max))
		return false;
	pending_look(&iw->rise);
	pending_look(&iw->leave);
	return true;
}

static int on_frame(struct uplink *u, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	struct backend *b = u->user;

	return end_receive(&b->owner->end, b->path, head, control, data);
}

static void on_blocked(struct uplink *u)
{
	struct backend *b = u->user;

	end_blocked(b->path);
}

static void on_room(struct uplink *u)
{
	struct backend *b = u->user;

	end_room(&b->owner->end, b->path);
}

static void on_stalled(struct uplink *u, bool is_stalled)
{
	struct backend *b = u->user;

	end_stalled(&b->owner->end, b->path, is_stalled);
}

static void drop_path(struct backend *b)
{
	end_remove_path(&b->owner->end, b->path);
	b->path = NULL;
	b->is_drained = false;
}

static void on_down(struct uplink *u, const char *why)
{
	struct backend *b = u->user;

	(void)why;
	drop_path(b);
	/* Whoever leaves does not come back. */
	if (b->state == BACKEND_LEAVING)
		ingress_close_backend(b);
}

static void on_uplink_closed(struct uplink *u)
{
	struct backend *b = u->user;

	list_remove(&b->node);
	free(b);
}

static const struct uplink_ops uplink_ops = {
	.hello = make_hello,
	.up = on_up,
	.frame = on_frame,
	.blocked = on_blocked,
	.room = on_room,
	.stalled = on_stalled,
	.down = on_down,
	.closed = on_uplink_closed,
};

/* ---- backends ---- */

void ingress_add_backend(struct ingress_worker *iw, const struct conf_address *list, size_t rank,
			 enum backend_state state)
{
	struct backend *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	b->owner = iw;
	b->rank = (uint16_t)rank;
	b->state = state;
	list_push_back(&iw->backends, &b->node);
	uplink_open(&b->uplink, iw->worker, &list[rank], &iw->daemon->key, &uplink_ops, b);
}

static bool is_carrying(const struct backend *b)
{
	return b->state == BACKEND_USED && b->path &&
	       (b->path->state == PATH_ACTIVE || b->path->state == PATH_PARKED);
}

static bool has_carrying(const struct ingress_worker *iw)
{
	list_for_each(node, &iw->backends)
		if (is_carrying(container_of(node, struct backend, node)))
			return true;
	return false;
}

void ingress_drain_backend(struct backend *b)
{
	b->state = BACKEND_LEAVING;
	if (!b->path)
		ingress_close_backend(b);
	else if (has_carrying(b->owner))
		end_drain_path(&b->owner->end, b->path);
}

void ingress_close_backend(struct backend *b)
{
	bool is_drained = b->is_drained;

	if (b->state == BACKEND_CLOSED)
		return;
	b->state = BACKEND_CLOSED;
	drop_path(b);
	if (is_drained)
		uplink_rest(&b->uplink, "drained");
	uplink_close(&b->uplink, true);
}

struct backend *ingress_find_backend(struct ingress_worker *iw, const struct conf_address *a)
{
	list_for_each(node, &iw->backends) {
		struct backend *b = container_of(node, struct backend, node);

		if (b->state == BACKEND_USED && conf_address_is_same(&b->uplink.backend, a))
			return b;
	}
	return NULL;
}

/* ---- clients ---- */

static bool may_wait(const struct ingress_worker *iw)
{
	return iw->end.tunnel->path_count > 0 || iw->daemon->conf.client_wait_ms > 0;
}

static bool on_client(void *user, int fd, const struct sockaddr_storage *from)
{
	struct ingress_worker *iw = user;

	if (!may_wait(iw)) {
		struct linger reset = {.l_onoff = 1};

		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		iw->end.tunnel->counters.refused++;
		return true;
	}
	iw->accepted++;
	edge_accept_take(&iw->end, fd, from);
	return true;
}

/* ---- end_ops ---- */

static void on_opened(struct end *e, struct session *s, const struct open_info *info)
{
	(void)e;
	(void)s;
	(void)info; /* only an acceptor's sessions are opened by the other end */
}

static struct backend *backend_of(const struct path *p)
{
	struct uplink *u = subflow_user(p->user);

	return u->user;
}

/* Who began it closes it: we do in the next tick, or the neighbour does. */
static void on_drained(struct end *e, struct path *p)
{
	(void)e;
	backend_of(p)->is_drained = true;
}

static void on_tunnel_closed(struct end *e)
{
	(void)e;
	log_warn("the tunnel has no session left: the egress closed it, or no path came back");
}

static void on_end_freed(struct end *e)
{
	struct ingress_worker *iw = e->user;

	worker_stop(iw->worker);
}

static const struct end_ops end_ops = {
	.opened = on_opened,
	.drained = on_drained,
	.closed = on_tunnel_closed,
	.freed = on_end_freed,
};

/* ---- life ---- */

void ingress_worker_open(struct daemon *d, struct worker *w)
{
	struct ingress *in = d->user;
	struct ingress_worker *iw = calloc(1, sizeof(*iw));
	struct tunnel_config config = end_tunnel_config(&d->conf);
	char name[HOSTPORT_TEXT_MAX];

	if (!iw)
		abort();
	w->user = iw;
	iw->worker = w;
	iw->daemon = d;
	list_init(&iw->backends);
	end_budget_init(&iw->budget, &d->conf);
	w->chunks = &iw->budget.chunks;
	random_bytes(&iw->tunnel_id, sizeof(iw->tunnel_id));
	config.id = iw->tunnel_id;
	config.is_initiator = true;
	config.scheduler = scheduler_find(d->conf.scheduler);
	end_init(&iw->end, w, &d->conf, &config, &iw->budget, &end_ops, iw);
	pending_open(&iw->rise, w, ingress_are_up, iw);
	pending_open(&iw->leave, w, ingress_are_gone, iw);
	pending_open(&iw->drain, w, ingress_is_idle, iw);
	for (size_t i = 0; i < in->topo.used.count; i++)
		ingress_add_backend(iw, in->topo.used.list, i, BACKEND_USED);
	hostport_text(d->conf.listen[0].host, d->conf.listen[0].port, name);
	if (listener_open(&w->loop, in->listen_fd, name, on_client, iw, &iw->listener) < 0)
		log_error("cannot accept on %s", name);
}

void ingress_worker_freed(struct worker *w)
{
	struct ingress_worker *iw = w->user;

	budget_done(&iw->budget);
	free(iw);
}
