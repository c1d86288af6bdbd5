/* What a tunnel end does with each frame that comes. */
#include "common/flow/tunnel_internal.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_finished(const struct tunnel *t, uint64_t id)
{
	return rangeset_has(&t->finished, id);
}

/* Ids that are left out cost a range each, for as long as the tunnel lives. */
static bool has_too_many_holes(const struct tunnel *t)
{
	return t->budget->finished_ranges > FINISHED_RANGES_MAX &&
	       t->finished.count > FINISHED_RANGES_SURE;
}

/* Too many sessions: this one lives just long enough to say so. When there are too many even of
 * those, and they may be another tunnel's, one answer must do; -EPROTO when this tunnel asks
 * faster than it can be answered. */
static int refuse(struct tunnel *t, struct path *p, uint64_t id, uint64_t now_us)
{
	struct session *s;

	t->counters.refused++;
	if (t->budget->sessions >= t->budget->sessions_max + SESSIONS_REFUSED_MAX) {
		if (!send_stray_answer(t, p, id, now_us))
			return -EPROTO;
		tunnel_finish_id(t, id);
		return 0;
	}
	s = session_new(t, id, SESSION_OPEN_DONE, NULL, now_us);
	s->was_opened = true;
	session_reset(s, RESET_LIMIT, "too many sessions at the egress", now_us);
	return 0;
}

/* The acceptor's record of a session that it hears of for the first time. */
static struct session *accept_session(struct tunnel *t, uint64_t id, enum session_open open,
				      uint64_t now_us)
{
	struct session *s = session_new(t, id, open, NULL, now_us);

	s->was_opened = true;
	session_start_credit(s);
	return s;
}

static bool is_full(const struct tunnel *t)
{
	return t->budget->sessions >= t->budget->sessions_max;
}

/* ---- OPEN ---- */

static int on_open(struct tunnel *t, struct path *p, const struct frame *head,
		   const uint8_t *control, uint64_t now_us)
{
	struct session *s = idmap_get(&t->sessions, head->session);
	struct open_info info;
	int err = open_decode(control, head->len, &info);

	if (err < 0 || t->config.is_initiator)
		return -EPROTO;
	if (!s && is_finished(t, head->session)) {
		send_stray_answer(t, p, head->session, now_us);
		return 0;
	}
	if (!s && has_too_many_holes(t))
		return -EPROTO;
	if (!s && is_full(t))
		return refuse(t, p, head->session, now_us);
	if (!s)
		s = accept_session(t, head->session, SESSION_OPEN_AWAITED, now_us);
	/* One that was reset before its OPEN came is never opened. */
	if (s->open == SESSION_OPEN_AWAITED && s->reset == SESSION_RESET_NONE) {
		s->open = SESSION_OPEN_DONE;
		list_remove(&s->timed_node);
		t->counters.opened++;
		t->ops->opened(s, &info);
		if (s->user && (reorder_has_bytes(&s->in) || session_is_at_end(s)))
			t->ops->deliverable(s);
	}
	if (s->reset == SESSION_RESET_NONE)
		session_owe_ack(s, true, now_us);
	return 0;
}

/* The other end has shown that it knows the session. */
static void open_is_acked(struct session *s)
{
	if (!session_is_opening(s))
		return;
	s->open = SESSION_OPEN_DONE;
	s->open_path = NULL;
	if (s->reset == SESSION_RESET_NONE)
		list_remove(&s->control_node);
	free(s->open_info);
	s->open_info = NULL;
}

/* ---- DATA ---- */

/* DATA of an id that is not known: late, or ahead of its OPEN. */
static int on_data_unknown(struct tunnel *t, struct path *p, uint64_t id, uint64_t now_us,
			   struct session **ret)
{
	if (is_finished(t, id)) {
		send_stray_answer(t, p, id, now_us);
		return 0;
	}
	if (has_too_many_holes(t))
		return -EPROTO;
	if (is_full(t))
		return refuse(t, p, id, now_us);
	*ret = accept_session(t, id, SESSION_OPEN_AWAITED, now_us);
	session_set_timer(*ret, now_us + t->config.open_wait_us, 0);
	return 0;
}

static const char *data_error(struct session *s, const struct frame *head)
{
	uint64_t end = head->offset + head->len;

	if (end > s->granted)
		return "bytes beyond the credit";
	if (end > s->in.fin_offset)
		return "bytes past the end";
	if ((head->flags & FRAME_FLAG_FIN) && reorder_set_fin(&s->in, end) < 0)
		return "two ends";
	return NULL;
}

/* When memory is full, those go first whose bytes cost more than they were promised. */
static const char *memory_error(const struct session *s)
{
	const struct budget *b = s->tunnel->budget;

	if (budget_is_exhausted(b))
		return "out of memory";
	if (budget_is_full(b) && reorder_overhead_bytes(&s->in) > s->granted - s->in.consumed)
		return "out of memory: too many small pieces";
	return NULL;
}

static void take_bytes(struct session *s, struct path *p, const struct frame *head,
		       const struct slice *data, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;
	uint64_t next = s->in.next;
	uint32_t added = head->len ? reorder_insert(&s->in, t->budget, head->offset, data) : 0;

	p->received_bytes += added;
	p->duplicate_bytes += head->len - added;
	t->counters.received_bytes += added;
	t->counters.duplicate_bytes += head->len - added;
	s->active_us = s->newest_us = now_us;
	s->unacked_bytes += head->len;
	/* New bytes wait for company; duplicates, probes and the end want an answer. */
	session_owe_ack(s,
			added == 0 || (head->flags & FRAME_FLAG_FIN) ||
				s->unacked_bytes >= ACK_BYTES,
			now_us);
	if (s->user && (s->in.next > next || session_is_at_end(s)))
		t->ops->deliverable(s);
}

static int on_data(struct tunnel *t, struct path *p, const struct frame *head,
		   const struct slice *data, uint64_t now_us)
{
	struct session *s = idmap_get(&t->sessions, head->session);
	const char *error;
	int err = 0;

	if (!s)
		err = on_data_unknown(t, p, head->session, now_us, &s);
	if (err < 0)
		return err;
	if (!s || s->reset == SESSION_RESET_QUEUED || s->reset == SESSION_RESET_SENT)
		return 0;
	open_is_acked(s);
	error = data_error(s, head);
	if (error) {
		session_fail(s, RESET_PROTOCOL, error, now_us);
		return 0;
	}
	error = memory_error(s);
	if (error) {
		session_fail(s, RESET_LIMIT, error, now_us);
		return 0;
	}
	take_bytes(s, p, head, data, now_us);
	return 0;
}

/* ---- ACK ---- */

static int on_ack(struct tunnel *t, const struct frame *head, const uint8_t *control,
		  uint64_t now_us)
{
	struct session *s = idmap_get(&t->sessions, head->session);
	struct ack_info ack;
	int err = ack_decode(head, control, head->len, &ack), count;
	uint64_t back_us;

	if (err < 0)
		return err;
	back_us = wayback_take(&t->wayback, ack.clock_us, now_us);
	if (!s)
		return 0;
	open_is_acked(s);
	count = sendq_on_ack(&s->out, t->budget, head->offset, &ack, back_us, now_us);
	if (count < 0) {
		session_fail(s, RESET_PROTOCOL, "acknowledges what was not sent", now_us);
		return 0;
	}
	if (count > 0) {
		t->progress_us = now_us;
		watch_soon(t, PATH_STALL_SLACK_MS, now_us);
	}
	if (ack.range_count > 0 || list_is_linked(&s->watch_node))
		watch_session(s, now_us);
	session_update_resend(s);
	if (s->reset == SESSION_RESET_NONE) {
		session_update_ready(s, now_us);
		session_check_done(s);
	}
	return 0;
}

/* ---- RESET ---- */

/* An answer, though nothing was asked: the other end has forgotten the id, which is in order when
 * both streams have ended and only its last ACK was lost. */
static void on_reset_unasked(struct session *s, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;

	if (s->out.has_fin && s->in.next == s->in.fin_offset) {
		sendq_clear(&s->out, t->budget);
		session_update_resend(s);
		session_check_done(s);
		return;
	}
	session_fail(s, RESET_TIMEOUT, "the other end has forgotten it", now_us);
	list_remove(&s->control_node);
	if (!list_is_linked(&s->done_node))
		list_push_back(&t->done, &s->done_node);
}

static void on_reset_known(struct session *s, const struct frame *head,
			   const struct reset_info *info, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;

	open_is_acked(s);
	s->reset = SESSION_RESET_RECEIVED;
	s->reset_code = info->code;
	snprintf(s->reset_reason, sizeof(s->reset_reason), "%s", info->reason);
	s->reset_final = head->offset;
	t->counters.reset++;
	sendq_clear(&s->out, t->budget);
	list_remove(&s->resend_node);
	list_remove(&s->ready_node);
	list_remove(&s->control_node);
	list_remove(&s->done_node);
	s->source = SESSION_SOURCE_ENDED;
	session_set_timer(s, now_us + t->config.reset_wait_us, 0);
	if (s->in.consumed >= s->reset_final || !s->user || reset_code_is_immediate(info->code))
		session_end_by_peer(s);
}

static int on_reset(struct tunnel *t, struct path *p, const struct frame *head,
		    const uint8_t *control, uint64_t now_us)
{
	struct session *s = idmap_get(&t->sessions, head->session);
	bool is_answer = head->flags & FRAME_FLAG_ANSWER;
	struct reset_info info;
	int err = reset_decode(control, head->len, &info);

	if (err < 0)
		return err;
	if (!s && has_too_many_holes(t))
		return -EPROTO;
	if (!s && !is_answer) {
		/* Before its OPEN, or again: the id is finished either way. */
		tunnel_finish_id(t, head->session);
		send_stray_answer(t, p, head->session, now_us);
	}
	if (!s || (s->reset == SESSION_RESET_RECEIVED))
		return 0;
	if (s->reset == SESSION_RESET_NONE) {
		if (is_answer)
			on_reset_unasked(s, now_us);
		else
			on_reset_known(s, head, &info, now_us);
		return 0;
	}
	/* Ours is answered, or theirs crossed it. */
	if (!is_answer)
		send_stray_answer(t, p, head->session, now_us);
	list_remove(&s->control_node);
	if (!list_is_linked(&s->done_node))
		list_push_back(&t->done, &s->done_node);
	return 0;
}

/* ---- the paths and the tunnel ---- */

/* A hop behind `p` is dead or stalled, and what was sent before this may not arrive; or all of them
 * are; or one goes on again. */
static int on_path_event(struct tunnel *t, struct path *p, const struct frame *head,
			 const uint8_t *control, uint64_t now_us)
{
	uint64_t event;

	if (u64_decode(control, head->len, &event) < 0)
		return -EPROTO;
	if (event == p->event_last)
		return 0;
	p->event_last = event;
	if (head->type == FRAME_PATH_LOST)
		tunnel_path_lost_bytes(t, p, now_us);
	else if (head->type == FRAME_PATH_STALLED)
		watch_stall(t, p, "a proxy has no way on", now_us);
	else
		probe_soon(p);
	return 0;
}

static int on_probe(struct tunnel *t, struct path *p, const struct frame *head,
		    const uint8_t *control, uint64_t now_us)
{
	uint64_t token;

	if (u64_decode(control, head->len, &token) < 0)
		return -EPROTO;
	if (head->type == FRAME_PROBE)
		probe_answer(t, p, token);
	else if (token != 0)
		probe_on_back(t, token, now_us);
	return 0;
}

/* The neighbour sends nothing more on `p`, and wants nothing more on it. */
static void on_drain(struct tunnel *t, struct path *p)
{
	p->has_got_drain = true;
	tunnel_drain_path(t, p);
}

int tunnel_receive(struct tunnel *t, struct path *p, const struct frame *head,
		   const uint8_t *control, const struct slice *data, uint64_t now_us)
{
	/* Ids are given by the initiator: there is none that it does not know. */
	if (t->config.is_initiator && head->session >= t->next_id)
		return -EPROTO;
	p->heard_us = now_us;
	t->received_us = min_u64(t->received_us, now_us);
	/* The other end has carried out its part of the change; of a proxy that says nothing. */
	if (!t->config.is_initiator && !frame_is_path_event(head->type))
		tunnel_use_path(t, p);
	switch ((enum frame_type)head->type) {
	case FRAME_OPEN:
		return on_open(t, p, head, control, now_us);
	case FRAME_DATA:
		return on_data(t, p, head, data, now_us);
	case FRAME_ACK:
		return on_ack(t, head, control, now_us);
	case FRAME_RESET:
		return on_reset(t, p, head, control, now_us);
	case FRAME_PATH_LOST:
	case FRAME_PATH_STALLED:
	case FRAME_PATH_BACK:
		return on_path_event(t, p, head, control, now_us);
	case FRAME_PROBE:
	case FRAME_PROBED:
		return on_probe(t, p, head, control, now_us);
	case FRAME_DRAIN:
		on_drain(t, p);
		return 0;
	case FRAME_TUNNEL_CLOSE:
		tunnel_closed_by_peer(t);
		return 0;
	case FRAME_DRAINED:
		return 0;
	case FRAME_HELLO:
	case FRAME_HELLO_ACK:
	case FRAME_AUTH:
	case FRAME_PING:
	case FRAME_PONG:
	case FRAME_DATAGRAM:
		break;
	}
	return -EPROTO;
}
