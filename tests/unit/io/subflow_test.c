/* The subflow: handshakes with and without a key, frames of all sizes cut anywhere, blocking,
 * pausing, pings, silence, and all the ways in which one ends. A pair lives in one loop; a raw
 * peer is a socket that the test itself speaks on. */
#include "loop.h"

#include "common/base/rng.h"
#include "common/io/subflow_internal.h"

#include <errno.h>

/* ---- one end and what happened to it ---- */

struct end {
	struct subflow *s;
	unsigned int ups, frames, rooms, blocks, losses;
	struct hello_ack ack;
	char why[512];
	int answer;		 /* what ops->frame returns */
	unsigned int close_after; /* close at this frame; 0: never */
	bool closes_orderly, pauses;
	bool is_blocked; /* as an owner would keep it */

	/* DATA: checked against pattern(offset) */
	uint64_t data_bytes, bad_bytes;
	uint8_t last_type;
};

static uint8_t pattern(uint64_t offset)
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
	e->s = NULL;
	snprintf(e->why, sizeof(e->why), "%s", why);
	subflow_close(s, false); /* must do no harm */
}

static const struct subflow_ops ops = {
	.up = on_up,
	.frame = on_frame,
	.room = on_room,
	.blocked = on_blocked,
	.lost = on_lost,
};

/* ---- beginnings ---- */

static const struct subflow_key key_a = {"alpha", 5}, key_b = {"beta!", 5};

static struct hello make_hello(void)
{
	return (struct hello){.version_min = FRAME_VERSION,
			      .version_max = FRAME_VERSION,
			      .hops_left = HOP_LIMIT,
			      .tunnel = {{1, 2, 3}},
			      .payload_max = FRAME_PAYLOAD_DEFAULT};
}

static struct hello_ack make_ack(void)
{
	return (struct hello_ack){.version = FRAME_VERSION,
				  .instance = 77,
				  .payload_max = FRAME_PAYLOAD_DEFAULT,
				  .first_credit = FIRST_CREDIT_BYTES,
				  .sessions_max = 10};
}

struct pair {
	struct turner t;
	int listener;
	uint16_t port;
	struct end dialler, accepter;
};

static void read_all(int fd, void *buf, size_t len)
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

static void pair_init(struct pair *p)
{
	*p = (struct pair){0};
	turner_init(&p->t);
	log_init("test", LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	p->listener = loopback_listen(8, &p->port);
}

static void pair_done(struct pair *p)
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

	p->dialler.s = subflow_dial(&p->t.w, "127.0.0.1", p->port, &hello, key, &ops, &p->dialler);
	assert_non_null(p->dialler.s);
	await(&p->t.w, p->dialler.s->out_bytes > 0);
	fd = accept(p->listener, NULL, NULL);
	assert_return_code(fd, 0);
	*ret = read_hello(fd);
	return fd;
}

/* Both ends up to subflow_answer. */
static void pair_open(struct pair *p, const struct subflow_key *dialler_key,
		      const struct subflow_key *accepter_key)
{
	struct hello hello;
	int fd;

	pair_init(p);
	fd = dial_raw(p, dialler_key, &hello);
	p->accepter.s = subflow_accept_take(&p->t.w, fd, &hello, accepter_key, &ops, &p->accepter);
	assert_non_null(p->accepter.s);
}

static void pair_up(struct pair *p, const struct subflow_key *key)
{
	struct hello_ack ack = make_ack();

	pair_open(p, key, key);
	subflow_answer(p->accepter.s, &ack);
	await(&p->t.w, p->dialler.ups && p->accepter.ups);
}

static size_t encode_frame(const struct frame *head, const void *payload, uint8_t *out)
{
	frame_encode(head, out);
	memcpy(out + FRAME_HEADER_BYTES, payload, head->len);
	return FRAME_HEADER_BYTES + head->len;
}

static void send_all(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static void send_u64(int fd, uint8_t type, uint64_t value)
{
	uint8_t payload[8], bytes[FRAME_HEADER_BYTES + 8];
	struct frame head = {.type = type};

	head.len = (uint32_t)u64_encode(value, payload, sizeof(payload));
	send_all(fd, bytes, encode_frame(&head, payload, bytes));
}

/* Reads frames on a raw socket until one of this type; its payload is in `ret_payload`. */
static void expect_frame(struct pair *p, int fd, uint8_t type, uint8_t ret_payload[1024])
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
static int raw_up(struct pair *p)
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

/* ---- the handshake ---- */

static void up_without_a_key(void **state)
{
	static const uint8_t zeros[MAC_BYTES];
	struct pair p;

	(void)state;
	pair_up(&p, NULL);
	assert_int_equal(p.dialler.ack.instance, 77);
	assert_int_equal(p.dialler.ack.sessions_max, 10);
	assert_memory_equal(p.dialler.ack.mac, zeros, MAC_BYTES);
	pair_done(&p);
	assert_int_equal(p.dialler.losses + p.accepter.losses, 0);
}

static void up_with_a_key(void **state)
{
	static const uint8_t zeros[MAC_BYTES];
	struct hello_ack ack = make_ack();
	struct pair p;

	(void)state;
	pair_open(&p, &key_a, &key_a);
	subflow_answer(p.accepter.s, &ack);
	assert_int_equal(p.accepter.ups, 0);
	await(&p.t.w, p.dialler.ups && p.accepter.ups);
	assert_memory_not_equal(p.dialler.ack.mac, zeros, MAC_BYTES);
	pair_done(&p);
	assert_int_equal(p.dialler.losses + p.accepter.losses, 0);
}

static void expect_no_agreement(const struct subflow_key *dialler, const struct subflow_key *accepter,
				const char *why)
{
	struct hello_ack ack = make_ack();
	struct capture log;
	struct pair p;

	capture_start(&log);
	pair_open(&p, dialler, accepter);
	subflow_answer(p.accepter.s, &ack);
	await(&p.t.w, p.dialler.losses && p.accepter.losses);
	assert_string_equal(p.dialler.why, why);
	assert_int_equal(p.dialler.ups, 0);
	assert_int_equal(capture_count(&log, why), 1);
	assert_int_equal(p.dialler.losses, 1);
	assert_int_equal(p.accepter.losses, 1);
	pair_done(&p);
	capture_stop(&log);
	fclose(log.file);
}

static void keys_that_differ(void **state)
{
	(void)state;
	expect_no_agreement(&key_a, &key_b, "it does not have the same key");
	expect_no_agreement(&key_a, NULL, "it has no key and this module has one");
	expect_no_agreement(NULL, &key_a, "it has a key and this module has none");
}

/* An accepted subflow with a key, and a raw dialler that has read the listener's proof. */
static int raw_dialler(struct pair *p, uint8_t ret_mac[MAC_BYTES])
{
	struct hello hello = make_hello();
	struct hello_ack ack = make_ack();
	uint8_t payload[1024];
	int fd;

	pair_init(p);
	fd = loopback_connect(p->port);
	p->accepter.s = subflow_accept_take(&p->t.w, accept(p->listener, NULL, NULL), &hello, &key_a,
					    &ops, &p->accepter);
	subflow_answer(p->accepter.s, &ack);
	expect_frame(p, fd, FRAME_HELLO_ACK, payload);
	assert_int_equal(hello_ack_decode(payload, 69, &ack), 0);
	memcpy(ret_mac, ack.mac, MAC_BYTES);
	return fd;
}

static void expect_refused(struct pair *p, int fd, const char *word)
{
	await(&p->t.w, p->accepter.losses);
	assert_non_null(strstr(p->accepter.why, word));
	assert_int_equal(p->accepter.ups, 0);
	assert_int_equal(p->accepter.frames, 0);
	close(fd);
	pair_done(p);
}

static void a_proof_that_is_reflected_wrong_or_missing(void **state)
{
	struct frame auth = {.type = FRAME_AUTH, .len = MAC_BYTES};
	struct frame drain = {.type = FRAME_DRAIN};
	uint8_t mac[MAC_BYTES], bytes[FRAME_HEADER_BYTES + MAC_BYTES];
	struct capture log;
	struct pair p;
	int fd;

	(void)state;
	capture_start(&log);
	fd = raw_dialler(&p, mac);
	send_all(fd, bytes, encode_frame(&auth, mac, bytes));
	expect_refused(&p, fd, "same key");

	fd = raw_dialler(&p, mac);
	memset(mac, 0, sizeof(mac));
	send_all(fd, bytes, encode_frame(&auth, mac, bytes));
	expect_refused(&p, fd, "same key");

	fd = raw_dialler(&p, mac);
	send_all(fd, bytes, encode_frame(&drain, mac, bytes));
	expect_refused(&p, fd, "DRAIN before the handshake");
	assert_int_equal(capture_count(&log, "closed:"), 3);

	fd = raw_dialler(&p, mac);
	p.accepter.s->deadline_us = 1;
	p.accepter.s->ping_every_ms = 10;
	subflow_start_tick(p.accepter.s);
	expect_refused(&p, fd, "no AUTH in time");
	capture_stop(&log);
	fclose(log.file);
}

static void an_unanswered_one_notices_that_its_dialler_is_gone(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, NULL, NULL);
	subflow_close(p.dialler.s, false);
	p.dialler.s = NULL;
	await(&p.t.w, p.accepter.losses);
	assert_string_equal(p.accepter.why, "closed by the peer");
	pair_done(&p);
}

static void no_answer_in_time(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, NULL, NULL);
	p.dialler.s->deadline_us = 1;
	p.dialler.s->ping_every_ms = 10;
	subflow_start_tick(p.dialler.s);
	await(&p.t.w, p.dialler.losses);
	assert_string_equal(p.dialler.why, "no HELLO_ACK in time");
	await(&p.t.w, p.accepter.losses);
	pair_done(&p);
}

static void a_refused_dial_is_lost_and_can_be_closed_first(void **state)
{
	struct hello hello = make_hello();
	struct pair p;

	(void)state;
	pair_init(&p);
	close(p.listener);
	p.dialler.s = subflow_dial(&p.t.w, "127.0.0.1", p.port, &hello, NULL, &ops, &p.dialler);
	await(&p.t.w, p.dialler.losses);
	assert_non_null(strstr(p.dialler.why, "connection refused"));

	p.dialler.s = subflow_dial(&p.t.w, "127.0.0.1", p.port, &hello, NULL, &ops, &p.dialler);
	subflow_close(p.dialler.s, true);
	p.dialler.s = NULL;
	p.listener = loopback_listen(1, &p.port);
	pair_done(&p);
	assert_int_equal(p.dialler.losses, 1);
}

static void a_second_hello_ack_is_out_of_place(void **state)
{
	struct hello_ack ack = make_ack();
	uint8_t payload[HELLO_ACK_PAYLOAD_MAX], bytes[FRAME_HEADER_BYTES + HELLO_ACK_PAYLOAD_MAX];
	struct frame head = {.type = FRAME_HELLO_ACK};
	struct pair p;
	int fd = raw_up(&p);

	(void)state;
	head.len = (uint32_t)hello_ack_encode(&ack, payload, sizeof(payload));
	send_all(fd, bytes, encode_frame(&head, payload, bytes));
	await(&p.t.w, p.dialler.losses);
	assert_non_null(strstr(p.dialler.why, "out of place"));
	assert_int_equal(p.dialler.ups, 1);
	close(fd);
	pair_done(&p);
}

/* ---- frames ---- */

/* Sends the next `len` bytes of the pattern as one DATA frame. */
static bool send_data(struct end *e, uint64_t *offset, uint32_t len)
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

static void frames_of_all_sizes_arrive_in_order(void **state)
{
	static const uint32_t edges[] = {0,	1,    255,  256,   257,	  1023, 1024,
					 1025, 4096, 16383, 65535, 65536, 2};
	struct rng rng;
	struct pair p;
	uint64_t sent = 0;

	(void)state;
	pair_up(&p, &key_a);
	rng_init(&rng, 1);
	for (unsigned int i = 0; i < 4000; i++) {
		uint32_t len = i < 13 ? edges[i] : (uint32_t)rng_below(&rng, i % 7 ? 600 : 65537);

		if (p.dialler.is_blocked)
			await(&p.t.w, !p.dialler.is_blocked);
		send_data(&p.dialler, &sent, len);
		if (rng_below(&rng, 50) == 0)
			uv_run(&p.t.w.loop, UV_RUN_NOWAIT);
	}
	await(&p.t.w, p.accepter.data_bytes == sent);
	assert_int_equal(p.accepter.bad_bytes, 0);
	assert_true(subflow_bytes_out(p.dialler.s) > sent);
	assert_true(subflow_bytes_in(p.accepter.s) > sent);
	pair_done(&p);
}

static void small_frames_of_a_turn_are_one_part(void **state)
{
	struct pair p;
	uint64_t sent = 0, bytes_before;

	(void)state;
	pair_up(&p, NULL);
	bytes_before = subflow_bytes_out(p.dialler.s);
	for (unsigned int i = 0; i < 100; i++)
		assert_true(send_data(&p.dialler, &sent, 64));
	assert_int_equal(p.dialler.s->out.count, 1);
	assert_int_equal(subflow_bytes_out(p.dialler.s), bytes_before);
	await(&p.t.w, p.accepter.data_bytes == sent);
	assert_int_equal(p.accepter.bad_bytes, 0);
	assert_true(p.dialler.s->out.left_bytes == 0);
	pair_done(&p);
}

/* A large frame leaves at once, and from its own memory. */
static void a_large_frame_is_not_copied_and_does_not_wait(void **state)
{
	struct pair p;
	uint64_t sent = 0;

	(void)state;
	pair_up(&p, NULL);
	assert_true(send_data(&p.dialler, &sent, 30000));
	assert_int_equal(p.dialler.s->out.count, 2);
	assert_int_equal(p.dialler.s->out.fill, FRAME_HEADER_BYTES);
	send_data(&p.dialler, &sent, 65536);
	assert_int_equal(p.dialler.s->out.left_bytes, 0);
	await(&p.t.w, p.accepter.data_bytes == sent);
	assert_int_equal(p.accepter.bad_bytes, 0);
	pair_done(&p);
}

/* The same bytes from a raw peer, cut at random. */
static void frames_may_be_cut_anywhere(void **state)
{
	static uint8_t stream[400000];
	struct pair p;
	struct rng rng;
	size_t len = 0, at = 0;
	uint64_t offset = 0;
	unsigned int drains = 0;
	int fd = raw_up(&p);

	(void)state;
	rng_init(&rng, 2);
	while (len < 300000) {
		struct frame head = {.type = FRAME_DATA, .session = 1, .offset = offset};
		struct frame drain = {.type = FRAME_DRAIN};

		head.len = (uint32_t)rng_below(&rng, rng_below(&rng, 4) ? 200 : 60000);
		frame_encode(&head, stream + len);
		len += FRAME_HEADER_BYTES;
		for (uint32_t i = 0; i < head.len; i++)
			stream[len++] = pattern(offset++);
		len += encode_frame(&drain, "", stream + len);
		drains++;
	}
	while (at < len) {
		size_t piece = 1 + rng_below(&rng, rng_below(&rng, 3) ? 40 : 30000);

		if (piece > len - at)
			piece = len - at;
		send_all(fd, stream + at, piece);
		at += piece;
		uv_run(&p.t.w.loop, UV_RUN_NOWAIT);
	}
	await(&p.t.w, p.dialler.data_bytes == offset && p.dialler.last_type == FRAME_DRAIN);
	assert_int_equal(p.dialler.bad_bytes, 0);
	assert_true(p.dialler.frames >= 2 * drains);
	close(fd);
	pair_done(&p);
}

static void a_peer_that_breaks_the_protocol_is_closed_with_a_line(void **state)
{
	uint8_t bytes[FRAME_HEADER_BYTES], junk[64];
	struct frame drain = {.type = FRAME_DRAIN};
	struct capture log;
	struct pair p;
	int fd;

	(void)state;
	capture_start(&log);
	fd = raw_up(&p);
	memset(junk, 0x55, sizeof(junk));
	send_all(fd, junk, sizeof(junk));
	await(&p.t.w, p.dialler.losses);
	assert_string_equal(p.dialler.why, "its bytes are no frames");
	assert_int_equal(capture_count(&log, "its bytes are no frames"), 1);
	close(fd);
	pair_done(&p);

	fd = raw_up(&p);
	p.dialler.answer = -EPROTO;
	send_all(fd, bytes, encode_frame(&drain, "", bytes));
	await(&p.t.w, p.dialler.losses);
	assert_int_equal(capture_count(&log, "DRAIN (session 0, offset 0, length 0) breaks"), 1);
	close(fd);
	pair_done(&p);
	capture_stop(&log);
	fclose(log.file);
}

/* ---- blocking and pausing ---- */

static void send_until_blocked(struct end *e, uint64_t *sent)
{
	while (send_data(e, sent, 60000))
		continue;
	assert_true(subflow_is_blocked(e->s));
}

static void blocked_by_a_peer_that_pauses_and_free_when_it_goes_on(void **state)
{
	struct pair p;
	uint64_t sent = 0;

	(void)state;
	pair_up(&p, NULL);
	subflow_pause(p.accepter.s, true);
	send_until_blocked(&p.dialler, &sent);
	uv_run(&p.t.w.loop, UV_RUN_NOWAIT);
	uv_run(&p.t.w.loop, UV_RUN_NOWAIT);
	assert_int_equal(p.accepter.frames, 0);
	assert_int_equal(p.dialler.rooms, 0);
	assert_int_equal(p.accepter.s->conn.events, 0);
	subflow_pause(p.accepter.s, false);
	await(&p.t.w, p.accepter.data_bytes == sent && p.dialler.rooms == 1);
	assert_false(subflow_is_blocked(p.dialler.s));
	assert_int_equal(p.accepter.bad_bytes, 0);
	pair_done(&p);
}

/* Small frames wait for the end of the turn, so it is then that they find the socket full. */
static void blocked_at_the_end_of_a_turn_is_told(void **state)
{
	struct pair p;
	uint64_t sent = 0;
	int size = 4096;

	(void)state;
	pair_up(&p, NULL);
	setsockopt(p.dialler.s->conn.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	subflow_pause(p.accepter.s, true);
	while (!p.dialler.is_blocked) {
		assert_true(send_data(&p.dialler, &sent, 30000));
		uv_run(&p.t.w.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(p.dialler.blocks, 1);
	subflow_pause(p.accepter.s, false);
	await(&p.t.w, p.accepter.data_bytes == sent);
	await(&p.t.w, p.dialler.rooms == 1);
	assert_int_equal(p.accepter.bad_bytes, 0);
	pair_done(&p);
}

static void paused_inside_a_frame_it_reads_no_further(void **state)
{
	struct pair p;
	uint64_t sent = 0, before;

	(void)state;
	pair_up(&p, NULL);
	p.accepter.pauses = true;
	for (unsigned int i = 0; i < 10 && !p.dialler.is_blocked; i++)
		send_data(&p.dialler, &sent, 65536);
	await(&p.t.w, p.accepter.frames);
	before = subflow_bytes_in(p.accepter.s);
	uv_run(&p.t.w.loop, UV_RUN_NOWAIT);
	uv_run(&p.t.w.loop, UV_RUN_NOWAIT);
	assert_int_equal(subflow_bytes_in(p.accepter.s), before);
	assert_true(before < sent);
	p.accepter.pauses = false;
	subflow_pause(p.accepter.s, false);
	await(&p.t.w, p.accepter.data_bytes == sent);
	pair_done(&p);
}

/* ---- pings ---- */

static void tick_fast(struct subflow *s, uint32_t silence_max_ms)
{
	s->ping_every_ms = 10;
	s->silence_max_ms = silence_max_ms;
	subflow_start_tick(s);
}

static void pings_measure_the_hop(void **state)
{
	struct pair p;

	(void)state;
	pair_up(&p, NULL);
	assert_int_equal(subflow_hop_rtt_us(p.dialler.s), 0);
	tick_fast(p.dialler.s, 1000);
	await(&p.t.w, subflow_hop_rtt_us(p.dialler.s));
	assert_int_equal(subflow_hop_rtt_us(p.accepter.s), 0);
	assert_int_equal(p.dialler.frames + p.accepter.frames, 0);
	pair_done(&p);
}

static void a_ping_is_echoed(void **state)
{
	uint8_t payload[1024];
	uint64_t clock;
	struct pair p;
	int fd = raw_up(&p);

	(void)state;
	send_u64(fd, FRAME_PING, 41);
	send_u64(fd, FRAME_PING, 42);
	expect_frame(&p, fd, FRAME_PONG, payload);
	assert_int_equal(u64_decode(payload, 8, &clock), 0);
	if (clock == 41) { /* the two came in different turns */
		expect_frame(&p, fd, FRAME_PONG, payload);
		assert_int_equal(u64_decode(payload, 8, &clock), 0);
	}
	assert_int_equal(clock, 42);
	close(fd);
	pair_done(&p);
}

/* While it is blocked one PONG waits, the newest, and comes when there is room. */
static void a_blocked_one_owes_only_the_newest_pong(void **state)
{
	static uint8_t sink[1 << 20];
	uint8_t bytes[FRAME_HEADER_BYTES], payload[8];
	struct pair p;
	uint64_t sent = 0, clock, left;
	struct frame head;
	int fd = raw_up(&p);

	(void)state;
	send_until_blocked(&p.dialler, &sent);
	for (uint64_t i = 1; i <= 5; i++) {
		send_u64(fd, FRAME_PING, i);
		await(&p.t.w, p.dialler.s->pong_clock == i);
	}
	assert_true(p.dialler.s->has_pong);
	left = sent + sent / 60000 * FRAME_HEADER_BYTES;
	while (left) {
		ssize_t n = recv(fd, sink, left < sizeof(sink) ? left : sizeof(sink), MSG_DONTWAIT);

		if (n > 0)
			left -= (uint64_t)n;
		else
			uv_run(&p.t.w.loop, UV_RUN_NOWAIT);
	}
	await(&p.t.w, recv(fd, sink, 32, MSG_PEEK | MSG_DONTWAIT) == 32);
	read_all(fd, bytes, sizeof(bytes));
	read_all(fd, payload, sizeof(payload));
	assert_int_equal(frame_decode(bytes, FRAME_PAYLOAD_MAX, &head), 0);
	assert_int_equal(head.type, FRAME_PONG);
	assert_int_equal(u64_decode(payload, 8, &clock), 0);
	assert_int_equal(clock, 5);
	close(fd);
	pair_done(&p);
}

static void silence_is_death(void **state)
{
	struct pair p;
	int fd = raw_up(&p);

	(void)state;
	tick_fast(p.dialler.s, 50);
	await(&p.t.w, p.dialler.losses);
	assert_string_equal(p.dialler.why, "silent for 50 ms");
	close(fd);
	pair_done(&p);
}

static void on_while(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
	uv_close((uv_handle_t *)timer, NULL);
}

/* Its own silence: pings of the other end keep it alive, and while paused it does not count. */
static void neither_pings_nor_a_pause_are_silence(void **state)
{
	struct pair p;
	uv_timer_t timer;
	bool is_over = false;

	(void)state;
	pair_up(&p, NULL);
	tick_fast(p.dialler.s, 100);
	tick_fast(p.accepter.s, 100);
	subflow_pause(p.accepter.s, true);
	uv_timer_init(&p.t.w.loop, &timer);
	timer.data = &is_over;
	uv_timer_start(&timer, on_while, 400, 0);
	await(&p.t.w, is_over);
	assert_int_equal(p.dialler.losses + p.accepter.losses, 0);
	subflow_pause(p.accepter.s, false);
	await(&p.t.w, subflow_hop_rtt_us(p.dialler.s));
	pair_done(&p);
}

/* ---- ends ---- */

static void an_orderly_close_delivers_everything_first(void **state)
{
	struct pair p;
	uint64_t sent = 0;

	(void)state;
	pair_up(&p, NULL);
	subflow_pause(p.accepter.s, true);
	send_until_blocked(&p.dialler, &sent);
	subflow_close(p.dialler.s, true);
	p.dialler.s = NULL;
	subflow_pause(p.accepter.s, false);
	await(&p.t.w, p.accepter.losses);
	assert_int_equal(p.accepter.data_bytes, sent);
	assert_int_equal(p.accepter.bad_bytes, 0);
	assert_string_equal(p.accepter.why, "closed by the peer");
	pair_done(&p);
	assert_int_equal(p.dialler.losses, 0);
}

/* Its input is thrown away meanwhile, and no reset destroys what is under way. */
static void an_orderly_close_survives_bytes_that_come(void **state)
{
	struct pair p;
	uint64_t sent = 0, other = 0;

	(void)state;
	pair_up(&p, NULL);
	for (unsigned int i = 0; i < 4 && !p.accepter.is_blocked; i++)
		send_data(&p.accepter, &other, 65536);
	send_data(&p.dialler, &sent, 500);
	subflow_close(p.dialler.s, true);
	p.dialler.s = NULL;
	await(&p.t.w, p.accepter.losses);
	assert_int_equal(p.accepter.data_bytes, 500);
	assert_string_equal(p.accepter.why, "closed by the peer");
	assert_int_equal(p.dialler.frames, 0);
	pair_done(&p);
}

static void an_orderly_close_has_an_end(void **state)
{
	struct pair p;
	uint64_t sent = 0;
	int fd = raw_up(&p); /* which neither reads nor closes */

	(void)state;
	send_until_blocked(&p.dialler, &sent);
	subflow_close(p.dialler.s, true);
	p.dialler.s = NULL;
	pair_done(&p); /* returns once it has been freed */
	assert_int_equal(p.dialler.losses, 0);
	close(fd);
}

static void it_may_be_closed_inside_frame(void **state)
{
	(void)state;
	for (int is_orderly = 0; is_orderly < 2; is_orderly++) {
		struct pair p;
		uint64_t sent = 0;

		pair_up(&p, NULL);
		p.accepter.close_after = 2;
		p.accepter.closes_orderly = is_orderly;
		for (unsigned int i = 0; i < 5; i++)
			send_data(&p.dialler, &sent, 100);
		await(&p.t.w, p.dialler.losses);
		assert_int_equal(p.accepter.frames, 2);
		assert_int_equal(p.accepter.losses, 0);
		p.accepter.s = NULL;
		pair_done(&p);
	}
}

static void a_peer_that_dies_in_a_frame(void **state)
{
	uint8_t bytes[FRAME_HEADER_BYTES + 100];
	struct frame head = {.type = FRAME_DATA, .len = 100, .session = 1};
	struct pair p;
	int fd = raw_up(&p);

	(void)state;
	frame_encode(&head, bytes);
	for (unsigned int i = 0; i < 100; i++)
		bytes[FRAME_HEADER_BYTES + i] = pattern(i);
	send_all(fd, bytes, FRAME_HEADER_BYTES + 60);
	close(fd);
	await(&p.t.w, p.dialler.losses);
	assert_string_equal(p.dialler.why, "closed by the peer in the middle of a frame");
	assert_int_equal(p.dialler.data_bytes, 60);
	assert_int_equal(p.dialler.bad_bytes, 0);
	pair_done(&p);
}

/* The reset is met by writing first; what the peer said before it still arrives. */
static void a_write_that_fails_loses_no_input(void **state)
{
	uint8_t bytes[FRAME_HEADER_BYTES];
	struct frame drain = {.type = FRAME_DRAIN};
	struct pair p;
	uint64_t sent = 0;
	int fd = raw_up(&p);

	(void)state;
	send_all(fd, bytes, encode_frame(&drain, "", bytes));
	close_with_reset(fd);
	send_data(&p.dialler, &sent, 65536);
	assert_true(subflow_is_blocked(p.dialler.s));
	assert_int_equal(p.dialler.losses, 0);
	await(&p.t.w, p.dialler.losses);
	assert_int_equal(p.dialler.frames, 1);
	assert_int_equal(p.dialler.rooms, 0);
	pair_done(&p);
}

static void a_paused_one_notices_a_reset_by_its_pings(void **state)
{
	struct pair p;
	int fd = raw_up(&p);

	(void)state;
	subflow_pause(p.dialler.s, true);
	tick_fast(p.dialler.s, 10000);
	close_with_reset(fd);
	await(&p.t.w, p.dialler.losses);
	pair_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(up_without_a_key),
		cmocka_unit_test(up_with_a_key),
		cmocka_unit_test(keys_that_differ),
		cmocka_unit_test(a_proof_that_is_reflected_wrong_or_missing),
		cmocka_unit_test(an_unanswered_one_notices_that_its_dialler_is_gone),
		cmocka_unit_test(no_answer_in_time),
		cmocka_unit_test(a_refused_dial_is_lost_and_can_be_closed_first),
		cmocka_unit_test(a_second_hello_ack_is_out_of_place),
		cmocka_unit_test(frames_of_all_sizes_arrive_in_order),
		cmocka_unit_test(small_frames_of_a_turn_are_one_part),
		cmocka_unit_test(a_large_frame_is_not_copied_and_does_not_wait),
		cmocka_unit_test(frames_may_be_cut_anywhere),
		cmocka_unit_test(a_peer_that_breaks_the_protocol_is_closed_with_a_line),
		cmocka_unit_test(blocked_by_a_peer_that_pauses_and_free_when_it_goes_on),
		cmocka_unit_test(blocked_at_the_end_of_a_turn_is_told),
		cmocka_unit_test(paused_inside_a_frame_it_reads_no_further),
		cmocka_unit_test(pings_measure_the_hop),
		cmocka_unit_test(a_ping_is_echoed),
		cmocka_unit_test(a_blocked_one_owes_only_the_newest_pong),
		cmocka_unit_test(silence_is_death),
		cmocka_unit_test(neither_pings_nor_a_pause_are_silence),
		cmocka_unit_test(an_orderly_close_delivers_everything_first),
		cmocka_unit_test(an_orderly_close_survives_bytes_that_come),
		cmocka_unit_test(an_orderly_close_has_an_end),
		cmocka_unit_test(it_may_be_closed_inside_frame),
		cmocka_unit_test(a_peer_that_dies_in_a_frame),
		cmocka_unit_test(a_write_that_fails_loses_no_input),
		cmocka_unit_test(a_paused_one_notices_a_reset_by_its_pings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
