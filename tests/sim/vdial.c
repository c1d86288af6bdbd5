/* Dialling with backoff in virtual time; the handshake itself goes over the link. */
#include "vdial.h"

#include "common/base/limits.h"

#include <assert.h>

static void backoff(struct vdial *d)
{
	struct world *w = d->from->world;

	world_timer_set(w, &d->timer, w->now_us + d->backoff_us);
	d->backoff_us *= 2;
	if (d->backoff_us > REDIAL_MAX_MS * US_PER_MS)
		d->backoff_us = REDIAL_MAX_MS * US_PER_MS;
}

static void say_hello(const struct vdial *d, struct vside *side)
{
	uint8_t payload[HELLO_PAYLOAD_MAX];
	struct frame head = {.type = FRAME_HELLO};
	struct hello hello = {
		.version_min = FRAME_VERSION,
		.version_max = FRAME_VERSION,
		.hops_left = HOP_LIMIT,
		.payload_max = FRAME_PAYLOAD_DEFAULT,
		.tunnel.bytes = {(uint8_t)d->tunnel},
		.generation = d->generation,
	};

	head.len = (uint32_t)hello_encode(&hello, payload, sizeof(payload));
	vlink_send(side, &head, payload, NULL);
}

static struct vside *connect_one(const struct vdial *d)
{
	struct vnode *to = d->way.to;
	struct vlink *l = vlink_new(d->from->world, d->from->links, &d->way.link);

	vlink_attach(&l->side[0], d->ops, d->user, d->from->name, d->pool);
	to->accept(to, &l->side[1]);
	say_hello(d, &l->side[0]);
	return &l->side[0];
}

static void connect_now(void *arg)
{
	struct vdial *d = arg;

	if (d->way.to->is_down)
		backoff(d);
	else
		d->side = connect_one(d);
}

static void connect_fresh(void *arg)
{
	struct vdial *d = arg;
	struct world *w = d->from->world;

	vdial_drop_fresh(d);
	if (!d->way.to->is_down)
		d->fresh = connect_one(d);
	world_timer_set(w, &d->fresh_timer, w->now_us + FRESH_DIAL_MS * US_PER_MS);
}

/* A TCP handshake away. */
static void dial_now(struct vdial *d)
{
	struct world *w = d->from->world;

	world_timer_set(w, &d->timer, w->now_us + 2 * d->way.link.delay_us);
}

void vdial_start(struct vdial *d, struct vnode *from, const struct vway *way, unsigned tunnel,
		 struct chunk_pool *pool, const struct vside_ops *ops, void *user)
{
	*d = (struct vdial){.from = from,
			    .way = *way,
			    .tunnel = tunnel,
			    .pool = pool,
			    .ops = ops,
			    .user = user,
			    .backoff_us = REDIAL_MIN_MS * US_PER_MS,
			    .timer = {.fire = connect_now, .arg = d},
			    .fresh_timer = {.fire = connect_fresh, .arg = d}};
	dial_now(d);
}

void vdial_up(struct vdial *d)
{
	d->backoff_us = REDIAL_MIN_MS * US_PER_MS;
}

static void hang_up(struct vdial *d)
{
	vdial_set_stalled(d, false);
	if (d->side)
		vlink_close(d->side);
	d->side = NULL;
}

void vdial_again(struct vdial *d)
{
	hang_up(d);
	backoff(d);
}

void vdial_stop(struct vdial *d)
{
	hang_up(d);
	world_timer_stop(d->from->world, &d->timer);
}

void vdial_rest(struct vdial *d)
{
	vdial_set_stalled(d, false);
	if (d->side)
		vlink_finish(d->side);
	d->side = NULL;
	world_timer_stop(d->from->world, &d->timer);
}

void vdial_wake(struct vdial *d)
{
	if (!d->side && !d->timer.place)
		dial_now(d);
}

void vdial_set_stalled(struct vdial *d, bool is_stalled)
{
	struct world *w = d->from->world;

	if (is_stalled) {
		world_timer_set(w, &d->fresh_timer, w->now_us + FRESH_DIAL_MS * US_PER_MS);
	} else {
		world_timer_stop(w, &d->fresh_timer);
		vdial_drop_fresh(d);
	}
}

void vdial_drop_fresh(struct vdial *d)
{
	if (d->fresh)
		vlink_close(d->fresh);
	d->fresh = NULL;
}

void vdial_take_fresh(struct vdial *d)
{
	struct vside *fresh = d->fresh;

	world_trace(d->from->world, "%s has a fresh connection to %s", d->from->name,
		    d->way.to->name);
	d->fresh = NULL;
	hang_up(d);
	d->side = fresh;
}

struct hello vdial_hello(const struct deframed *f)
{
	struct hello hello;
	int r = hello_decode(f->control, f->head.len, &hello);

	assert(r == 0);
	(void)r;
	return hello;
}

unsigned vdial_hello_tunnel(const struct hello *hello)
{
	return hello->tunnel.bytes[0];
}

void vdial_answer(struct vside *s)
{
	uint8_t payload[HELLO_ACK_PAYLOAD_MAX];
	struct frame head = {.type = FRAME_HELLO_ACK};
	struct hello_ack ack = {
		.version = FRAME_VERSION,
		.instance = 1,
		.payload_max = FRAME_PAYLOAD_DEFAULT,
		.first_credit = FIRST_CREDIT_BYTES,
		.sessions_max = SESSIONS_MAX_DEFAULT,
	};

	head.len = (uint32_t)hello_ack_encode(&ack, payload, sizeof(payload));
	vlink_send(s, &head, payload, NULL);
}
