/* Queue, line and wire of one direction. Packets are moved on only when somebody asks (a push or a
 * pop), but as if each had moved at its own time. */
#include "emulator/core/direction.h"

#include "common/base/minmax.h"
#include "emulator/core/chance.h"
#include "emulator/core/limits.h"

#include <string.h>

static const char *const drop_names[DROP_COUNT] = {
	[DROP_QUEUE] = "queue",
	[DROP_MEMORY] = "memory",
	[DROP_RANDOM] = "loss",
	[DROP_BURST] = "burst",
	[DROP_BLACKHOLE] = "blackhole",
	[DROP_DOWN] = "down",
	[DROP_UNSUPPORTED] = "unsupported",
	[DROP_SEND] = "send",
};

const char *drop_name(enum drop drop)
{
	return drop_names[drop];
}

void direction_init(struct direction *d, struct slab *slab, uint64_t seed)
{
	*d = (struct direction){.slab = slab};
	settings_init(&d->settings);
	rng_init(&d->rng, seed);
	list_init(&d->queue);
	list_init(&d->flight);
	list_init(&d->held);
}

void direction_drop_take(struct direction *d, struct packet *p, enum drop why)
{
	d->counters.dropped[why]++;
	slab_free(d->slab, p);
}

static void purge_list(struct direction *d, struct list *list)
{
	struct list *node;

	while ((node = list_pop_front(list)) != NULL)
		direction_drop_take(d, container_of(node, struct packet, node), DROP_DOWN);
}

static void purge(struct direction *d)
{
	purge_list(d, &d->queue);
	purge_list(d, &d->flight);
	purge_list(d, &d->held);
	d->packet_count = d->queue_packets = d->queue_bytes = 0;
}

void direction_done(struct direction *d)
{
	if (d->slab)
		purge(d);
}

static struct packet *first(const struct list *head)
{
	return list_is_empty(head) ? NULL : list_first(head, struct packet, node);
}

/* Puts it at the end of a wire's list, not before the one that is there. */
static void fly(struct direction *d, struct list *list, uint64_t *last_ns, struct packet *p,
		uint64_t exit_ns)
{
	*last_ns = max_u64(*last_ns, exit_ns);
	p->time_ns = *last_ns;
	list_push_back(list, &p->node);
	d->packet_count++;
}

static struct packet *copy(struct direction *d, const struct packet *p)
{
	struct packet *twin = slab_alloc(d->slab);

	memcpy(twin, p, offsetof(struct packet, frame) + p->len);
	return twin;
}

static bool is_lost(struct direction *d, struct packet *p)
{
	switch (loss_next(&d->loss, &d->settings, &d->rng)) {
	case LOSS_NONE:
		return false;
	case LOSS_RANDOM:
		direction_drop_take(d, p, DROP_RANDOM);
		break;
	case LOSS_BURST:
		direction_drop_take(d, p, DROP_BURST);
		break;
	}
	return true;
}

/* The line has sent it at `now_ns`; it is in no list. */
static void launch(struct direction *d, struct packet *p, uint64_t now_ns)
{
	const struct settings *s = &d->settings;
	int64_t offset_ns = jitter_at(&d->jitter, now_ns, s->jitter_ns, &d->rng);
	uint64_t delay_ns = s->delay_ns + (uint64_t)offset_ns;

	if ((int64_t)delay_ns < 0)
		delay_ns = 0; /* the jitter is larger than the delay */
	if (is_lost(d, p))
		return;
	if (chance_hits(&d->rng, s->duplicate_ppb)) {
		d->counters.duplicated++;
		fly(d, &d->flight, &d->flight_last_ns, copy(d, p), now_ns + delay_ns);
	}
	if (chance_hits(&d->rng, s->reorder_ppb)) {
		d->counters.reordered++;
		fly(d, &d->held, &d->held_last_ns, p, now_ns + delay_ns + s->reorder_ns);
	} else {
		fly(d, &d->flight, &d->flight_last_ns, p, now_ns + delay_ns);
	}
}

/* When the first of the queue has ended. */
static uint64_t queue_end_ns(const struct direction *d, const struct packet *p)
{
	return shaper_end(&d->shaper, d->settings.rate_bps, p->time_ns, p->len);
}

/* Brings all that the line has sent by now onto the wire. */
static void advance(struct direction *d, uint64_t now_ns)
{
	struct packet *p;

	while ((p = first(&d->queue)) != NULL && queue_end_ns(d, p) <= now_ns) {
		shaper_send(&d->shaper, d->settings.rate_bps, p->time_ns, p->len);
		list_remove(&p->node);
		d->queue_packets--;
		d->queue_bytes -= p->len;
		d->packet_count--;
		launch(d, p, d->shaper.free_ns);
	}
}

static bool is_full(const struct direction *d, const struct packet *p)
{
	const struct settings *s = &d->settings;

	if (s->limit_packets)
		return d->queue_packets >= s->limit_packets;
	return d->queue_bytes + p->len > s->limit_bytes;
}

static bool may_enter(const struct direction *d, const struct packet *p, enum drop *ret_why)
{
	if (d->is_down)
		*ret_why = DROP_DOWN;
	else if (d->packet_count * d->slab->object_bytes >= DIRECTION_BYTES_MAX)
		*ret_why = DROP_MEMORY;
	else if (is_full(d, p))
		*ret_why = DROP_QUEUE;
	else
		return true;
	return false;
}

void direction_push_take(struct direction *d, struct packet *p, uint64_t now_ns)
{
	enum drop why;

	d->counters.in_packets++;
	d->counters.in_bytes += p->len;
	advance(d, now_ns);
	if (!may_enter(d, p, &why)) {
		direction_drop_take(d, p, why);
		return;
	}
	p->time_ns = now_ns;
	list_push_back(&d->queue, &p->node);
	d->queue_packets++;
	d->queue_bytes += p->len;
	d->packet_count++;
	d->counters.queue_bytes_max = max_u64(d->counters.queue_bytes_max, d->queue_bytes);
}

/* Of those on the wire the one that comes out next, or NULL. */
static struct packet *next_exit(const struct direction *d)
{
	struct packet *p = first(&d->flight), *held = first(&d->held);

	return !p || (held && held->time_ns < p->time_ns) ? held : p;
}

struct packet *direction_pop(struct direction *d, uint64_t now_ns)
{
	struct packet *p;

	advance(d, now_ns);
	while ((p = next_exit(d)) != NULL && p->time_ns <= now_ns) {
		list_remove(&p->node);
		d->packet_count--;
		if (!d->is_blackhole) {
			d->counters.out_packets++;
			d->counters.out_bytes += p->len;
			return p;
		}
		direction_drop_take(d, p, DROP_BLACKHOLE);
	}
	return NULL;
}

uint64_t direction_next_ns(const struct direction *d)
{
	const struct settings *s = &d->settings;
	const struct packet *out = next_exit(d), *waiting = first(&d->queue);
	uint64_t next_ns = out ? out->time_ns : NEVER_NS;

	/* What waits comes out behind all that flies in order. */
	if (waiting && list_is_empty(&d->flight)) {
		uint64_t delay_ns = s->delay_ns - min_u64(s->delay_ns, s->jitter_ns);

		next_ns = min_u64(next_ns, queue_end_ns(d, waiting) + delay_ns);
	}
	return next_ns;
}

void direction_change(struct direction *d, const struct change *c, uint64_t now_ns)
{
	advance(d, now_ns);
	if (c->keys & 1u << KEY_RATE && c->to.rate_bps != d->settings.rate_bps)
		shaper_restart(&d->shaper, now_ns);
	settings_change(&d->settings, c);
}

void direction_set_down(struct direction *d, bool is_down)
{
	d->is_down = is_down;
	if (is_down)
		purge(d);
}
