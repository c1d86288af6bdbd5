/* Limits, accounts and timers of an end. */
#include "audit.h"

#include "vend.h"

#include "common/base/limits.h"
#include "common/base/minmax.h"

/* Beyond the limit: what was promised before memory got short, and a read for each subflow. */
#define MEMORY_SLACK_BYTES (3 * MIB)
/* The sums cost a look at every segment. */
#define ACCOUNTS_EVERY 32
#define URGES_MAX 3

/* ---- limits ---- */

static void check_limits(struct vend *e)
{
	const struct budget *b = &e->budget;
	size_t used_bytes = budget_used_bytes(b);

	if (b->granted_bytes > b->granted_bytes_max)
		world_fail(e->node.world, "%s has promised %zu of %zu bytes", e->node.name,
			   b->granted_bytes, b->granted_bytes_max);
	if (used_bytes > b->chunks.limit_bytes + MEMORY_SLACK_BYTES)
		world_fail(e->node.world, "%s uses %zu of %zu bytes", e->node.name, used_bytes,
			   b->chunks.limit_bytes);
	if (b->sessions > b->sessions_max)
		world_fail(e->node.world, "%s has %u of %u sessions", e->node.name, b->sessions,
			   b->sessions_max);
}

static void check_session(struct vend *e, const struct session *s)
{
	uint64_t first = e->tunnel->config.first_credit;
	uint64_t open_bytes = s->granted - s->in.consumed;

	if (s->out.next - s->out.has_fin > s->out.credit)
		world_fail(e->node.world, "%s sent %llu bytes of session %llu, of %llu it may",
			   e->node.name, (unsigned long long)s->out.next, (unsigned long long)s->id,
			   (unsigned long long)s->out.credit);
	if (open_bytes > max_u64(e->tunnel->config.window_max_bytes, first))
		world_fail(e->node.world, "%s has promised session %llu a window of %llu bytes",
			   e->node.name, (unsigned long long)s->id, (unsigned long long)open_bytes);
}

/* ---- accounts ---- */

struct sums {
	uint64_t inflight_bytes[PATHS_MAX];
	uint32_t segments[PATHS_MAX];
	size_t reserved_bytes;
};

static void add_session(struct sums *sums, const struct session *s)
{
	sums->reserved_bytes += s->reserved_bytes;
	list_for_each(node, &s->out.segments) {
		const struct segment *seg = container_of(node, struct segment, node);

		for (uint64_t left = seg->carriers; left; left &= left - 1) {
			sums->inflight_bytes[__builtin_ctzll(left)] += seg->data.len;
			sums->segments[__builtin_ctzll(left)]++;
		}
	}
}

static void check_path_sums(struct vend *e, const struct sums *sums, size_t i)
{
	const struct path *p = e->tunnel->slots[i];

	if (p && p->late_us == 0 && p->late_bytes > 0)
		world_fail(e->node.world, "%s counts late bytes on path %zu, which is not late",
			   e->node.name, i);
	if ((p ? p->segments : 0) != sums->segments[i])
		world_fail(e->node.world, "%s counts %u segments on path %zu; %u are", e->node.name,
			   p ? p->segments : 0, i, sums->segments[i]);
	if ((p ? p->inflight_bytes : 0) != sums->inflight_bytes[i])
		world_fail(e->node.world, "%s counts %llu bytes on path %zu; %llu are",
			   e->node.name, (unsigned long long)(p ? p->inflight_bytes : 0), i,
			   (unsigned long long)sums->inflight_bytes[i]);
}

static void check_accounts(struct vend *e)
{
	const struct tunnel *t = e->tunnel;
	struct sums sums = {0};

	list_for_each(node, &t->sessions_all) {
		const struct session *s = container_of(node, struct session, all_node);

		add_session(&sums, s);
		check_session(e, s);
	}
	for (size_t i = 0; i < PATHS_MAX; i++)
		check_path_sums(e, &sums, i);
	if (sums.reserved_bytes != e->budget.granted_bytes)
		world_fail(e->node.world, "%s counts %zu bytes promised; %zu are", e->node.name,
			   e->budget.granted_bytes, sums.reserved_bytes);
}

/* ---- time ---- */

struct look {
	struct vend *end;
	uint64_t now_us, next_us;
};

/* What is due at `due_us` may be looked at `tick_us` later. */
static void check_due(const struct look *l, const char *what, uint64_t due_us, uint64_t tick_us)
{
	uint64_t until_us = max_u64(due_us, l->now_us) + tick_us;

	if (l->next_us > until_us)
		world_fail(l->end->node.world, "%s looks %.3f ms late at %s", l->end->node.name,
			   (double)(l->next_us - until_us) / US_PER_MS, what);
}

static bool is_nothing_sent_on(const struct path *p)
{
	return p->state == PATH_DRAINING || p->state == PATH_PREPARED || p->is_blocked;
}

/* See patience_us in watch.c, from which this is told on purpose in other words. */
static uint64_t suspected_us(const struct path *p, const struct segment *oldest)
{
	uint64_t since_us = max_u64(oldest->sent_us, p->progress_us);
	uint64_t slack_us = max_u64(4 * p->rttvar_us, PATH_STALL_SLACK_MS * US_PER_MS);

	if (p->rtt_us > 0)
		return since_us + p->rtt_us + slack_us;
	return since_us + p->base_rtt_us + PATH_RTT_UNKNOWN_MS * US_PER_MS / 4;
}

static void check_path(const struct look *l, const struct path *p)
{
	bool is_out = p->state == PATH_STALLED || p->state == PATH_PARKED;
	const struct segment *oldest = list_is_empty(&p->carried)
					       ? NULL
					       : list_first(&p->carried, struct segment, path_node);

	/* What is known to be lost waits for another path. */
	if (oldest && !list_is_linked(&oldest->lost_node) && p->state != PATH_STALLED)
		check_due(l, "a path's silence", max_u64(suspected_us(p, oldest), p->tail_us),
			  WATCH_TICK_MS * US_PER_MS);
	if (is_out && !is_nothing_sent_on(p))
		check_due(l, "a path that may be back", p->probe_sent_us,
			  (uint64_t)PROBE_LOST_MS * US_PER_MS << PROBE_LOST_DOUBLINGS);
	if (p->owes_drain && !p->is_blocked)
		world_fail(l->end->node.world, "%s keeps DRAIN back", l->end->node.name);
}

/* An ACK may make the path's RTT shorter, and with it the slack that the last look has reckoned
 * with; the next look follows within PATH_STALL_SLACK_MS then. */
static uint64_t head_tick_us(const struct look *l, const struct path *p)
{
	bool is_new = l->now_us - p->progress_us < PATH_STALL_SLACK_MS * US_PER_MS;

	return (is_new ? PATH_STALL_SLACK_MS : WATCH_TICK_MS) * US_PER_MS;
}

static void check_head(const struct look *l, const struct session *s)
{
	const struct segment *seg = sendq_head(&s->out);
	const struct path *p = seg ? seg->path : NULL;

	if (!p || list_is_linked(&seg->lost_node) || s->reset != SESSION_RESET_NONE)
		return;
	check_due(l, "late bytes",
		  seg->due_us + LATE_SLACK_MS * US_PER_MS +
			  min_u64(2 * p->rttvar_us, p->base_rtt_us / 4),
		  head_tick_us(l, p));
}

static void check_acks(const struct look *l)
{
	const struct tunnel *t = l->end->tunnel;

	if (!scheduler_pick_control(t->config.scheduler, t->paths, t->path_count))
		return;
	if (!list_is_empty(&t->acks_now) || !list_is_empty(&t->controls))
		world_fail(l->end->node.world, "%s keeps an ACK or a RESET back",
			   l->end->node.name);
	list_for_each(node, &t->acks)
		check_due(l, "an ACK", container_of(node, struct session, ack_node)->ack_due_us, 0);
}

/* A run may bring something that is due at once, as the probe of a path that has just become idle;
 * but not again and again. */
static void check_urge(const struct look *l)
{
	struct vend *e = l->end;

	e->urges = l->next_us > l->now_us ? 0 : e->urges + 1;
	if (e->urges > URGES_MAX)
		world_fail(e->node.world, "%s asks to run again at once, again and again",
			   e->node.name);
}

static void check_time(const struct look *l)
{
	const struct tunnel *t = l->end->tunnel;

	check_urge(l);
	check_acks(l);
	list_for_each(node, &t->timed)
		check_due(l, "a session", container_of(node, struct session, timed_node)->timer_us,
			  TIMED_TICK_MS * US_PER_MS);
	list_for_each(node, &t->watched)
		check_head(l, container_of(node, struct session, watch_node));
	for (size_t i = 0; i < PATHS_MAX; i++)
		if (t->slots[i])
			check_path(l, t->slots[i]);
	if (!t->has_path)
		check_due(l, "the loss of all paths", t->pathless_us + t->config.session_wait_us,
			  0);
}

/* ---- all ---- */

void audit_run(struct vend *e, uint64_t next_us)
{
	struct look look = {.end = e, .now_us = e->node.world->now_us, .next_us = next_us};

	check_limits(e);
	if (e->runs++ % ACCOUNTS_EVERY == 0)
		check_accounts(e);
	check_time(&look);
}

void audit_end(struct vend *e)
{
	const struct budget *b = &e->budget;
	size_t fill = b->fill ? b->fill->size : 0;

	if (b->granted_bytes || b->sessions || b->segments.used || b->pieces.used || b->runs.used ||
	    b->finished_ranges || b->chunks.used_bytes != fill)
		world_fail(e->node.world,
			   "%s leaves %zu promised, %u sessions, %zu segments, %zu pieces, %zu "
			   "runs, %zu ranges and %zu bytes behind",
			   e->node.name, b->granted_bytes, b->sessions, b->segments.used,
			   b->pieces.used, b->runs.used, b->finished_ranges,
			   b->chunks.used_bytes - fill);
}
