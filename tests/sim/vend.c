/* What ingress and egress do around struct tunnel. */
#include "vend.h"

#include "common/base/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define SESSIONS_HERE_MAX 64
/* Beyond the limit: what was promised before memory got short, and a read for each subflow. */
#define MEMORY_SLACK_BYTES (3 * MIB)

/* One subflow at the end: dialled by the initiator, accepted by the other. */
struct vpath {
	struct list node; /* vend.paths, when accepted */
	struct vend *end;
	struct vside *side; /* accepted; a dialled one has dial.side */
	struct path *path;  /* NULL: not up */
	struct vdial dial;
};

static uint64_t now(const struct vend *e)
{
	return e->node.world->now_us;
}

/* ---- the tunnel's ops ---- */

static struct vside *side_of(struct vpath *s)
{
	return s->side ? s->side : s->dial.side;
}

static void on_send(struct path *p, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	p->is_blocked = !vlink_send(side_of(p->user), head, control, data);
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
	for (unsigned i = 0; i < e->dial_count; i++)
		vdial_stop(&e->dials[i]->dial);
}

/* No drain is begun here yet. */
static void on_drained(struct path *p)
{
	struct vend *e = p->tunnel->user;

	world_fail(e->node.world, "%s has drained a path that nobody wanted closed", e->node.name);
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

static void check_limits(struct vend *e)
{
	const struct budget *b = &e->budget;

	if (b->granted_bytes > b->granted_bytes_max)
		world_fail(e->node.world, "%s has promised %zu of %zu bytes", e->node.name,
			   b->granted_bytes, b->granted_bytes_max);
	if (b->chunks.used_bytes > b->chunks.limit_bytes + MEMORY_SLACK_BYTES)
		world_fail(e->node.world, "%s uses %zu of %zu bytes", e->node.name,
			   b->chunks.used_bytes, b->chunks.limit_bytes);
}

static void note_pathless(struct vend *e)
{
	if (e->pathless_us != NEVER_US && now(e) - e->pathless_us >= CLIENT_WAIT_MS * US_PER_MS)
		e->was_pathless_long = true;
	if (e->tunnel->path_count > 0)
		e->pathless_us = NEVER_US;
	else if (e->pathless_us == NEVER_US)
		e->pathless_us = now(e);
}

static void run(void *arg)
{
	struct vend *e = arg;

	note_pathless(e);
	if (e->is_closed)
		return;
	tunnel_run(e->tunnel, now(e));
	check_limits(e);
	if (!e->is_closed)
		world_timer_set(e->node.world, &e->run_timer,
				tunnel_next_run_at(e->tunnel, now(e)));
}

void vend_wake(struct vend *e)
{
	world_timer_set(e->node.world, &e->run_timer, now(e));
}

/* ---- subflows ---- */

static void path_up(struct vpath *s, uint32_t weight)
{
	struct vend *e = s->end;

	s->path = tunnel_add_path(e->tunnel, weight, FRAME_PAYLOAD_DEFAULT, s);
	if (!s->path)
		world_fail(e->node.world, "%s has too many paths", e->node.name);
	else
		s->path->is_blocked = side_of(s)->is_blocked;
	note_pathless(e);
	vend_wake(e);
}

static void drop_path(struct vpath *s)
{
	if (s->path)
		tunnel_remove_path(s->end->tunnel, s->path, now(s->end));
	s->path = NULL;
}

static void on_frame(struct vside *side, const struct deframed *f)
{
	struct vpath *s = side->user;
	struct vend *e = s->end;

	if (e->is_closed)
		return;
	if (f->head.type == FRAME_HELLO) {
		vdial_answer(side);
		path_up(s, 1);
	} else if (f->head.type == FRAME_HELLO_ACK) {
		if (side == s->dial.fresh) {
			drop_path(s);
			vdial_take_fresh(&s->dial);
		}
		vdial_up(&s->dial);
		path_up(s, s->dial.way.weight);
	} else if (tunnel_receive(e->tunnel, s->path, &f->head, f->control, &f->data, now(e)) < 0) {
		world_fail(e->node.world, "%s does not understand %s for session %llu",
			   e->node.name, frame_type_name(f->head.type),
			   (unsigned long long)f->head.session);
	}
}

static void on_batch(struct vside *side)
{
	vend_wake(((struct vpath *)side->user)->end);
}

static void on_room(struct vside *side)
{
	struct vpath *s = side->user;

	if (s->path)
		s->path->is_blocked = false;
	vend_wake(s->end);
}

static void on_stalled(struct vside *side, bool is_stalled)
{
	struct vpath *s = side->user;
	struct vend *e = s->end;

	if (!s->side && side == s->dial.fresh)
		return;
	if (!s->side)
		vdial_set_stalled(&s->dial, is_stalled);
	if (s->path)
		tunnel_path_stalled(e->tunnel, s->path, is_stalled, now(e));
	vend_wake(e);
}

static void free_accepted(struct vpath *s)
{
	list_remove(&s->node);
	vlink_close(s->side);
	free(s);
}

static void on_dead(struct vside *side)
{
	struct vpath *s = side->user;
	struct vend *e = s->end;

	if (!s->side && side == s->dial.fresh) {
		vdial_drop_fresh(&s->dial);
		return;
	}
	drop_path(s);
	note_pathless(e);
	vend_wake(e);
	if (s->side)
		free_accepted(s);
	else
		vdial_again(&s->dial);
}

static const struct vside_ops side_ops = {
	.frame = on_frame,
	.batch = on_batch,
	.room = on_room,
	.stalled = on_stalled,
	.dead = on_dead,
};

static struct vpath *slot_new(struct vend *e)
{
	struct vpath *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->end = e;
	list_init(&s->node);
	return s;
}

static void on_accept(struct vnode *n, struct vside *side)
{
	struct vend *e = container_of(n, struct vend, node);
	struct vpath *s = slot_new(e);

	s->side = side;
	list_push_back(&e->paths, &s->node);
	vlink_attach(side, &side_ops, s, n->name, &e->budget.chunks);
}

void vend_dial(struct vend *e, const struct vway *ways, unsigned count)
{
	e->dial_count = count;
	for (unsigned i = 0; i < count; i++) {
		e->dials[i] = slot_new(e);
		vdial_start(&e->dials[i]->dial, &e->node, &ways[i], e->tunnel_index,
			    &e->budget.chunks, &side_ops, e->dials[i]);
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
			   .run_timer = {.fire = run, .arg = e}};
	snprintf(e->node.name, sizeof(e->node.name), "%s%u", is_initiator ? "in" : "out",
		 tunnel_index);
	list_init(&e->paths);
	budget_init(&e->budget, config->memory_bytes, SESSIONS_HERE_MAX, config->first_credit);
	e->tunnel = tunnel_new(&tunnel_config, &tunnel_ops, &e->budget, e, w->now_us);
	vend_wake(e);
}

static void check_left(struct vend *e)
{
	const struct budget *b = &e->budget;
	size_t fill = b->fill ? b->fill->size : 0;

	if (b->granted_bytes || b->sessions || b->segments.used || b->pieces.used || b->runs.used ||
	    b->chunks.used_bytes != fill)
		world_fail(e->node.world,
			   "%s leaves %zu promised, %u sessions, %zu segments, %zu pieces, %zu "
			   "runs and %zu bytes behind",
			   e->node.name, b->granted_bytes, b->sessions, b->segments.used,
			   b->pieces.used, b->runs.used, b->chunks.used_bytes - fill);
}

static void done_dials(struct vend *e)
{
	for (unsigned i = 0; i < e->dial_count; i++) {
		vdial_stop(&e->dials[i]->dial);
		free(e->dials[i]);
	}
}

void vend_done(struct vend *e)
{
	bool was_good = !world_has_failed(e->node.world);

	world_timer_stop(e->node.world, &e->run_timer);
	done_dials(e);
	while (!list_is_empty(&e->paths))
		free_accepted(list_first(&e->paths, struct vpath, node));
	/* Sessions that a failed run leaves would call their peers. */
	if (was_good && tunnel_session_count(e->tunnel) > 0)
		world_fail(e->node.world, "%s has %zu sessions left", e->node.name,
			   tunnel_session_count(e->tunnel));
	tunnel_free(e->tunnel);
	if (was_good)
		check_left(e);
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
		       t->paths[i]->is_blocked ? "blocked" : "open",
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
