/* A tunnel end, the paths that only keep, and the users that only count: see world.h. */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct world *world_of(const struct tunnel *t)
{
	return t->user;
}

/* What either stream of any session has at `offset`. */
static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset ^ offset >> 8);
}

/* ---- the environment ---- */

static void on_send(struct path *p, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	struct world *w = world_of(p->tunnel);
	struct sent *s = &w->sent[w->sent_count];

	assert_true(w->sent_count + 1 < WORLD_SENT_MAX);
	assert_false(p->has_sent_drain && head->type != FRAME_DRAIN);
	if (head->type == FRAME_PROBE) {
		assert_int_equal(u64_decode(control, head->len, &w->probes[p->index]), 0);
		return;
	}
	w->sent_count++;
	assert_true(p->state != PATH_GONE && !p->is_blocked);
	*s = (struct sent){.path = p, .head = *head};
	if (head->type == FRAME_OPEN)
		assert_int_equal(open_decode(control, head->len, &s->open), 0);
	else if (head->type == FRAME_ACK)
		assert_int_equal(ack_decode(head, control, head->len, &s->ack), 0);
	else if (head->type == FRAME_RESET)
		assert_int_equal(reset_decode(control, head->len, &s->reset), 0);
	for (uint32_t i = 0; head->type == FRAME_DATA && i < head->len; i++)
		assert_int_equal(data->at[i], byte_at(head->offset + i));
}

static ssize_t on_pull(struct session *s, uint8_t *buf, size_t size)
{
	struct user *u = s->user;
	size_t len = u->has_bytes < size ? (size_t)u->has_bytes : size;

	if (len == 0 && u->error) {
		u->session = NULL;
		return u->error;
	}
	if (len == 0)
		return u->has_end ? 0 : -EAGAIN;
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(u->read_bytes + i);
	u->has_bytes -= len;
	u->read_bytes += len;
	return (ssize_t)len;
}

static struct user *add_user(struct world *w)
{
	struct user *u = &w->users[w->user_count++];

	assert_true(w->user_count < WORLD_USERS_MAX);
	*u = (struct user){0};
	return u;
}

static void on_opened(struct session *s, const struct open_info *info)
{
	struct user *u = add_user(world_of(s->tunnel));

	u->session = s;
	u->id = s->id;
	s->user = u;
	u->info = *info;
}

static void on_deliverable(struct session *s)
{
	struct user *u = s->user;

	u->told++;
}

static void on_ended(struct session *s, uint32_t code, const char *reason)
{
	struct user *u = s->user;

	assert_false(u->is_ended);
	assert_true(reason[0] != '\0');
	u->is_ended = true;
	u->code = code;
	u->session = NULL;
}

static void on_drained(struct path *p)
{
	world_of(p->tunnel)->drained = p;
}

static void on_closed(struct tunnel *t)
{
	assert_int_equal(tunnel_session_count(t), 0);
	world_of(t)->is_closed = true;
}

static const struct tunnel_ops ops = {
	.send = on_send,
	.pull = on_pull,
	.opened = on_opened,
	.deliverable = on_deliverable,
	.ended = on_ended,
	.drained = on_drained,
	.closed = on_closed,
};

/* ---- life ---- */

static int set_up(void **state, bool is_initiator)
{
	struct world *w = calloc(1, sizeof(*w));
	struct tunnel_config config = {
		.is_initiator = is_initiator,
		.scheduler = scheduler_find("weighted"),
		.window_max_bytes = WINDOW_MAX_BYTES,
		.first_credit = FIRST_CREDIT_BYTES,
		.client_wait_us = 1000 * US_PER_MS,
		.session_wait_us = 3000 * US_PER_MS,
		.open_wait_us = 500 * US_PER_MS,
		.reset_wait_us = 300 * US_PER_MS,
	};

	w->now_us = 100 * US_PER_S;
	budget_init(&w->budget, WORLD_LIMIT_BYTES, WORLD_SESSIONS_MAX, FIRST_CREDIT_BYTES);
	w->t = tunnel_new(&config, &ops, &w->budget, w, w->now_us);
	path_up(w, 0);
	path_up(w, 1);
	*state = w;
	return 0;
}

int world_set_up_initiator(void **state)
{
	return set_up(state, true);
}

int world_set_up_acceptor(void **state)
{
	return set_up(state, false);
}

int world_tear_down(void **state)
{
	struct world *w = *state;
	struct budget *b = &w->budget;

	tunnel_free(w->t);
	assert_int_equal(b->sessions, 0);
	assert_int_equal(b->finished_ranges, 0);
	assert_int_equal(b->granted_bytes, 0);
	assert_int_equal(b->segments.used, 0);
	assert_int_equal(b->pieces.used, 0);
	assert_int_equal(b->runs.used, 0);
	assert_int_equal(b->chunks.used_bytes, b->fill ? b->fill->size : 0);
	budget_done(b);
	free(w);
	return 0;
}

void run(struct world *w)
{
	tunnel_run(w->t, w->now_us);
}

void wait_ms(struct world *w, uint64_t ms)
{
	uint64_t end_us = w->now_us + ms * US_PER_MS;
	uint64_t at_us;

	while (!w->is_closed && (at_us = tunnel_next_run_at(w->t, w->now_us)) <= end_us) {
		if (at_us > w->now_us)
			w->now_us = at_us;
		run(w);
	}
	w->now_us = end_us;
}

void path_up(struct world *w, int path)
{
	w->paths[path] = tunnel_add_path(w->t, 1, FRAME_PAYLOAD_DEFAULT, NULL);
	assert_non_null(w->paths[path]);
	run(w);
}

void probe_back(struct world *w, int path)
{
	struct frame head = {.type = FRAME_PROBED, .len = sizeof(uint64_t)};
	uint8_t payload[sizeof(uint64_t)];

	assert_true(w->probes[path] != 0);
	u64_encode(w->probes[path], payload, sizeof(payload));
	w->probes[path] = 0;
	assert_int_equal(receive(w, 1 - path, &head, payload, NULL), 0);
}

void path_lost(struct world *w, int path)
{
	tunnel_remove_path(w->t, w->paths[path], w->now_us);
	w->paths[path] = NULL;
	run(w);
}

/* ---- clients and servers ---- */

struct user *open_session(struct world *w, uint64_t bytes)
{
	const struct open_info info = {.target = {.kind = ADDRESS_NAME, .port = 80, .name = "web"}};
	struct user *u = add_user(w);

	u->session = tunnel_open(w->t, &info, u, w->now_us);
	assert_non_null(u->session);
	u->id = u->session->id;
	u->has_bytes = bytes;
	if (bytes > 0)
		session_source_ready(u->session);
	run(w);
	return u;
}

void user_sends(struct world *w, struct user *u, uint64_t bytes)
{
	u->has_bytes += bytes;
	session_source_ready(u->session);
	run(w);
}

void user_ends(struct world *w, struct user *u)
{
	u->has_end = true;
	session_source_ready(u->session);
	run(w);
}

void user_takes(struct world *w, struct user *u, uint64_t bytes)
{
	while (bytes > 0) {
		struct iovec iov;
		uint64_t len;

		assert_int_equal(session_peek(u->session, &iov, 1), 1);
		len = iov.iov_len < bytes ? iov.iov_len : bytes;
		for (uint64_t i = 0; i < len; i++)
			assert_int_equal(((uint8_t *)iov.iov_base)[i], byte_at(u->got_bytes + i));
		session_consume(u->session, len, w->now_us);
		u->got_bytes += len;
		bytes -= len;
	}
	run(w);
}

void user_gets_end(struct world *w, struct user *u)
{
	assert_true(session_is_at_end(u->session));
	session_end_delivered(u->session);
	run(w);
}

void user_resets(struct world *w, struct user *u, enum reset_code code)
{
	session_reset(u->session, code, "as the test says", w->now_us);
	u->session = NULL;
	run(w);
}

void assert_ended(const struct user *u, enum reset_code code)
{
	assert_true(u->is_ended);
	assert_string_equal(reset_code_name(u->code), reset_code_name(code));
}

/* ---- frames from the other end ---- */

int receive(struct world *w, int path, const struct frame *head, const uint8_t *control,
	    const struct slice *data)
{
	int err = tunnel_receive(w->t, w->paths[path], head, control, data, w->now_us);

	if (!w->is_closed)
		run(w);
	return err;
}

int receive_open(struct world *w, int path, uint64_t id)
{
	const struct open_info info = {.target = {.kind = ADDRESS_NAME, .port = 80, .name = "web"}};
	struct frame head = {.type = FRAME_OPEN, .session = id};
	uint8_t payload[FRAME_CONTROL_MAX];

	head.len = (uint32_t)open_encode(&info, payload, sizeof(payload));
	return receive(w, path, &head, payload, NULL);
}

int receive_data(struct world *w, int path, uint64_t id, uint64_t offset, uint32_t len,
		 uint8_t flags)
{
	struct frame head = {
		.type = FRAME_DATA, .flags = flags, .session = id, .offset = offset, .len = len};
	struct chunk *c = chunk_new(&w->budget.chunks, len);
	struct slice data = {.chunk = c, .at = c->bytes, .len = len};
	int err;

	for (uint32_t i = 0; i < len; i++)
		c->bytes[i] = byte_at(offset + i);
	err = receive(w, path, &head, NULL, &data);
	chunk_unref(c);
	return err;
}

int receive_ack(struct world *w, int path, uint64_t id, uint64_t offset, uint64_t credit)
{
	const struct ack_info info = {.credit = credit, .clock_us = (uint32_t)w->now_us};
	struct frame head = {.type = FRAME_ACK, .session = id, .offset = offset};
	uint8_t payload[ACK_PAYLOAD_MAX];

	head.len = (uint32_t)ack_encode(&info, payload, sizeof(payload));
	return receive(w, path, &head, payload, NULL);
}

int receive_reset(struct world *w, int path, uint64_t id, enum reset_code code, uint64_t final,
		  uint8_t flags)
{
	const struct reset_info info = {.code = code, .reason = "as the test says"};
	struct frame head = {.type = FRAME_RESET, .flags = flags, .session = id, .offset = final};
	uint8_t payload[FRAME_CONTROL_MAX];

	head.len = (uint32_t)reset_encode(&info, payload, sizeof(payload));
	return receive(w, path, &head, payload, NULL);
}

struct user *accept_session(struct world *w, uint64_t id)
{
	assert_int_equal(receive_open(w, 0, id), 0);
	expect_ack(w, id, 0);
	return &w->users[w->user_count - 1];
}

struct user *begin_session(struct world *w)
{
	struct user *u = open_session(w, 0);

	expect_frame(w, FRAME_OPEN, u->id);
	assert_int_equal(receive_ack(w, 0, u->id, 0, FIRST_CREDIT_BYTES), 0);
	return u;
}

struct user *begin_known(struct world *w)
{
	struct user *u = begin_session(w);

	w->now_us += WORLD_RTT_MS * US_PER_MS;
	probe_back(w, 0);
	probe_back(w, 1);
	assert_int_equal(receive_ack(w, 0, u->id, 0, WORLD_CREDIT), 0);
	skip_sent(w);
	return u;
}

/* ---- frames to the other end ---- */

const struct sent *expect_frame(struct world *w, enum frame_type type, uint64_t id)
{
	const struct sent *s = &w->sent[w->seen];

	assert_true(w->seen < w->sent_count);
	assert_string_equal(frame_type_name(s->head.type), frame_type_name((uint8_t)type));
	assert_int_equal(s->head.session, id);
	w->seen++;
	return s;
}

void expect_data(struct world *w, uint64_t id, uint64_t offset, uint32_t len, uint8_t flags)
{
	const struct sent *s = expect_frame(w, FRAME_DATA, id);

	assert_int_equal(s->head.offset, offset);
	assert_int_equal(s->head.len, len);
	assert_int_equal(s->head.flags, flags);
}

const struct ack_info *expect_ack(struct world *w, uint64_t id, uint64_t offset)
{
	const struct sent *s = expect_frame(w, FRAME_ACK, id);

	assert_int_equal(s->head.offset, offset);
	return &s->ack;
}

void expect_reset(struct world *w, uint64_t id, enum reset_code code, uint8_t flags)
{
	const struct sent *s = expect_frame(w, FRAME_RESET, id);

	assert_string_equal(reset_code_name(s->reset.code), reset_code_name(code));
	assert_int_equal(s->head.flags, flags);
}

void expect_nothing(const struct world *w)
{
	if (w->seen < w->sent_count)
		print_error("sent: %s\n", frame_type_name(w->sent[w->seen].head.type));
	assert_int_equal(w->sent_count, w->seen);
}

void skip_sent(struct world *w)
{
	w->seen = w->sent_count;
}
