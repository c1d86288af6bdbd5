/* A pair of subflows, or one and a raw socket: see subflow_pair.h. */
#include "subflow_pair.h"

uint8_t pattern(uint64_t offset)
{
	return (uint8_t)(offset * 167 >> 3);
}

static void on_up(struct subflow *s, const struct hello_ack *ack)
{
	struct end *e = subflow_user(s);

	e->ups++;
	e->ack = *ack;
}

static int on_frame(struct subflow *s, const struct frame *head, const uint8_t *control,
		    const struct slice *data)
{
	struct end *e = subflow_user(s);

	e->frames++;
	e->last_type = head->type;
	assert_int_equal(head->type == FRAME_DATA, data != NULL);
	assert_int_equal(head->type == FRAME_DATA, control == NULL);
	for (uint32_t i = 0; data && i < data->len; i++)
		e->bad_bytes += data->at[i] != pattern(head->offset + i);
	if (data) {
		e->bad_bytes += head->offset != e->data_bytes;
		e->data_bytes += data->len;
	}
	if (e->frames == e->close_after)
		subflow_close(s, e->closes_orderly);
	if (e->pauses)
		subflow_pause(s, true);
	return e->answer;
}

static void on_room(struct subflow *s)
{
	struct end *e = subflow_user(s);

	e->rooms++;
	e->is_blocked = false;
}

static void on_blocked(struct subflow *s)
{
	struct end *e = subflow_user(s);

	e->blocks++;
	e->is_blocked = true;
}

static void on_lost(struct subflow *s, const char *why)
{
	struct end *e = subflow_user(s);

	e->losses++;
	e->has_ended = subflow_has_ended(s);
	e->s = NULL;
	snprintf(e->why, sizeof(e->why), "%s", why);
	subflow_close(s, false); /* must do no harm */
}

const struct subflow_ops pair_ops = {
	.up = on_up,
	.frame = on_frame,
	.room = on_room,
	.blocked = on_blocked,
	.lost = on_lost,
};

/* ---- beginnings ---- */

struct hello make_hello(void)
{
	return (struct hello){.version_min = FRAME_VERSION,
			      .version_max = FRAME_VERSION,
			      .hops_left = HOP_LIMIT,
			      .tunnel = {{1, 2, 3}},
			      .payload_max = FRAME_PAYLOAD_DEFAULT};
}

struct hello_ack make_ack(void)
{
	return (struct hello_ack){.version = FRAME_VERSION,
				  .instance = 77,
				  .payload_max = FRAME_PAYLOAD_DEFAULT,
				  .first_credit = FIRST_CREDIT_BYTES,
				  .sessions_max = 10};
}

void read_all(int fd, void *buf, size_t len)
{
	assert_int_equal(recv(fd, buf, len, MSG_WAITALL), len);
}

static struct hello read_hello(int fd)
{
	uint8_t bytes[FRAME_HEADER_BYTES + HELLO_PAYLOAD_MAX];
	struct frame head;
	struct hello hello;

	read_all(fd, bytes, FRAME_HEADER_BYTES);
	assert_int_equal(frame_decode(bytes, FRAME_PAYLOAD_MAX, &head), 0);
	assert_int_equal(head.type, FRAME_HELLO);
	read_all(fd, bytes, head.len);
	assert_int_equal(hello_decode(bytes, head.len, &hello), 0);
	return hello;
}

void pair_init(struct pair *p)
{
	*p = (struct pair){0};
	turner_init(&p->t);
	log_init("test", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	p->listener = loopback_listen(8, &p->port);
}

void pair_done(struct pair *p)
{
	if (p->dialler.s)
		subflow_close(p->dialler.s, false);
	if (p->accepter.s)
		subflow_close(p->accepter.s, false);
	close(p->listener);
	turner_done(&p->t);
}

/* Dials, and returns the accepted socket once the HELLO is on its way; it comes in `ret`. */
static int dial_raw(struct pair *p, const struct subflow_key *key, struct hello *ret)
{
	struct hello hello = make_hello();
	int fd;

	p->dialler.s = subflow_dial(&p->t.w, "127.0.0.1", p->port, DIAL_WAIT_MS, &hello, key,
				    &pair_ops, &p->dialler);
	assert_non_null(p->dialler.s);
	await(&p->t.w, p->dialler.s->out_bytes > 0);
	fd = accept(p->listener, NULL, NULL);
	assert_return_code(fd, 0);
	*ret = read_hello(fd);
	return fd;
}

/* Both ends up to subflow_answer. */
void pair_open(struct pair *p, const struct subflow_key *dialler_key,
	       const struct subflow_key *accepter_key)
{
	struct hello hello;
	int fd;

	pair_init(p);
	fd = dial_raw(p, dialler_key, &hello);
	p->accepter.s =
		subflow_accept_take(&p->t.w, fd, &hello, accepter_key, &pair_ops, &p->accepter);
	assert_non_null(p->accepter.s);
}

void pair_up(struct pair *p, const struct subflow_key *key)
{
	struct hello_ack ack = make_ack();

	pair_open(p, key, key);
	subflow_answer(p->accepter.s, &ack);
	await(&p->t.w, p->dialler.ups && p->accepter.ups);
}

size_t encode_frame(const struct frame *head, const void *payload, uint8_t *out)
{
	frame_encode(head, out);
	memcpy(out + FRAME_HEADER_BYTES, payload, head->len);
	return FRAME_HEADER_BYTES + head->len;
}

void send_all(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

void send_u64(int fd, uint8_t type, uint64_t value)
{
	uint8_t payload[8], bytes[FRAME_HEADER_BYTES + 8];
	struct frame head = {.type = type};

	head.len = (uint32_t)u64_encode(value, payload, sizeof(payload));
	send_all(fd, bytes, encode_frame(&head, payload, bytes));
}

/* Reads frames on a raw socket until one of this type; its payload is in `ret_payload`. */
void expect_frame(struct pair *p, int fd, uint8_t type, uint8_t ret_payload[1024])
{
	uint8_t bytes[FRAME_HEADER_BYTES];
	struct frame head = {0};

	while (head.type != type) {
		await(&p->t.w, recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT) ==
				       (ssize_t)sizeof(bytes));
		read_all(fd, bytes, sizeof(bytes));
		assert_int_equal(frame_decode(bytes, FRAME_PAYLOAD_MAX, &head), 0);
		assert_true(head.len <= 1024);
		if (head.len)
			read_all(fd, ret_payload, head.len);
	}
}

/* A dialled subflow that is up, with a raw socket at the other end. */
int raw_up(struct pair *p)
{
	struct hello_ack ack = make_ack();
	uint8_t payload[HELLO_ACK_PAYLOAD_MAX], bytes[FRAME_HEADER_BYTES + HELLO_ACK_PAYLOAD_MAX];
	struct frame head = {.type = FRAME_HELLO_ACK};
	struct hello hello;
	int fd;

	pair_init(p);
	fd = dial_raw(p, NULL, &hello);
	head.len = (uint32_t)hello_ack_encode(&ack, payload, sizeof(payload));
	send_all(fd, bytes, encode_frame(&head, payload, bytes));
	await(&p->t.w, p->dialler.ups);
	return fd;
}

/* Sends the next `len` bytes of the pattern as one DATA frame. */
bool send_data(struct end *e, uint64_t *offset, uint32_t len)
{
	struct chunk *c = chunk_new(e->s->worker->chunks, len ? len : 1);
	struct slice data = {c, c->bytes, len};
	struct frame head = {.type = FRAME_DATA, .len = len, .session = 1, .offset = *offset};
	bool has_room;

	for (uint32_t i = 0; i < len; i++)
		data.at[i] = pattern(*offset + i);
	*offset += len;
	has_room = subflow_send(e->s, &head, NULL, &data);
	chunk_unref(c);
	e->is_blocked = !has_room;
	return has_room;
}

void send_until_blocked(struct end *e, uint64_t *sent)
{
	while (send_data(e, sent, 60000))
		continue;
	assert_true(e->s->is_blocked);
}
