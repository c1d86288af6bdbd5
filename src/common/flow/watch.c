/* Watches what is under way: finds paths that stall and bytes that are late, and sends those again
 * on another path. Three looks, from the cheapest:
 *
 *   late    the lowest outstanding bytes of a session should have been acknowledged, by what their
 *	     path is known to need, and were not: they alone go out again, on the path that is
 *	     fastest now (RFC 8985's idea of a segment's own clock; the head only, because the rest
 *	     of a gap is skew). On suspicion, so within a budget.
 *   tail    nothing of a path's bytes was acknowledged for longer than its round trip and nobody
 *	     else has anything under way that could show more: the heads go out again, as a tail
 *	     loss probe does (RFC 8985, section 7).
 *   stalled the same, and other paths' bytes were acknowledged since: the path gets nothing new,
 *	     all that it carries goes another way, and probes find out when it is back. */
#include "common/flow/tunnel_internal.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"

/* ---- doubt ---- */

static void decay_doubts(struct tunnel *t, uint64_t now_us)
{
	for (size_t i = 0; i < t->path_count; i++) {
		struct path *p = t->paths[i];

		while (p->doubt_us > 0 &&
		       now_us - p->doubt_at_us >= PATH_DOUBT_DECAY_MS * US_PER_MS) {
			p->doubt_us -= p->doubt_us / 8 + 1;
			p->doubt_at_us += PATH_DOUBT_DECAY_MS * US_PER_MS;
		}
	}
}

/* ---- bytes ---- */

/* Where a copy of `seg` would arrive first, if not on `silent`; NULL when nowhere else. */
static struct path *fastest_other(const struct tunnel *t, const struct segment *seg,
				  const struct path *silent)
{
	struct path *best = NULL;

	for (size_t i = 0; i < t->path_count; i++) {
		struct path *p = t->paths[i];

		if (p == silent || !path_is_open(p) || (seg->carriers >> p->index & 1))
			continue;
		if (!best || path_return_us(p, seg->data.len) + p->doubt_us <
				     path_return_us(best, seg->data.len) + best->doubt_us)
			best = p;
	}
	return best;
}

/* Without credit nothing new can be sent: then copies cost nothing. */
static bool rescue(struct session *s, struct segment *seg, struct path *p, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;
	bool is_free = s->out.credit <= s->out.next && list_is_empty(&t->ready);

	if (!is_free && t->rescue_bytes < seg->data.len)
		return false;
	if (!is_free)
		t->rescue_bytes -= seg->data.len;
	send_copy(s, seg, p, now_us);
	return true;
}

/* The head of one session. Returns when to look again. `as_of_us`: see watch_run. */
static uint64_t look_at_head(struct session *s, uint64_t as_of_us, uint64_t now_us)
{
	struct segment *seg = sendq_head(&s->out);
	struct path *late, *other;
	uint64_t late_at_us;
	bool is_stuck;

	if (!seg || s->reset != SESSION_RESET_NONE) {
		list_remove(&s->watch_node);
		return NEVER_US;
	}
	/* A lost one waits for room; one whose path lost it has no clock. */
	if (list_is_linked(&seg->lost_node) || !seg->path)
		return NEVER_US;
	late_at_us = seg->due_us + path_slack_us(seg->path);
	if (as_of_us < late_at_us)
		return late_at_us;
	/* When nothing at all was acknowledged since, it may be us, or the other end. */
	if (s->tunnel->progress_us <= seg->due_us)
		return now_us;
	path_doubt(seg->path, now_us - seg->due_us, now_us);
	other = fastest_other(s->tunnel, seg, seg->path);
	late = seg->path;
	is_stuck = late->progress_us <= seg->sent_us;
	if (other && rescue(s, seg, other, now_us)) {
		if (is_stuck)
			late->late_us = now_us;
		return seg->due_us + path_slack_us(other);
	}
	seg->due_us = now_us + LATE_SLACK_MS * US_PER_MS;
	return now_us + 2 * LATE_SLACK_MS * US_PER_MS;
}

void watch_soon(struct tunnel *t, uint64_t wait_ms, uint64_t now_us)
{
	t->watch_next_us = min_u64(t->watch_next_us, now_us + wait_ms * US_PER_MS);
}

void watch_session(struct session *s, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;

	if (!list_is_linked(&s->watch_node))
		list_push_back(&t->watched, &s->watch_node);
	watch_soon(t, WATCH_TICK_MS, now_us);
}

/* Not just between two reads of a client that is about to send more. */
static bool is_nearly_idle(const struct path *p)
{
	return path_has_room(p) && path_load_bytes(p) <= p->cap_bytes / 4;
}

void watch_use_idle(struct tunnel *t, uint64_t now_us)
{
	list_for_each(node, &t->watched) {
		struct session *s = container_of(node, struct session, watch_node);

		list_for_each(n, &s->out.segments) {
			struct segment *seg = container_of(n, struct segment, node);
			struct path *p = fastest_other(t, seg, seg->path);
			uint64_t gain_us;

			if (!p)
				continue; /* all that are open carry it */
			if (!is_nearly_idle(p))
				return;
			gain_us = path_return_us(p, seg->data.len);
			gain_us += gain_us / 4 + IDLE_GAIN_MS * US_PER_MS;
			if (list_is_linked(&seg->lost_node) || seg->due_us <= now_us + gain_us)
				break; /* the head is what the others wait for */
			if (!rescue(s, seg, p, now_us))
				return;
		}
	}
}

/* ---- paths ---- */

/* After so much silence a path with bytes under way is suspected. */
static uint64_t patience_us(const struct path *p)
{
	if (p->rtt_us == 0)
		return PATH_RTT_UNKNOWN_MS * US_PER_MS / 4 + p->base_rtt_us;
	return p->rtt_us + max_u64(4 * p->rttvar_us, PATH_STALL_SLACK_MS * US_PER_MS);
}

/* The proof may be lost as well. Returns when to look again. */
static uint64_t forget_late(struct path *p, uint64_t now_us)
{
	if (p->late_us == 0)
		return NEVER_US;
	if (now_us < p->late_us + patience_us(p))
		return p->late_us + patience_us(p);
	p->late_us = p->late_bytes = 0;
	return NEVER_US;
}

void watch_leaves(struct tunnel *t, const struct path *p)
{
	if (tunnel_has_other_active(t, p))
		return;
	for (size_t i = 0; i < t->path_count; i++) {
		if (t->paths[i]->state == PATH_PARKED)
			tunnel_take_back(t, t->paths[i]);
		/* What answers a probe that is out may have been on this one. */
		probe_soon(t->paths[i]);
	}
}

static void hold(struct path *p, uint64_t now_us)
{
	uint64_t hold_ms = p->stalls_lately ? HOLD_FIRST_MS << min_u64(p->stalls_lately - 1, 8) : 0;

	p->hold_until_us = now_us + min_u64(hold_ms, HOLD_MAX_MS) * US_PER_MS;
}

void watch_stall(struct tunnel *t, struct path *p, const char *why, uint64_t now_us)
{
	bool is_again = now_us - p->stalled_us < HOLD_MEMORY_MS * US_PER_MS && p->stalls > 0;

	if (p->state == PATH_DRAINING)
		p->is_given_up = true;
	if (p->state != PATH_ACTIVE && p->state != PATH_PARKED)
		return;
	if (p->state == PATH_ACTIVE)
		watch_leaves(t, p);
	p->stalls_lately = is_again ? p->stalls_lately + 1 : 0;
	p->stalls++;
	hold(p, now_us);
	path_doubt(p, patience_us(p), now_us);
	p->stalled_us = now_us;
	p->state = PATH_STALLED;
	p->why = why;
	p->probe_token = 0;
	tunnel_update_alive(t);
	list_for_each(node, &t->sessions_all) {
		struct session *s = container_of(node, struct session, all_node);

		if (sendq_collect_lost(&s->out, t->alive) > 0)
			session_update_resend(s);
	}
	tunnel_repeat_controls(t, p, now_us);
}

/* An ACK tells of the first gaps only: what the last path carries may have arrived, and keep its
 * room until a lost head has filled one. */
static struct path *tail_path(const struct tunnel *t, const struct segment *seg, struct path *p)
{
	struct path *other = fastest_other(t, seg, p);

	if (!other && list_is_linked(&seg->lost_node) && path_is_open(p))
		return p;
	return other;
}

/* The heads that only `p` carries go out again, so that it shows whether it is the path; and lost
 * ones, which may wait for room that it will not have. */
static void resend_tail(struct tunnel *t, struct path *p, uint64_t now_us)
{
	uint64_t left = WATCH_TAIL_BYTES;

	list_for_each(node, &t->sessions_all) {
		struct session *s = container_of(node, struct session, all_node);
		struct segment *seg = sendq_head(&s->out);
		struct path *other;

		if (!seg || s->reset != SESSION_RESET_NONE ||
		    (seg->path != p && !list_is_linked(&seg->lost_node)))
			continue;
		other = tail_path(t, seg, p);
		if (!other)
			continue;
		if (seg->data.len > left)
			return;
		left -= seg->data.len;
		list_remove(&seg->lost_node);
		send_copy(s, seg, other, now_us);
		session_update_resend(s);
	}
}

/* Returns when to look again. `as_of_us`: see watch_run. */
static uint64_t look_at_path(struct tunnel *t, struct path *p, uint64_t as_of_us, uint64_t now_us)
{
	uint64_t limit_us = patience_us(p), since_us;

	if (list_is_empty(&p->carried) || p->state == PATH_STALLED)
		return NEVER_US;
	since_us = list_first(&p->carried, struct segment, path_node)->sent_us;
	since_us = max_u64(since_us, p->progress_us);
	if (as_of_us < since_us + limit_us)
		return since_us + limit_us;
	if (t->progress_us > since_us + limit_us / 2) {
		/* One that is closed in order, or soon will be, does not come back. */
		if (p->state == PATH_GONE || p->state == PATH_DRAINING) {
			p->is_given_up = true;
			tunnel_lose_segments(t, p, now_us);
		} else
			watch_stall(t, p, "what it carries does not arrive", now_us);
		return NEVER_US;
	}
	if (now_us >= p->tail_us) {
		resend_tail(t, p, now_us);
		p->tail_us = now_us + 2 * limit_us;
	}
	return p->tail_us;
}

/* Paths and heads are judged as of the first frame that has come since the last run: if we were
 * held up between two reads, what one brought must not accuse those whose turn was before. */
void watch_run(struct tunnel *t, uint64_t now_us)
{
	uint64_t as_of_us = min_u64(t->received_us, now_us), next_us = NEVER_US;

	t->received_us = NEVER_US;
	decay_doubts(t, now_us);
	if (now_us < t->watch_next_us)
		return;
	t->watch_next_us = NEVER_US;
	for (size_t i = 0; i < PATHS_MAX; i++)
		if (t->slots[i]) {
			next_us = min_u64(next_us, look_at_path(t, t->slots[i], as_of_us, now_us));
			next_us = min_u64(next_us, forget_late(t->slots[i], now_us));
		}
	list_for_each_safe(node, &t->watched)
		next_us = min_u64(next_us,
				  look_at_head(container_of(node, struct session, watch_node),
					       as_of_us, now_us));
	tunnel_free_gone(t);
	if (next_us != NEVER_US)
		next_us = max_u64(next_us, now_us + WATCH_TICK_MS * US_PER_MS);
	/* What was sent again may be due before. */
	t->watch_next_us = min_u64(t->watch_next_us, next_us);
}
