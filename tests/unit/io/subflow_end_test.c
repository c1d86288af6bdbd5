/* Pings and silence, and all the ways in which a subflow ends: what was said before is always
 * delivered first. */
/* with: tests/unit/io/subflow_pair.c */
#include "subflow_pair.h"

#include "silence.h"

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

/* The network is gone: what we sent is not acknowledged either. */
static void a_pause_hides_no_death(void **state)
{
	struct pair p;
	uint64_t sent = 0;

	(void)state;
	pair_up(&p, NULL);
	tick_fast(p.dialler.s, 100);
	subflow_pause(p.dialler.s, true);
	silence(p.accepter.s->conn.fd, true);
	send_data(&p.dialler, &sent, 1000);
	await(&p.t.w, p.dialler.losses);
	assert_string_equal(p.dialler.why, "silent for 100 ms");
	silence(p.accepter.s->conn.fd, false);
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

/* The peer takes longer to read than an orderly close has patience. */
static void a_finish_waits_for_the_peer(void **state)
{
	struct pair p;
	uv_timer_t timer;
	uint64_t sent = 0;
	bool is_over = false;

	(void)state;
	pair_up(&p, NULL);
	subflow_pause(p.accepter.s, true);
	send_until_blocked(&p.dialler, &sent);
	subflow_finish(p.dialler.s);
	p.dialler.s = NULL;
	uv_timer_init(&p.t.w.loop, &timer);
	timer.data = &is_over;
	uv_timer_start(&timer, on_while, SUBFLOW_LINGER_MS + 100, 0);
	await(&p.t.w, is_over);
	subflow_pause(p.accepter.s, false);
	await(&p.t.w, p.accepter.losses);
	assert_int_equal(p.accepter.data_bytes, sent);
	assert_true(p.accepter.has_ended);
	pair_done(&p);
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
	assert_false(p.dialler.has_ended);
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
	assert_true(p.dialler.s->is_blocked);
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
		cmocka_unit_test(pings_measure_the_hop),
		cmocka_unit_test(a_ping_is_echoed),
		cmocka_unit_test(a_blocked_one_owes_only_the_newest_pong),
		cmocka_unit_test(silence_is_death),
		cmocka_unit_test(neither_pings_nor_a_pause_are_silence),
		cmocka_unit_test(a_pause_hides_no_death),
		cmocka_unit_test(an_orderly_close_delivers_everything_first),
		cmocka_unit_test(a_finish_waits_for_the_peer),
		cmocka_unit_test(an_orderly_close_survives_bytes_that_come),
		cmocka_unit_test(an_orderly_close_has_an_end),
		cmocka_unit_test(it_may_be_closed_inside_frame),
		cmocka_unit_test(a_peer_that_dies_in_a_frame),
		cmocka_unit_test(a_write_that_fails_loses_no_input),
		cmocka_unit_test(a_paused_one_notices_a_reset_by_its_pings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
