/* The life of a tunnel end: its paths, its sessions as a whole, and the order of a run. */
#include "common/flow/tunnel.h"

#include "common/base/clock.h"
#include "common/base/limits.h"
#include "common/base/minmax.h"
#include "common/flow/tunnel_internal.h"

#include <assert.h>
#include <stdlib.h>

struct tunnel *tunnel_new(const struct tunnel_config *config, const struct tunnel_ops *ops,
			  struct budget *budget, void *user, uint64_t now_us)
{
	struct tunnel *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	t->config = *config;
	t->ops = ops;
	t->budget = budget;
	t->user = user;
	t->sessions_max = budget->sessions_max;
	t->next_id = 1;
	t->pathless_us = now_us;
	t->watch_next_us = t->received_us = NEVER_US;
	t->rescue_bytes = RESCUE_BURST_BYTES;
	idmap_init(&t->sessions);
	rangeset_init(&t->finished);
	list_init(&t->sessions_all);
	list_init(&t->ready);
	list_init(&t->resends);
	list_init(&t->controls);
	list_init(&t->acks);
	list_init(&t->acks_now);
	list_init(&t->timed);
	list_init(&t->done);
	list_init(&t->watched);
	return t;
}

void tunnel_finish_id(struct tunnel *t, uint64_t id)
{
	size_t before = t->finished.count;

	rangeset_add(&t->finished, id, id + 1);
	t->budget->finished_ranges += t->finished.count;
	t->budget->finished_ranges -= before;
}

static void session_end(struct session *s, enum reset_code code, const char *reason)
{
	s->tunnel->counters.reset += s->reset == SESSION_RESET_NONE;
	if (s->user)
		s->tunnel->ops->ended(s, code, reason);
	session_free(s);
}

void tunnel_end_all(struct tunnel *t, enum reset_code code, const char *reason)
{
	list_for_each_safe(node, &t->sessions_all)
		session_end(container_of(node, struct session, all_node), code, reason);
}

void tunnel_renew(struct tunnel *t, const struct tunnel_id *id, enum reset_code code,
		  const char *reason)
{
	assert(t->path_count == 0);
	t->config.id = *id;
	t->wayback = (struct wayback){0}; /* another clock */
	list_for_each_safe(node, &t->sessions_all) {
		struct session *s = container_of(node, struct session, all_node);

		if (s->was_opened)
			session_end(s, code, reason);
	}
}

void tunnel_free(struct tunnel *t)
{
	if (!t)
		return;
	tunnel_end_all(t, RESET_CLOSING, "the tunnel is closed");
	for (size_t i = 0; i < PATHS_MAX; i++)
		free(t->slots[i]);
	t->budget->finished_ranges -= t->finished.count;
	idmap_done(&t->sessions);
	rangeset_done(&t->finished);
	free(t);
}

void tunnel_closed_by_peer(struct tunnel *t)
{
	tunnel_end_all(t, RESET_CLOSING, "the other end closed the tunnel");
	t->ops->closed(t);
}

/* ---- paths ---- */

void tunnel_update_alive(struct tunnel *t)
{
	t->alive = 0;
	for (size_t i = 0; i < PATHS_MAX; i++)
		if (t->slots[i] && t->slots[i]->state != PATH_STALLED)
			t->alive |= 1ull << i;
}

static void free_slot(struct tunnel *t, struct path *p)
{
	t->slots[p->index] = NULL;
	tunnel_update_alive(t);
	free(p);
}

void tunnel_free_gone(struct tunnel *t)
{
	for (size_t i = 0; i < PATHS_MAX; i++)
		if (t->slots[i] && t->slots[i]->state == PATH_GONE && t->slots[i]->segments == 0)
			free_slot(t, t->slots[i]);
}

struct path *tunnel_add_path(struct tunnel *t, uint32_t weight, uint32_t payload_max, void *user)
{
	struct path *p;
	uint16_t index = 0;

	tunnel_free_gone(t);
	while (index < PATHS_MAX && t->slots[index])
		index++;
	if (index == PATHS_MAX)
		return NULL;
	p = malloc(sizeof(*p));
	if (!p)
		abort();
	path_init(p, t, index, weight, payload_max, user);
	t->slots[index] = p;
	tunnel_update_alive(t);
	scheduler_on_join(t->paths, t->path_count, p);
	t->paths[t->path_count++] = p;
	return p;
}

void tunnel_hold_path(struct path *p)
{
	p->state = PATH_PREPARED;
	p->why = "the topology change is not carried out yet";
}

void tunnel_take_back(struct tunnel *t, struct path *p)
{
	path_activate(p);
	scheduler_on_join(t->paths, t->path_count, p);
}

void tunnel_use_path(struct tunnel *t, struct path *p)
{
	if (p->state == PATH_PREPARED)
		tunnel_take_back(t, p);
}

static void repeat_controls(struct session *s, const struct path *p, uint64_t now_us)
{
	if (s->open == SESSION_OPEN_SENT && s->open_path == p)
		session_repeat_open(s);
	if (s->reset == SESSION_RESET_SENT && !list_is_linked(&s->control_node))
		list_push_back(&s->tunnel->controls, &s->control_node);
	if (s->reset == SESSION_RESET_NONE && (s->ack_paths >> p->index & 1))
		session_owe_ack(s, true, now_us);
}

void tunnel_repeat_controls(struct tunnel *t, const struct path *p, uint64_t now_us)
{
	list_for_each(node, &t->sessions_all)
		repeat_controls(container_of(node, struct session, all_node), p, now_us);
}

bool tunnel_has_other_active(const struct tunnel *t, const struct path *p)
{
	for (size_t i = 0; i < t->path_count; i++)
		if (t->paths[i] != p && t->paths[i]->state == PATH_ACTIVE)
			return true;
	return false;
}

void tunnel_lose_segments(struct tunnel *t, struct path *p, uint64_t now_us)
{
	/* What others carry too is theirs to answer for now. */
	watch_soon(t, WATCH_TICK_MS, now_us);
	list_for_each(node, &t->sessions_all) {
		struct session *s = container_of(node, struct session, all_node);

		if (sendq_path_lost(&s->out, p, t->alive) > 0)
			session_update_resend(s);
	}
}

void tunnel_path_lost_bytes(struct tunnel *t, struct path *p, uint64_t now_us)
{
	tunnel_lose_segments(t, p, now_us);
	tunnel_repeat_controls(t, p, now_us);
}

void tunnel_path_stalled(struct tunnel *t, struct path *p, bool is_stalled, uint64_t now_us)
{
	if (is_stalled)
		watch_stall(t, p, "its connection hears nothing", now_us);
	else
		probe_soon(p);
}

void tunnel_drain_path(struct tunnel *t, struct path *p)
{
	if (p->state == PATH_DRAINING)
		return;
	p->is_given_up = p->state == PATH_STALLED;
	p->state = PATH_DRAINING;
	p->why = "it is to be closed";
	p->owes_drain = true;
	watch_leaves(t, p);
	t->watch_next_us = 0; /* nobody looks at what is stalled, as it may have been */
	tunnel_update_alive(t);
}

void tunnel_set_weight(struct tunnel *t, struct path *p, uint32_t weight)
{
	if (p->weight == weight)
		return;
	p->weight = weight;
	scheduler_on_join(t->paths, t->path_count, p);
}

void tunnel_set_scheduler(struct tunnel *t, const struct scheduler *scheduler)
{
	t->config.scheduler = scheduler;
	/* Each keeps its accounts in its own way: they begin level. */
	for (size_t i = 0; i < t->path_count; i++)
		t->paths[i]->pass = 0;
}

/* Takes it from those that are used. */
static void take_out(struct tunnel *t, const struct path *p)
{
	for (size_t i = 0; i < t->path_count; i++)
		if (t->paths[i] == p)
			t->paths[i] = t->paths[--t->path_count];
}

void tunnel_path_undelivered(struct path *p, uint64_t bytes)
{
	/* DRAIN was the last of them. */
	if (bytes > 0)
		p->has_sent_drain = false;
	sendq_not_arrived(p, bytes);
}

void tunnel_remove_path(struct tunnel *t, struct path *p, uint64_t now_us)
{
	bool is_drained = p->has_sent_drain && p->has_got_drain;

	take_out(t, p);
	watch_leaves(t, p);
	p->state = PATH_GONE;
	p->user = NULL;
	if (!is_drained)
		tunnel_lose_segments(t, p, now_us);
	/* Also after a drain: a proxy behind it may have died with what it took. */
	tunnel_repeat_controls(t, p, now_us);
	tunnel_update_alive(t);
	list_for_each(node, &t->sessions_all)
		container_of(node, struct session, all_node)->ack_paths &= ~(1ull << p->index);
	if (!is_drained || p->segments == 0)
		free_slot(t, p);
}

/* ---- sessions ---- */

struct session *tunnel_open(struct tunnel *t, const struct open_info *info, void *user,
			    uint64_t now_us)
{
	struct session *s;

	assert(t->config.is_initiator);
	if (t->sessions.count >= t->sessions_max || t->budget->sessions >= t->budget->sessions_max)
		return NULL;
	s = session_new(t, t->next_id++, SESSION_OPEN_QUEUED, user, now_us);
	s->open_info = malloc(sizeof(*s->open_info));
	if (!s->open_info)
		abort();
	*s->open_info = *info;
	t->counters.opened++;
	list_push_back(&t->controls, &s->control_node);
	session_set_timer(s, now_us + t->config.client_wait_us, 0); /* until OPEN is sent */
	return s;
}

size_t tunnel_reset_all(struct tunnel *t, enum reset_code code, const char *reason, uint64_t now_us)
{
	size_t count = 0;

	list_for_each_safe(node, &t->sessions_all) {
		struct session *s = container_of(node, struct session, all_node);

		count += s->user != NULL;
		session_fail(s, code, reason, now_us);
	}
	return count;
}

void tunnel_send_close(struct tunnel *t)
{
	struct frame head = {.type = FRAME_TUNNEL_CLOSE};

	for (size_t i = 0; i < t->path_count; i++)
		if (!t->paths[i]->is_blocked)
			t->ops->send(t->paths[i], &head, NULL, NULL);
}

/* ---- running ---- */

static void run_timers(struct tunnel *t, uint64_t now_us)
{
	if (now_us < t->timed_next_us)
		return;
	t->timed_next_us = now_us + TIMED_TICK_MS * US_PER_MS;
	list_for_each_safe(node, &t->timed) {
		struct session *s = container_of(node, struct session, timed_node);

		if (s->timer_us <= now_us)
			session_on_timer(s, now_us);
	}
}

/* Sessions whose last word has been said. */
static void free_done(struct tunnel *t)
{
	list_for_each_safe(node, &t->done) {
		struct session *s = container_of(node, struct session, done_node);

		if (s->reset == SESSION_RESET_NONE) {
			if (list_is_linked(&s->ack_node))
				continue;
			t->counters.finished++;
			if (s->user)
				t->ops->ended(s, RESET_FINISHED, "finished");
		}
		session_free(s);
	}
}

/* The environment may remove the path. */
static void tell_drained(struct tunnel *t)
{
	for (size_t i = t->path_count; i-- > 0;) {
		struct path *p = t->paths[i];

		if (p->has_sent_drain && p->has_got_drain)
			t->ops->drained(p);
	}
}

static bool may_carry_new(const struct path *p)
{
	return p->state == PATH_ACTIVE || p->state == PATH_STALLED || p->state == PATH_PARKED;
}

static void look_for_paths(struct tunnel *t, uint64_t now_us)
{
	bool had_path = t->has_path;

	t->has_path = false;
	for (size_t i = 0; i < t->path_count; i++)
		t->has_path |= may_carry_new(t->paths[i]);
	if (t->has_path)
		t->pathless_us = NEVER_US;
	else if (had_path)
		t->pathless_us = now_us;
}

static bool is_pathless_too_long(const struct tunnel *t, uint64_t now_us)
{
	return t->pathless_us != NEVER_US && now_us - t->pathless_us >= t->config.session_wait_us;
}

void tunnel_run(struct tunnel *t, uint64_t now_us)
{
	look_for_paths(t, now_us);
	if (is_pathless_too_long(t, now_us)) {
		t->pathless_us = NEVER_US;
		tunnel_end_all(t, RESET_NO_PATH, "no path for too long");
		t->ops->closed(t);
		return;
	}
	run_timers(t, now_us);
	watch_run(t, now_us);
	probe_run(t, now_us);
	send_controls(t);
	send_acks(t, now_us);
	send_resends(t, now_us);
	send_new(t, now_us);
	send_resends(t, now_us); /* those that new bytes went before, when there are no more */
	send_controls(t);	 /* of clients that had reset their connection */
	free_done(t);
	tell_drained(t);
}

uint64_t tunnel_next_run_at(const struct tunnel *t, uint64_t now_us)
{
	uint64_t at_us = NEVER_US;

	/* While all paths are blocked nothing can be sent; a path that no longer is says so. */
	if (!list_is_empty(&t->acks) &&
	    scheduler_pick_control(t->config.scheduler, t->paths, t->path_count))
		at_us = list_first(&t->acks, struct session, ack_node)->ack_due_us;
	if (!list_is_empty(&t->timed) && t->timed_next_us < at_us)
		at_us = t->timed_next_us;
	at_us = min_u64(at_us, min_u64(t->watch_next_us, probe_next_at(t, now_us)));
	if (t->pathless_us != NEVER_US && t->pathless_us + t->config.session_wait_us < at_us)
		at_us = t->pathless_us + t->config.session_wait_us;
	return at_us;
}
