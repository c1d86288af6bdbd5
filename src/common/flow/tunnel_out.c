/* Everything a tunnel end sends, in the order of its importance: OPEN and RESET, ACK, bytes that
 * were lost with their path, new bytes. */
#include "common/flow/tunnel_internal.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

static struct path *control_path(struct tunnel *t)
{
	return scheduler_pick_control(t->config.scheduler, t->paths, t->path_count);
}

/* ---- DRAIN ---- */

/* The last frame on its path. */
static void send_drains(struct tunnel *t)
{
	static const struct frame head = {.type = FRAME_DRAIN};

	for (size_t i = 0; i < t->path_count; i++) {
		struct path *p = t->paths[i];

		if (!p->owes_drain || p->is_blocked)
			continue;
		p->owes_drain = false;
		p->has_sent_drain = true;
		t->ops->send(p, &head, NULL, NULL);
	}
}

/* ---- OPEN and RESET ---- */

static void send_open(struct session *s, struct path *p)
{
	struct tunnel *t = s->tunnel;
	uint8_t payload[FRAME_CONTROL_MAX];
	struct frame head = {.type = FRAME_OPEN, .session = s->id};

	if (!s->was_opened) {
		s->was_opened = true;
		list_remove(&s->timed_node);
		session_start_credit(s);
		session_update_ready(s, s->active_us);
	}
	head.len = (uint32_t)open_encode(s->open_info, payload, sizeof(payload));
	s->open = SESSION_OPEN_SENT;
	s->open_path = p;
	t->ops->send(p, &head, payload, NULL);
}

static void send_reset(struct session *s, struct path *p)
{
	struct tunnel *t = s->tunnel;
	struct reset_info info = {.code = s->reset_code};
	struct frame head = {.type = FRAME_RESET, .session = s->id, .offset = s->reset_final};
	uint8_t payload[FRAME_CONTROL_MAX];

	snprintf(info.reason, sizeof(info.reason), "%s", s->reset_reason);
	if (s->reset == SESSION_RESET_RECEIVED) {
		head.flags = FRAME_FLAG_ANSWER;
		head.offset = s->out.acked;
		list_push_back(&t->done, &s->done_node);
	} else {
		s->reset = SESSION_RESET_SENT;
	}
	head.len = (uint32_t)reset_encode(&info, payload, sizeof(payload));
	t->ops->send(p, &head, payload, NULL);
}

void send_controls(struct tunnel *t)
{
	struct path *p;

	send_drains(t);
	while (!list_is_empty(&t->controls) && (p = control_path(t)) != NULL) {
		struct session *s = list_first(&t->controls, struct session, control_node);

		list_remove(&s->control_node);
		if (s->reset != SESSION_RESET_NONE)
			send_reset(s, p);
		else
			send_open(s, p);
	}
}

bool send_stray_answer(struct tunnel *t, struct path *p, uint64_t id, uint64_t now_us)
{
	struct reset_info info = {.code = RESET_FINISHED, .reason = "finished"};
	struct frame head = {.type = FRAME_RESET, .flags = FRAME_FLAG_ANSWER, .session = id};
	uint8_t payload[FRAME_CONTROL_MAX];

	if (now_us - t->stray_us >= US_PER_S) {
		t->stray_us = now_us;
		t->stray_count = 0;
	}
	/* Nothing goes there, for long perhaps, and the question comes again and again. */
	if (p->has_sent_drain || p->state == PATH_PREPARED)
		p = control_path(t);
	if (!p || p->is_blocked || t->stray_count++ >= STRAY_ANSWERS_PER_S)
		return false;
	head.len = (uint32_t)reset_encode(&info, payload, sizeof(payload));
	t->ops->send(p, &head, payload, NULL);
	return true;
}

/* ---- ACK ---- */

/* A path may die with the ACKs on it, and the sender would wait for them with the other paths full:
 * those that tell of many bytes go out twice. NULL: once is enough. */
static struct path *second_path(const struct session *s, const struct path *p)
{
	const struct tunnel *t = s->tunnel;
	struct path *others[PATHS_MAX];
	size_t count = 0;

	if (s->unacked_bytes < ACK_TWICE_BYTES || t->config.scheduler->is_exclusive)
		return NULL;
	for (size_t i = 0; i < t->path_count; i++)
		if (t->paths[i] != p)
			others[count++] = t->paths[i];
	return scheduler_pick_control(t->config.scheduler, others, count);
}

static void send_ack(struct session *s, struct path *p, uint64_t now_us)
{
	struct path *second = second_path(s, p);
	struct frame head = {.type = FRAME_ACK, .session = s->id};
	struct ack_info ack;
	uint8_t payload[ACK_PAYLOAD_MAX];

	session_grant(s);
	head.offset = reorder_ack_offset(&s->in);
	ack.credit = s->granted;
	ack.delay_us = s->newest_us ? (uint32_t)(now_us - s->newest_us) : 0;
	ack.clock_us = (uint32_t)now_us;
	ack.range_count = reorder_ranges(&s->in, ack.ranges, ACK_RANGES_MAX);
	head.len = (uint32_t)ack_encode(&ack, payload, sizeof(payload));
	s->announced = s->granted;
	s->unacked_bytes = 0;
	s->newest_us = 0;
	s->ack_paths |= 1ull << p->index;
	s->tunnel->ops->send(p, &head, payload, NULL);
	if (second)
		s->tunnel->ops->send(second, &head, payload, NULL);
}

void send_acks(struct tunnel *t, uint64_t now_us)
{
	struct path *p;

	while ((p = control_path(t)) != NULL) {
		struct list *from = list_is_empty(&t->acks_now) ? &t->acks : &t->acks_now;
		struct session *s = list_first(from, struct session, ack_node);

		if (list_is_empty(from) || (from == &t->acks && s->ack_due_us > now_us))
			return;
		list_remove(&s->ack_node);
		send_ack(s, p, now_us);
	}
}

/* ACKs that are not due yet ride along with bytes that have just been put on `p`: one system call
 * for both. Not on a busy path, where they would wait behind what it carries. */
static void send_acks_along(struct tunnel *t, struct path *p, uint64_t now_us)
{
	while (!list_is_empty(&t->acks) && !p->is_blocked &&
	       path_load_bytes(p) <= ACK_ALONG_BYTES) {
		struct session *s = list_first(&t->acks, struct session, ack_node);

		list_remove(&s->ack_node);
		send_ack(s, p, now_us);
	}
}

/* ---- DATA ---- */

static void send_segment(struct session *s, struct path *p, struct segment *seg)
{
	struct frame head = {
		.type = FRAME_DATA,
		.flags = seg->is_fin ? FRAME_FLAG_FIN : 0,
		.session = s->id,
		.offset = seg->offset,
		.len = seg->data.len,
	};

	s->tunnel->ops->send(p, &head, NULL, &seg->data);
}

/* From now on somebody looks whether it arrives. */
static void start_watch(struct session *s, uint64_t now_us)
{
	bool is_watched = list_is_linked(&s->watch_node);

	watch_soon(s->tunnel, is_watched ? WATCH_TICK_MS : PATH_STALL_SLACK_MS, now_us);
}

static void send_again(struct session *s, struct segment *seg, struct path *p, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;

	p->resent_bytes += seg->data.len;
	t->counters.resent_bytes += seg->data.len;
	start_watch(s, now_us);
	send_segment(s, p, seg);
}

void send_copy(struct session *s, struct segment *seg, struct path *p, uint64_t now_us)
{
	segment_copy(seg, p, now_us);
	send_again(s, seg, p, now_us);
}

/* First copy wins: every other path that has room carries it too. */
static void send_copies(struct session *s, struct segment *seg, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;

	for (size_t i = 0; i < t->path_count; i++)
		if (path_is_open(t->paths[i]) && !(seg->carriers >> t->paths[i]->index & 1))
			send_copy(s, seg, t->paths[i], now_us);
}

static struct path *pick_path(const struct session *s, struct demand demand)
{
	const struct tunnel *t = s->tunnel;

	demand.window_bytes = s->out.credit - s->out.next;
	/* cppcheck-suppress returnDanglingLifetime; what comes back is one of the paths */
	return t->config.scheduler->pick(t->paths, t->path_count, &demand);
}

static bool has_new(const struct tunnel *t)
{
	return !list_is_empty(&t->ready) && !budget_is_full(t->budget);
}

/* One of each session in turn; 0 when no more can go out. What was lost with its path may have
 * arrived before: while its acknowledgement is not due yet, new bytes go first. */
static size_t resend_round(struct tunnel *t, uint64_t now_us)
{
	bool waits = has_new(t);
	size_t count = 0;

	list_for_each_safe(node, &t->resends) {
		struct session *s = container_of(node, struct session, resend_node);
		struct path *p;

		if (waits && sendq_lost_head(&s->out)->due_us > now_us)
			continue;
		p = pick_path(s, (struct demand){.is_bulk = true});
		if (!p)
			return 0;
		send_again(s, sendq_resend(&s->out, p, now_us), p, now_us);
		list_remove(&s->resend_node);
		session_update_resend(s);
		count++;
	}
	return count;
}

void send_resends(struct tunnel *t, uint64_t now_us)
{
	while (resend_round(t, now_us) > 0)
		;
}

static bool is_slow(const struct tunnel *t, const struct path *p)
{
	for (size_t i = 0; i < t->path_count; i++)
		if (t->paths[i]->state == PATH_ACTIVE && path_is_far_behind(p, t->paths[i]))
			return true;
	return false;
}

static void send_new_bytes(struct session *s, struct path *p, size_t len, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;
	struct slice data = {0};
	struct segment *seg;

	if (len > 0)
		data = budget_fill_take(t->budget, len);
	p->sent_bytes += len;
	t->counters.sent_bytes += len;
	t->counters.from_edge_bytes += len;
	s->deficit_bytes -= (int64_t)len;
	s->active_us = now_us;
	scheduler_on_sent(p, (uint32_t)len);
	t->rescue_bytes = min_u64(t->rescue_bytes + len / RESCUE_SHARE, RESCUE_BURST_BYTES);
	seg = sendq_push_take(&s->out, t->budget, p, data, len == 0, now_us);
	start_watch(s, now_us);
	send_segment(s, p, seg);
	if (t->config.scheduler->is_redundant)
		send_copies(s, seg, now_us);
	if (is_slow(t, p))
		watch_session(s, now_us);
}

/* One read from the client or server becomes one frame on `p`; false when there was nothing. */
static bool pull_for_path(struct session *s, struct path *p, uint64_t now_us)
{
	struct tunnel *t = s->tunnel;
	uint64_t credit = s->out.credit - s->out.next;
	size_t want = credit < p->frame_bytes ? (size_t)credit : p->frame_bytes;
	size_t size_min = want < FILL_ROOM_MIN_BYTES ? want : FILL_ROOM_MIN_BYTES, size;
	uint8_t *buf = budget_fill_room(t->budget, size_min, &size);
	ssize_t n;

	if (size > want)
		size = want;
	/* That all is acknowledged is not enough: so it is between the frames of a path that has
	 * room for few. */
	if (!s->pull_was_full && sendq_is_acked(&s->out))
		s->burst_at = s->out.next;
	n = t->ops->pull(s, buf, size);
	s->pull_was_full = n == (ssize_t)size;
	if (n < 0 && n != -EAGAIN) {
		session_reset(s, RESET_BY_PEER, "connection reset", now_us);
		return false;
	}
	if (n == 0)
		s->source = SESSION_SOURCE_ENDED;
	else if (!s->pull_was_full)
		s->source = SESSION_SOURCE_IDLE;
	if (n >= 0)
		send_new_bytes(s, p, (size_t)n, now_us);
	session_update_ready(s, now_us);
	return n >= 0;
}

/* Deficit round robin (Shreedhar and Varghese 1995): the session in front sends until its turn is
 * used up, then goes to the back with a new one. */
static struct session *next_session(struct tunnel *t)
{
	for (;;) {
		struct session *s = list_first(&t->ready, struct session, ready_node);

		if (s->deficit_bytes > 0)
			return s;
		s->deficit_bytes += SESSION_QUANTUM_BYTES;
		list_remove(&s->ready_node);
		list_push_back(&t->ready, &s->ready_node);
	}
}

/* More will follow: the last read was full, or others wait too, or so much is under way that a
 * client who has nothing just now is about to have more. */
static struct demand demand_of(const struct session *s)
{
	bool is_alone = s->tunnel->ready.next->next == &s->tunnel->ready;
	uint64_t under_way_bytes = s->out.next - s->out.acked;

	return (struct demand){
		.is_bulk = s->pull_was_full || !is_alone || under_way_bytes >= BULK_BYTES,
		.is_short = s->out.next - s->burst_at < BULK_BYTES,
	};
}

void send_new(struct tunnel *t, uint64_t now_us)
{
	struct path *last = NULL;

	while (has_new(t)) {
		struct session *s = next_session(t);
		struct path *p = pick_path(s, demand_of(s));

		if (!p)
			break;
		if (pull_for_path(s, p, now_us))
			last = p;
	}
	if (last)
		send_acks_along(t, last, now_us);
	if (!list_is_empty(&t->watched))
		watch_use_idle(t, now_us);
	/* Room is left: the application, the credit or the scheduler has set the pace. */
	for (size_t i = 0; i < t->path_count; i++)
		if (path_has_room(t->paths[i]))
			path_on_app_limited(t->paths[i]);
}
