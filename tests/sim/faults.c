/* Random and aimed faults. A proxy that is killed comes back after a while. */
#include "faults.h"

#include "common/base/limits.h"

#include <stdio.h>

#define DOWN_US_MAX (3 * US_PER_S)
#define STALL_US_MAX (5 * US_PER_S)
#define OUTAGE_US (2 * SESSION_WAIT_MS * US_PER_MS)

static void strike(void *arg);

void faults_init(struct faults *f, struct world *w, struct vlinks *links, struct vproxy *proxies,
		 unsigned proxy_count)
{
	*f = (struct faults){.world = w,
			     .links = links,
			     .proxies = proxies,
			     .proxy_count = proxy_count,
			     .strike_timer = {.fire = strike, .arg = f}};
}

void faults_done(struct faults *f)
{
	world_timer_stop(f->world, &f->strike_timer);
}

/* ---- random ---- */

static struct vlink *draw_link(struct faults *f)
{
	struct vlink *l = f->links->first;

	for (uint64_t i = rng_below(&f->world->rng, f->links->count); i > 0; i--)
		l = l->next;
	return l;
}

/* TCP gives up in the end, or goes on as if nothing had been. */
static void stall_one(struct faults *f)
{
	struct world *w = f->world;
	unsigned directions = world_chance(w, 50) ? 3 : 1 + (unsigned)world_chance(w, 50);
	uint64_t last_us = world_scale(w, US_PER_MS, STALL_US_MAX);

	vlink_stall(draw_link(f), directions, w->now_us + last_us, world_chance(w, 25));
}

static void strike(void *arg)
{
	struct faults *f = arg;

	if (f->is_outage) {
		for (unsigned i = 0; i < f->proxy_count; i++)
			vproxy_kill(&f->proxies[i], OUTAGE_US);
		f->strikes_left = 0;
		return;
	}
	if (f->links->count > 0 && world_chance(f->world, f->stall_percent)) {
		stall_one(f);
		return;
	}
	if (!f->only_links && f->proxy_count && world_chance(f->world, 50)) {
		struct vproxy *p = &f->proxies[rng_below(&f->world->rng, f->proxy_count)];

		vproxy_kill(p, world_scale(f->world, US_PER_MS, DOWN_US_MAX));
		return;
	}
	if (f->links->count > 0)
		vlink_kill(draw_link(f));
}

void faults_on_delivered(struct faults *f, uint64_t len)
{
	f->delivered_bytes += len;
	f->world->progress_us = f->world->now_us;
	if (f->strikes_left == 0 || f->delivered_bytes < f->strike_at_bytes)
		return;
	f->strikes_left--;
	f->strike_at_bytes = f->delivered_bytes + f->strike_every_bytes;
	world_timer_set(f->world, &f->strike_timer, f->world->now_us);
}

/* ---- aimed ---- */

struct fault_aim faults_aim(unsigned index)
{
	struct fault_aim aim = {.stage = index % FAULT_STAGES};
	unsigned kind_and_way = index / FAULT_STAGES / FAULT_LEVELS + 1;

	aim.level = index / FAULT_STAGES % FAULT_LEVELS;
	aim.kind = kind_and_way / 2;
	aim.towards = kind_and_way % 2 ? HOP_DOWN : HOP_UP;
	return aim;
}

bool faults_can_happen(const struct fault_aim *aim)
{
	return aim->kind != FAULT_PATH_LOST || aim->stage != FAULT_BEFORE || aim->level > 0 ||
	       aim->towards == HOP_UP;
}

void faults_describe(const struct fault_aim *aim, char *ret_text, size_t size)
{
	static const char *const kinds[] = {"OPEN",  "DATA",	     "FIN",	  "ACK",
					    "RESET", "RESET answer", "PATH_LOST", "DRAIN"};
	static const char *const stages[] = {"before it forwards", "after it forwarded",
					     "when it has seen off"};

	snprintf(ret_text, size, "proxy %u dies %s %s towards the %s", aim->level + 1,
		 stages[aim->stage], kinds[aim->kind],
		 aim->towards == HOP_UP ? "ingress" : "egress");
}

static bool is_kind(enum fault_kind kind, const struct frame *f)
{
	switch (kind) {
	case FAULT_OPEN:
		return f->type == FRAME_OPEN;
	case FAULT_DATA:
		return f->type == FRAME_DATA && f->len > 0;
	case FAULT_FIN:
		return f->type == FRAME_DATA && f->flags & FRAME_FLAG_FIN;
	case FAULT_ACK:
		return f->type == FRAME_ACK;
	case FAULT_RESET:
		return f->type == FRAME_RESET && !(f->flags & FRAME_FLAG_ANSWER);
	case FAULT_RESET_ANSWER:
		return f->type == FRAME_RESET && f->flags & FRAME_FLAG_ANSWER;
	case FAULT_PATH_LOST:
		return f->type == FRAME_PATH_LOST;
	case FAULT_DRAIN:
		return f->type == FRAME_DRAIN;
	case FAULT_KINDS:
		break;
	}
	return false;
}

/* When the frame has left, and perhaps arrived, but not what answers it. */
static uint64_t after_it_left_us(struct faults *f)
{
	return world_scale(f->world, 0, 60 * US_PER_MS);
}

bool faults_on_frame(struct faults *f, struct vproxy *p, enum hop_side towards,
		     enum fault_stage stage, const struct frame *head)
{
	enum fault_stage seen = f->aim.stage == FAULT_BEFORE ? FAULT_BEFORE : FAULT_AFTER;

	if (!f->is_aimed || f->has_hit || p->level != f->aim.level || towards != f->aim.towards ||
	    stage != seen || !is_kind(f->aim.kind, head))
		return false;
	if (f->passes_left > 0) {
		f->passes_left--;
		return false;
	}
	f->has_hit = true;
	vproxy_kill_at(p, f->world->now_us + (f->aim.stage == FAULT_LEFT ? after_it_left_us(f) : 0),
		       world_scale(f->world, US_PER_MS, DOWN_US_MAX));
	return f->aim.stage != FAULT_LEFT;
}
