/* What ingress and egress do around struct tunnel. */
#include "vend.h"

#include "audit.h"
#include "vpath.h"

#include "common/base/limits.h"
#include "common/base/minmax.h"

#include <stdio.h>

#define SESSIONS_HERE_MAX 64

static uint64_t now(const struct vend *e)
{
	return e->node.world->now_us;
}

/* ---- the tunnel's ops ---- */

static void on_send(struct path *p, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	p->is_blocked = !vpath_send(p, head, control, data);
}

static ssize_t on_pull(struct session *s, uint8_t *buf, size_t size)
{
	return vpeer_pull(s->user, buf, size);
}

/* The client's port says which stream it is. */
static void on_opened(struct session *s, const struct open_info *info)
{
	struct vend *e = s->tunnel->user;
	struct vpeer *p;

	if (info->client.port >= e->stream_count) {
		world_fail(e->node.world, "an OPEN of stream %u, which there is not",
			   info->client.port);
		return;
	}
	p = &e->streams[info->client.port].server;
	if (p->has_begun)
		world_fail(e->node.world, "stream %u is opened twice", p->stream);
	s->user = p;
	vpeer_begin(p, e, s);
}

static void on_deliverable(struct session *s)
{
	vpeer_on_deliverable(s->user);
}

static void on_ended(struct session *s, uint32_t code, const char *reason)
{
	(void)reason;
	vpeer_on_ended(s->user, code);
}

/* No path for too long. The programs begin a new tunnel then; here it is the end, and the other
 * end must come to the same. */
static void on_closed(struct tunnel *t)
{
	struct vend *e = t->user;

	e->is_closed = e->node.is_down = true;
	if (!e->was_pathless_long)
		world_fail(e->node.world, "%s closes its tunnel without need", e->node.name);
	vpath_stop_dialling(e);
}

/* Who began it closes it: we do in the next tick, or the neighbour does. */
static void on_drained(struct path *p)
{
	((struct vpath *)p->user)->is_drained = true;
}

static const struct tunnel_ops tunnel_ops = {
	.send = on_send,
	.pull = on_pull,
	.opened = on_opened,
	.deliverable = on_deliverable,
	.ended = on_ended,
	.drained = on_drained,
	.closed = on_closed,
};

/* ---- running ---- */

/* One that will carry new bytes, if not now. */
static bool has_path(const struct vend *e)
{
	for (size_t i = 0; i < e->tunnel->path_count; i++)
		if (e->tunnel->paths[i]->state <= PATH_PARKED)
			return true;
	return false;
}

static void note_pathless(struct vend *e)
{
	if (e->pathless_us != NEVER_US && now(e) - e->pathless_us >= CLIENT_WAIT_MS * US_PER_MS)
		e->was_pathless_long = true;
	if (has_path(e))
		e->pathless_us = NEVER_US;
	else if (e->pathless_us == NEVER_US)
		e->pathless_us = now(e);
}

static void run(void *arg)
{
	struct vend *e = arg;
	uint64_t next_us;

	note_pathless(e);
	if (e->is_closed)
		return;
	if (now(e) > e->due_us)
		world_fail(e->node.world, "%s runs %llu us late", e->node.name,
			   (unsigned long long)(now(e) - e->due_us));
	tunnel_run(e->tunnel, now(e));
	if (e->is_closed)
		return;
	next_us = tunnel_next_run_at(e->tunnel, now(e));
	audit_run(e, next_us);
	e->due_us = max_u64(next_us, now(e));
	world_timer_set(e->node.world, &e->run_timer, next_us);
}

void vend_wake(struct vend *e)
{
	world_timer_set(e->node.world, &e->run_timer, now(e));
}

void vend_on_paths(struct vend *e)
{
	note_pathless(e);
	vend_wake(e);
}

static void on_accept(struct vnode *n, struct vside *side)
{
	vpath_accept(container_of(n, struct vend, node), side);
}

/* ---- what an operator does ---- */

static void tick(void *arg)
{
	struct vend *e = arg;

	if (vpath_look_at_leaving(e) > 0)
		world_timer_set(e->node.world, &e->leave_timer, now(e) + TICK_MS * US_PER_MS);
}

void vend_leave(struct vpath *s)
{
	struct vend *e = s->end;

	vpath_leave(s);
	world_timer_set(e->node.world, &e->leave_timer, now(e) + TICK_MS * US_PER_MS);
}

void vend_prepare(struct vend *e, const struct vway *way)
{
	e->generation++;
	vpath_dial(e, way, true);
}

void vend_commit(struct vend *e)
{
	list_for_each(node, &e->paths) {
		struct vpath *s = container_of(node, struct vpath, node);

		if (s->is_prepared)
			vpath_use(s);
	}
	vpath_set_generations(e);
}

void vend_abort(struct vend *e)
{
	list_for_each_safe(node, &e->paths) {
		struct vpath *s = container_of(node, struct vpath, node);

		if (s->is_prepared)
			vpath_close(s);
	}
}

/* ---- streams ---- */

void vend_start_stream(struct vend *e, unsigned stream)
{
	struct vstream *s = &e->streams[stream];
	struct open_info info = {
		.client = {.kind = ADDRESS_IPV4, .ip = {10, 0, 0, 1}, .port = (uint16_t)stream},
	};
	struct session *session;

	s->is_started = true;
	s->client.end = e;
	session = e->is_closed ? NULL : tunnel_open(e->tunnel, &info, &s->client, now(e));
	if (!session) {
		vpeer_on_ended(&s->client, e->is_closed ? RESET_NO_PATH : RESET_LIMIT);
		return;
	}
	vpeer_begin(&s->client, e, session);
	vend_wake(e);
}

/* ---- life ---- */

void vend_init(struct vend *e, struct world *w, struct vlinks *links, unsigned tunnel_index,
	       bool is_initiator, const struct vend_config *config)
{
	struct tunnel_config tunnel_config = {
		.id.bytes = {(uint8_t)tunnel_index},
		.is_initiator = is_initiator,
		.scheduler = scheduler_find(config->scheduler),
		.window_max_bytes = config->window_max_bytes,
		.first_credit = config->first_credit,
		.client_wait_us = CLIENT_WAIT_MS * US_PER_MS,
		.session_wait_us = SESSION_WAIT_MS * US_PER_MS,
		.open_wait_us = OPEN_WAIT_MS * US_PER_MS,
		.reset_wait_us = RESET_WAIT_MS * US_PER_MS,
	};

	*e = (struct vend){.node = {.world = w, .links = links, .accept = on_accept},
			   .tunnel_index = tunnel_index,
			   .is_initiator = is_initiator,
			   .pathless_us = w->now_us,
			   .due_us = NEVER_US,
			   .run_timer = {.fire = run, .arg = e},
			   .leave_timer = {.fire = tick, .arg = e}};
	snprintf(e->node.name, sizeof(e->node.name), "%s%u", is_initiator ? "in" : "out",
		 tunnel_index);
	list_init(&e->paths);
	budget_init(&e->budget, config->memory_bytes, SESSIONS_HERE_MAX, config->first_credit);
	e->tunnel = tunnel_new(&tunnel_config, &tunnel_ops, &e->budget, e, w->now_us);
	vend_wake(e);
}

void vend_done(struct vend *e)
{
	bool was_good = !world_has_failed(e->node.world);

	/* Sessions that a failed run leaves would call their peers. */
	if (was_good && tunnel_session_count(e->tunnel) > 0)
		world_fail(e->node.world, "%s has %zu sessions left", e->node.name,
			   tunnel_session_count(e->tunnel));
	while (!list_is_empty(&e->paths))
		vpath_close(list_first(&e->paths, struct vpath, node));
	world_timer_stop(e->node.world, &e->run_timer);
	world_timer_stop(e->node.world, &e->leave_timer);
	tunnel_free(e->tunnel);
	if (was_good)
		audit_end(e);
	if (!world_has_failed(e->node.world))
		budget_done(&e->budget);
}

void vend_print(const struct vend *e)
{
	const struct tunnel *t = e->tunnel;

	printf("%s: %zu paths, %zu sessions, %zu of %zu promised, %zu of %zu bytes used\n",
	       e->node.name, t->path_count, tunnel_session_count(t), e->budget.granted_bytes,
	       e->budget.granted_bytes_max, e->budget.chunks.used_bytes,
	       e->budget.chunks.limit_bytes);
	for (size_t i = 0; i < t->path_count; i++)
		printf("  path %zu: %s, %llu of %llu in flight\n", i,
		       t->paths[i]->is_blocked ? "blocked" : path_state_name(t->paths[i]->state),
		       (unsigned long long)t->paths[i]->inflight_bytes,
		       (unsigned long long)t->paths[i]->cap_bytes);
	list_for_each(node, &t->sessions_all) {
		const struct session *s = container_of(node, struct session, all_node);

		printf("  session %llu %s reset %d source %d: sent %llu acked %llu credit %llu; "
		       "in order %llu consumed %llu granted %llu\n",
		       (unsigned long long)s->id, session_state_name(s), s->reset, s->source,
		       (unsigned long long)s->out.next, (unsigned long long)s->out.acked,
		       (unsigned long long)s->out.credit, (unsigned long long)s->in.next,
		       (unsigned long long)s->in.consumed, (unsigned long long)s->granted);
	}
}
