/* The life of a session: what it may send, what it promises to take, how it ends. */
#include "common/flow/session.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"
#include "common/flow/tunnel_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- life ---- */

struct session *session_new(struct tunnel *t, uint64_t id, enum session_open open, void *user,
			    uint64_t now_us)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->tunnel = t;
	s->id = id;
	s->user = user;
	s->open = open;
	s->deficit_bytes = SESSION_QUANTUM_BYTES;
	s->opened_us = s->active_us = s->tune_us = now_us;
	sendq_init(&s->out, 0, t->slots);
	reorder_init(&s->in, t->config.seed ^ id * 0x9e3779b97f4a7c15u);
	list_init(&s->ready_node);
	list_init(&s->resend_node);
	list_init(&s->control_node);
	list_init(&s->ack_node);
	list_init(&s->timed_node);
	list_init(&s->watch_node);
	list_init(&s->done_node);
	list_push_back(&t->sessions_all, &s->all_node);
	idmap_put(&t->sessions, id, s);
	t->budget->sessions++;
	return s;
}

static void unlink_sending(struct session *s)
{
	list_remove(&s->ready_node);
	list_remove(&s->resend_node);
}

static void release_reserve(struct session *s)
{
	s->tunnel->budget->granted_bytes -= s->reserved_bytes;
	s->reserved_bytes = 0;
}

void session_free(struct session *s)
{
	struct tunnel *t = s->tunnel;

	sendq_clear(&s->out, t->budget);
	reorder_clear(&s->in, t->budget);
	release_reserve(s);
	unlink_sending(s);
	list_remove(&s->control_node);
	list_remove(&s->ack_node);
	list_remove(&s->timed_node);
	list_remove(&s->watch_node);
	list_remove(&s->done_node);
	list_remove(&s->all_node);
	idmap_remove(&t->sessions, s->id);
	tunnel_finish_id(t, s->id);
	t->budget->sessions--;
	free(s->open_info);
	free(s);
}

void session_start_credit(struct session *s)
{
	uint32_t credit = s->tunnel->config.first_credit;

	s->out.credit = credit;
	s->granted = s->announced = credit;
	s->window_bytes = credit;
}

void session_set_timer(struct session *s, uint64_t at_us, uint64_t step_us)
{
	s->timer_us = at_us;
	s->timer_step_us = step_us;
	if (!list_is_linked(&s->timed_node))
		list_push_back(&s->tunnel->timed, &s->timed_node);
}

/* ---- sending ---- */

static bool is_resetting(const struct session *s)
{
	return s->reset != SESSION_RESET_NONE;
}

/* Silence could last for ever: an ACK that grants credit, or that acknowledges all of a stream
 * that has ended, may be lost after its sender has finished; an OPEN behind a path that has gone
 * in order. */
static bool has_to_ask(const struct session *s)
{
	if (is_resetting(s) || !s->was_opened)
		return false;
	if (session_is_opening(s))
		return true;
	if (s->out.has_fin)
		return !sendq_is_acked(&s->out);
	return s->source == SESSION_SOURCE_READY && s->out.credit <= s->out.next &&
	       sendq_is_acked(&s->out);
}

void session_update_ready(struct session *s, uint64_t now_us)
{
	bool has_new = s->source == SESSION_SOURCE_READY && !is_resetting(s);
	bool may_send = s->out.credit > s->out.next;

	if (!has_new || !may_send) {
		list_remove(&s->ready_node);
	} else if (!list_is_linked(&s->ready_node)) {
		/* Whoever has not used up its turn goes first: short messages do not wait
		 * behind bulk. */
		if (s->deficit_bytes > 0)
			list_push_front(&s->tunnel->ready, &s->ready_node);
		else
			list_push_back(&s->tunnel->ready, &s->ready_node);
		list_remove(&s->timed_node);
	}
	if (has_to_ask(s) && !list_is_linked(&s->timed_node))
		session_set_timer(s, now_us + ASK_MIN_MS * US_PER_MS, ASK_MIN_MS * US_PER_MS);
}

void session_update_resend(struct session *s)
{
	if (list_is_empty(&s->out.lost))
		list_remove(&s->resend_node);
	else if (!list_is_linked(&s->resend_node))
		list_push_back(&s->tunnel->resends, &s->resend_node);
}

void session_source_ready(struct session *s)
{
	if (s->source != SESSION_SOURCE_IDLE)
		return;
	s->source = SESSION_SOURCE_READY;
	session_update_ready(s, s->active_us);
}

void session_source_lost(struct session *s, uint64_t now_us)
{
	s->lost_us = now_us;
	session_source_ready(s);
	if (has_to_ask(s))
		session_set_timer(s, now_us + s->tunnel->config.reset_wait_us,
				  ASK_MAX_MS * US_PER_MS);
}

/* The credit for its last bytes may never come. */
static bool is_lost_for_too_long(const struct session *s, uint64_t now_us)
{
	return s->lost_us != 0 && now_us - s->lost_us >= s->tunnel->config.reset_wait_us;
}

/* ---- receiving ---- */

void session_owe_ack(struct session *s, bool at_once, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;

	/* Any ACK tells the initiator that its OPEN has come. */
	if (s->open == SESSION_OPEN_AWAITED)
		return;
	if (at_once) {
		list_remove(&s->ack_node);
		list_push_back(&t->acks_now, &s->ack_node);
	} else if (!list_is_linked(&s->ack_node)) {
		s->ack_due_us = now_us + ACK_DELAY_US;
		list_push_back(&t->acks, &s->ack_node);
	}
}

/* What is promised beyond the first credit, which sessions_max has set aside. */
static void update_reserve(struct session *s)
{
	struct budget *b = s->tunnel->budget;
	uint64_t open_bytes = s->granted - s->in.consumed;
	uint32_t first = s->tunnel->config.first_credit;
	size_t reserved = open_bytes > first ? (size_t)(open_bytes - first) : 0;

	b->granted_bytes = b->granted_bytes - s->reserved_bytes + reserved;
	s->reserved_bytes = reserved;
}

void session_grant(struct session *s)
{
	uint64_t want = s->in.consumed + s->window_bytes;
	uint64_t always = s->in.consumed + s->tunnel->config.first_credit;
	uint64_t allowed = s->granted + budget_allowance(s->tunnel->budget);

	if (allowed < always)
		allowed = always;
	if (min_u64(want, allowed) > s->granted)
		s->granted = min_u64(want, allowed);
	update_reserve(s);
}

static uint64_t largest_rtt_us(const struct tunnel *t)
{
	uint64_t rtt_us = 0;

	for (size_t i = 0; i < t->path_count; i++)
		if (t->paths[i]->rtt_us > rtt_us)
			rtt_us = t->paths[i]->rtt_us;
	return rtt_us;
}

/* Dynamic right-sizing in the manner of Fisk and Feng (2001): a window that is consumed within
 * two round trips may be what limits the sender. */
static void tune_window(struct session *s, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;
	uint64_t limit_us = 2 * largest_rtt_us(t) + WINDOW_SLACK_MS * US_PER_MS;

	if (s->in.consumed - s->tune_offset < s->window_bytes)
		return;
	if (now_us - s->tune_us <= limit_us)
		s->window_bytes = (uint32_t)min_u64(2 * (uint64_t)s->window_bytes,
						    t->config.window_max_bytes);
	s->tune_offset = s->in.consumed;
	s->tune_us = now_us;
}

int session_peek(const struct session *s, struct iovec *ret_iov, int count)
{
	return reorder_peek(&s->in, ret_iov, count);
}

void session_consume(struct session *s, uint64_t len, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;

	reorder_consume(&s->in, t->budget, len);
	t->counters.to_edge_bytes += len;
	tune_window(s, now_us);
	update_reserve(s);
	if (s->reset == SESSION_RESET_RECEIVED) {
		/* The end comes with the next run, not under the caller's feet. */
		if (s->in.consumed >= s->reset_final)
			s->timer_us = t->timed_next_us = now_us;
	} else if (s->in.consumed + s->window_bytes - s->announced >= s->window_bytes / 2) {
		session_owe_ack(s, true, now_us);
	}
}

bool session_is_at_end(const struct session *s)
{
	return reorder_is_at_fin(&s->in) && !s->fin_is_delivered;
}

void session_end_delivered(struct session *s)
{
	s->fin_is_delivered = true;
	session_check_done(s);
}

/* ---- ending ---- */

void session_check_done(struct session *s)
{
	if (s->fin_is_delivered && s->out.has_fin && sendq_is_acked(&s->out) && !is_resetting(s) &&
	    !list_is_linked(&s->done_node))
		list_push_back(&s->tunnel->done, &s->done_node);
}

void session_reset(struct session *s, enum reset_code code, const char *reason, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;

	s->user = NULL;
	if (is_resetting(s))
		return;
	t->counters.reset++;
	s->source = SESSION_SOURCE_ENDED;
	s->reset = SESSION_RESET_QUEUED;
	s->reset_code = code;
	snprintf(s->reset_reason, sizeof(s->reset_reason), "%s", reason);
	reorder_clear(&s->in, t->budget);
	list_remove(&s->ack_node);
	list_remove(&s->ready_node);
	list_remove(&s->timed_node);
	list_remove(&s->done_node);
	if (!s->was_opened && s->open == SESSION_OPEN_QUEUED) {
		list_remove(&s->control_node);
		list_push_back(&t->done, &s->done_node);
		return;
	}
	s->reset_final = s->out.next - s->out.has_fin;
	if (reset_code_is_immediate(code)) {
		sendq_clear(&s->out, t->budget);
		unlink_sending(s);
		s->reset_final = s->out.acked;
	}
	if (!list_is_linked(&s->control_node))
		list_push_back(&t->controls, &s->control_node);
	session_set_timer(s, now_us + RESEND_RESET_MS * US_PER_MS, RESEND_RESET_MS * US_PER_MS);
}

void session_fail(struct session *s, enum reset_code code, const char *reason, uint64_t now_us)
{
	if (s->user)
		s->tunnel->ops->ended(s, code, reason);
	session_reset(s, code, reason, now_us);
}

void session_end_by_peer(struct session *s)
{
	struct tunnel *t = s->tunnel;

	if (s->user)
		t->ops->ended(s, s->reset_code, s->reset_reason);
	s->user = NULL;
	reorder_clear(&s->in, t->budget);
	list_remove(&s->ack_node);
	list_remove(&s->timed_node);
	list_remove(&s->done_node);
	if (!list_is_linked(&s->control_node))
		list_push_back(&t->controls, &s->control_node);
}

void session_repeat_open(struct session *s)
{
	s->open = SESSION_OPEN_QUEUED;
	s->open_path = NULL;
	if (!list_is_linked(&s->control_node))
		list_push_back(&s->tunnel->controls, &s->control_node);
}

/* OPEN again; later an empty DATA frame asks for an ACK, which tells the credit, or for a RESET:
 * the other end has finished. */
static void ask(struct session *s)
{
	struct tunnel *t = s->tunnel;
	struct path *p = scheduler_pick_control(t->config.scheduler, t->paths, t->path_count);
	struct frame head = {.type = FRAME_DATA,
			     .session = s->id,
			     .offset = s->out.next - s->out.has_fin};
	struct slice nothing = {0};

	if (session_is_opening(s))
		session_repeat_open(s);
	else if (p)
		t->ops->send(p, &head, NULL, &nothing);
}

static void wait_longer(struct session *s, uint64_t now_us)
{
	s->timer_step_us = min_u64(2 * s->timer_step_us, ASK_MAX_MS * US_PER_MS);
	s->timer_us = now_us + s->timer_step_us;
}

void session_on_timer(struct session *s, uint64_t now_us)
{
	if (s->reset == SESSION_RESET_RECEIVED) {
		session_end_by_peer(s);
	} else if (is_resetting(s)) {
		if (!list_is_linked(&s->control_node))
			list_push_back(&s->tunnel->controls, &s->control_node);
		wait_longer(s, now_us);
	} else if (s->open == SESSION_OPEN_AWAITED) {
		session_fail(s, RESET_NO_OPEN, "data came, but no OPEN", now_us);
	} else if (!s->was_opened) {
		s->tunnel->counters.refused++;
		session_fail(s, RESET_NO_PATH, "no path to the egress yet", now_us);
	} else if (has_to_ask(s) && is_lost_for_too_long(s, now_us)) {
		session_fail(s, RESET_BY_PEER, "connection reset", now_us);
	} else if (has_to_ask(s)) {
		ask(s);
		wait_longer(s, now_us);
	} else {
		list_remove(&s->timed_node);
	}
}

const char *session_state_name(const struct session *s)
{
	if (is_resetting(s))
		return "resetting";
	if (!s->was_opened)
		return "waiting";
	if (s->out.has_fin && s->in.fin_offset != UINT64_MAX)
		return "closing";
	if (s->out.has_fin || s->in.fin_offset != UINT64_MAX)
		return "half-closed";
	return "open";
}
