/* Frames over a subflow: all sizes, cut anywhere, batched, blocked by a peer that does not read,
 * and paused; and a peer that breaks the protocol. */
/* with: tests/unit/io/subflow_pair.c */
#include "subflow_pair.h"

#include "common/base/rng.h"

#include <errno.h>

static void frames_of_all_sizes_arrive_in_order(void **state)
{
	static const struct subflow_key key = {"alpha", 5};
	static const uint32_t edges[] = {0,    1,    255,   256,   257,	  1023, 1024,
					 1025, 4096, 16383, 65535, 65536, 2};
	struct rng rng;
	struct pair p;
	uint64_t sent = 0;

	(void)state;
	pair_up(&p, &key);
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
	assert_true(p.dialler.s->out_bytes > sent);
	assert_true(p.accepter.s->in_bytes > sent);
	pair_done(&p);
}

static void small_frames_of_a_turn_are_one_part(void **state)
{
	struct pair p;
	uint64_t sent = 0, bytes_before;

	(void)state;
	pair_up(&p, NULL);
	bytes_before = p.dialler.s->out_bytes;
	for (unsigned int i = 0; i < 100; i++)
		assert_true(send_data(&p.dialler, &sent, 64));
	assert_int_equal(p.dialler.s->out.count, 1);
	assert_int_equal(p.dialler.s->out_bytes, bytes_before);
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
	assert_false(p.dialler.s->is_blocked);
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
	before = p.accepter.s->in_bytes;
	uv_run(&p.t.w.loop, UV_RUN_NOWAIT);
	uv_run(&p.t.w.loop, UV_RUN_NOWAIT);
	assert_int_equal(p.accepter.s->in_bytes, before);
	assert_true(before < sent);
	p.accepter.pauses = false;
	subflow_pause(p.accepter.s, false);
	await(&p.t.w, p.accepter.data_bytes == sent);
	pair_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_all_sizes_arrive_in_order),
		cmocka_unit_test(small_frames_of_a_turn_are_one_part),
		cmocka_unit_test(a_large_frame_is_not_copied_and_does_not_wait),
		cmocka_unit_test(frames_may_be_cut_anywhere),
		cmocka_unit_test(a_peer_that_breaks_the_protocol_is_closed_with_a_line),
		cmocka_unit_test(blocked_by_a_peer_that_pauses_and_free_when_it_goes_on),
		cmocka_unit_test(blocked_at_the_end_of_a_turn_is_told),
		cmocka_unit_test(paused_inside_a_frame_it_reads_no_further),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
